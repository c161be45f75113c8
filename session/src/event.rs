//! What happened in a session.

use downpour_base::{PeerEndpoint, TorrentId};

use crate::RefuseReason;

/// Something that people may want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Incoming connections of one address were refused. Told once a minute for each address.
    ConnectionRefused {
        /// The last one.
        endpoint: PeerEndpoint,
        /// Why that one was.
        reason: RefuseReason,
        /// How many there were since the last time this was told of that address.
        times: u64,
    },
    /// A torrent waits for its turn in the queue, or has it.
    Queued {
        /// Which one.
        torrent: TorrentId,
        /// Whether it waits now.
        waits: bool,
    },
    /// A torrent was seeded as much, or as long, as it was to be. It stops, until the user wakes it.
    SeedingGoalReached {
        /// Which one.
        torrent: TorrentId,
    },
}
