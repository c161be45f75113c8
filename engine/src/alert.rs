//! What a session tells its host: a bounded queue that says when it overflowed.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use downpour_base::{ConnectionId, PeerEndpoint, TorrentId};
use downpour_session::RefuseReason;
use downpour_swarm::{BanReason, DiskFailure};
use downpour_tracker::AnnounceEvent;
use downpour_tracker::client::{Failure, ScrapeCounts};
use smol::channel::{Receiver, Sender, bounded};

/// Alerts that wait to be taken; more push the oldest out.
const CAPACITY: usize = 10_000;

/// Something that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Alert {
    /// To which torrent, if to one.
    pub torrent: Option<TorrentId>,
    /// What.
    pub kind: AlertKind,
}

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Category {
    /// The life of a torrent: added, checked, finished.
    Status,
    /// Something that the user should know and may have to mend.
    Error,
    /// Peers that come and go, and what they did wrong.
    Peer,
    /// Pieces that come.
    Progress,
    /// What trackers say, and what is wrong with them.
    Tracker,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AlertKind {
    /// The torrent's files are being checked.
    Checking,
    /// The check is over: so many pieces are good.
    Checked {
        /// Good pieces.
        good: u32,
        /// All pieces.
        total: u32,
    },
    /// All that is wanted is downloaded, verified and written.
    Finished,
    /// A piece is verified and written.
    PieceFinished {
        /// Which.
        piece: u32,
    },
    /// A piece did not verify and is downloaded again.
    HashFailed {
        /// Which.
        piece: u32,
        /// Who sent blocks of it.
        senders: Vec<ConnectionId>,
    },
    /// A connection to a peer is up.
    PeerConnected {
        /// Under which number.
        connection: ConnectionId,
        /// The other end.
        endpoint: PeerEndpoint,
    },
    /// A connection is down.
    PeerDisconnected {
        /// Under which number it was.
        connection: ConnectionId,
        /// The other end.
        endpoint: PeerEndpoint,
        /// Why, in words.
        reason: String,
    },
    /// A peer cannot be reached.
    PeerUnreachable {
        /// Where it should be.
        endpoint: PeerEndpoint,
        /// What the system said.
        reason: String,
    },
    /// A peer sent bad data.
    PeerBanned {
        /// Which.
        endpoint: PeerEndpoint,
        /// What.
        reason: BanReason,
    },
    /// The disk failed. If it is full, the download goes on by itself when there is space; else the torrent is paused until
    /// it is resumed.
    DiskError(DiskFailure),
    /// The session refused connections of one address. Told once a minute for each address.
    ConnectionRefused {
        /// The last one.
        endpoint: PeerEndpoint,
        /// Why that one was.
        reason: RefuseReason,
        /// How many there were since the last time this was told.
        times: u64,
    },
    /// The torrent waits for its turn in the queue, or has it.
    Queued {
        /// Whether it waits now.
        waits: bool,
    },
    /// The torrent was seeded as much, or as long, as it was to be, and stopped.
    SeedingGoalReached,
    /// The disk was full and has space again.
    DiskHasSpace,
    /// The state could not be saved; the next start may hash files again.
    ResumeNotSaved {
        /// What, where, what to do.
        message: String,
    },
    /// The torrent's files are in another folder.
    StorageMoved {
        /// Which.
        path: PathBuf,
    },
    /// The torrent's files could not be moved, or not all of them. They are found where they are.
    StorageMovedFailed {
        /// What, where, what to do.
        message: String,
    },
    /// A file has another name.
    FileRenamed {
        /// Its index.
        file: usize,
        /// Its path below the torrent's save path.
        path: String,
    },
    /// A file could not be renamed and keeps its name.
    FileRenameFailed {
        /// Its index.
        file: usize,
        /// What, where, what to do.
        message: String,
    },
    /// Something about a file did not work that the torrent can go on without.
    FileError {
        /// What, where, what to do.
        message: String,
    },
    /// Peers can reach this session here.
    Listening {
        /// Where.
        address: SocketAddr,
    },
    /// A tracker answered an announce.
    TrackerReply {
        /// Its URL.
        tracker: Arc<str>,
        /// What was announced.
        event: AnnounceEvent,
        /// How many peers it named.
        peers: u32,
        /// When it is told again.
        interval: Duration,
        /// Peers that have everything, if it says so.
        seeds: Option<u32>,
        /// Peers that have not, if it says so.
        leechers: Option<u32>,
    },
    /// An announce came to nothing. Other trackers are tried, and this one later.
    TrackerError {
        /// The tracker's URL.
        tracker: Arc<str>,
        /// Why.
        reason: Failure,
        /// After how long it is tried again; `None` for never.
        retry: Option<Duration>,
    },
    /// A tracker has something to say to the user.
    TrackerWarning {
        /// Its URL.
        tracker: Arc<str>,
        /// What, without control characters.
        message: String,
    },
    /// A tracker answered a scrape.
    ScrapeReply {
        /// Its URL.
        tracker: Arc<str>,
        /// What it counted.
        counts: ScrapeCounts,
    },
    /// A scrape came to nothing. It is not tried again.
    ScrapeFailed {
        /// The tracker's URL; `None` where there is none that could be asked.
        tracker: Option<Arc<str>>,
        /// Why.
        reason: Failure,
    },
    /// This many alerts were pushed out of a full queue before this one.
    Overflowed {
        /// How many.
        lost: u64,
    },
}

impl AlertKind {
    /// What the alert is about.
    #[must_use]
    pub fn category(&self) -> Category {
        match self {
            Self::Queued { .. }
            | Self::SeedingGoalReached
            | Self::DiskHasSpace
            | Self::Checking
            | Self::Checked { .. }
            | Self::Finished
            | Self::StorageMoved { .. }
            | Self::FileRenamed { .. }
            | Self::Listening { .. } => Category::Status,
            Self::StorageMovedFailed { .. }
            | Self::FileRenameFailed { .. }
            | Self::FileError { .. }
            | Self::DiskError(_)
            | Self::ResumeNotSaved { .. }
            | Self::Overflowed { .. } => Category::Error,
            Self::PieceFinished { .. } | Self::HashFailed { .. } => Category::Progress,
            Self::TrackerReply { .. }
            | Self::TrackerError { .. }
            | Self::TrackerWarning { .. }
            | Self::ScrapeReply { .. }
            | Self::ScrapeFailed { .. } => Category::Tracker,
            Self::ConnectionRefused { .. }
            | Self::PeerConnected { .. }
            | Self::PeerDisconnected { .. }
            | Self::PeerUnreachable { .. }
            | Self::PeerBanned { .. } => Category::Peer,
        }
    }
}

/// The queue between the engine's threads and the host.
#[derive(Debug)]
pub(crate) struct Alerts {
    queue: Mutex<Queue>,
    /// Holds a token while the queue may have something.
    bell: (Sender<()>, Receiver<()>),
}

#[derive(Debug, Default)]
struct Queue {
    alerts: VecDeque<Alert>,
    lost: u64,
}

impl Alerts {
    pub(crate) fn new() -> Self {
        Self { queue: Mutex::default(), bell: bounded(1) }
    }

    pub(crate) fn push(&self, torrent: Option<TorrentId>, kind: AlertKind) {
        {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            if queue.alerts.len() == CAPACITY {
                queue.alerts.pop_front();
                queue.lost += 1;
            }
            queue.alerts.push_back(Alert { torrent, kind });
        }
        // A full bell rings already.
        let _ = self.bell.0.try_send(());
    }

    pub(crate) fn try_next(&self) -> Option<Alert> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::take(&mut queue.lost) {
            0 => queue.alerts.pop_front(),
            lost => Some(Alert { torrent: None, kind: AlertKind::Overflowed { lost } }),
        }
    }

    pub(crate) async fn next(&self) -> Alert {
        loop {
            if let Some(alert) = self.try_next() {
                // Several may wait for one bell: pass it on.
                let _ = self.bell.0.try_send(());
                return alert;
            }
            let _ = self.bell.1.recv().await;
        }
    }
}
