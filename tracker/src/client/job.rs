//! One request, from its place in the queue to its answer.

use downpour_base::{Instant, TorrentId};

use super::registry::{HostId, TrackerId};
use crate::AnnounceEvent;

#[derive(Debug)]
pub(super) struct Job {
    pub(super) torrent: TorrentId,
    pub(super) tracker: TrackerId,
    pub(super) host: HostId,
    pub(super) purpose: Purpose,
    pub(super) state: State,
    /// When nobody waits for an answer any longer.
    pub(super) give_up_at: Instant,
    /// What was said, for when it is answered.
    pub(super) event: AnnounceEvent,
    /// Whether nothing was missing then.
    pub(super) complete: bool,
}

impl Job {
    /// When there is something to do about it if no answer comes.
    pub(super) fn next_at(&self) -> Instant {
        match self.state {
            State::Sent { resend_at, .. } => resend_at.min(self.give_up_at),
            _ => self.give_up_at,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Announce,
    /// The `stopped` announce.
    Stop,
    Scrape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Waits for its turn.
    Queued,
    /// Has its turn, and waits to hear how the torrent stands.
    Totals,
    /// Asked over HTTP.
    Http { sent_at: Instant },
    /// Waits for an address or a connection id.
    Waiting,
    /// Asked over UDP; when, if not answered, it is asked again.
    Sent { transaction: u32, n: u8, resend_at: Instant },
}

/// Whose answer a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transaction {
    Connect(HostId),
    Job(super::interface::JobId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Timer {
    /// A torrent's trackers are gone through.
    Torrent(TorrentId),
    /// A request is sent again, or given up.
    Job(super::interface::JobId),
    /// The next in the queue may go.
    Pace(HostId),
    /// A connect request is sent again.
    Connect(HostId),
    /// A name look-up is given up.
    Resolve(HostId),
}
