//! What goes into a session and what comes out.

use core::net::{IpAddr, SocketAddr};

use downpour_base::{ConnectionId, InfoHash, InfoHashV1, PeerEndpoint, PeerId, TorrentId};
use downpour_swarm::{Allowance, Budget, Demand, Direction};
use downpour_tracker::client;
use thiserror::Error;

use crate::{Event, QueueMove, SeedingGoal, Settings};

/// What happens to a session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// The user added a torrent. It is dormant until something wakes it.
    Add {
        /// Under which number it is known.
        torrent: TorrentId,
        /// Which torrent.
        info_hash: InfoHash,
        /// Tracker URLs in tiers (BEP 12).
        trackers: Vec<Vec<String>>,
        /// Whether it says that peers may come from its trackers only (BEP 27).
        private: bool,
        /// Whether it is paused.
        paused: bool,
        /// Whether all that is wanted is had, as its resume state says. Then it is announced at once, and without
        /// being woken.
        finished: bool,
    },
    /// The user removed a torrent. Its last [`Totals`](Self::Totals) are told before.
    Remove {
        /// Which one.
        torrent: TorrentId,
    },
    /// The user wants a torrent to run.
    Wake {
        /// Which one.
        torrent: TorrentId,
    },
    /// The user paused a torrent, or lets it go on. Who calls for a paused torrent is refused.
    Pause {
        /// Which one.
        torrent: TorrentId,
        /// Whether it is paused now.
        paused: bool,
    },
    /// An [`Output::Activate`] is carried out: the torrent's swarm exists.
    Activated {
        /// Which one.
        torrent: TorrentId,
    },
    /// An [`Output::Deactivate`] is carried out, or an [`Output::Activate`] could not be.
    Deactivated {
        /// Which one.
        torrent: TorrentId,
    },
    /// A connection that was [`admitted`](crate::Session::admit) ended before its handshake came.
    Closed {
        /// Which one.
        connection: ConnectionId,
    },
    /// Whether the queue decides when a torrent runs; it does from the start.
    AutoManage {
        /// Which one.
        torrent: TorrentId,
        /// Whether it does.
        on: bool,
    },
    /// The user moves a torrent in the queue.
    MoveInQueue {
        /// Which one.
        torrent: TorrentId,
        /// Where to.
        to: QueueMove,
    },
    /// How long a torrent is to be seeded.
    SeedingGoal {
        /// Which one.
        torrent: TorrentId,
        /// `None`: as long as others.
        goal: Option<SeedingGoal>,
    },
    /// A torrent has sent as much as [`Output::SeedRatio`] asked for.
    SeedRatioReached {
        /// Which one.
        torrent: TorrentId,
    },
    /// Others see us at this address.
    ExternalAddress(IpAddr),
    /// Somebody called, for this torrent.
    Incoming {
        /// On which connection.
        connection: ConnectionId,
        /// As it stands in the handshake.
        info_hash: InfoHashV1,
    },
    /// A torrent's needs changed.
    Demand {
        /// Which one.
        torrent: TorrentId,
        /// To what.
        demand: Demand,
    },
    /// A torrent has used up its allowance.
    Starved {
        /// Which one.
        torrent: TorrentId,
        /// Which way.
        direction: Direction,
    },
    /// Limits on one torrent alone, in bytes per second.
    LimitTorrent {
        /// Which one.
        torrent: TorrentId,
        /// Which way.
        direction: Direction,
        /// `None` for no limit of its own.
        bytes_per_second: Option<u64>,
    },
    /// The user changed the settings.
    Settings(Settings),
    /// Who we are, for trackers.
    Identity {
        /// What we call ourselves.
        peer_id: PeerId,
        /// The port that peers can reach us on.
        port: u16,
    },
    /// The answer to `Effect::Totals`, at once if it can be; welcome unasked too.
    Totals {
        /// Which torrent.
        torrent: TorrentId,
        /// Bytes of payload sent, in this session.
        uploaded: u64,
        /// Bytes of payload received, in this session.
        downloaded: u64,
        /// Bytes that are missing.
        left: u64,
    },
    /// The answer to `Effect::Http`.
    HttpDone {
        /// Which one.
        job: client::JobId,
        /// What came.
        result: Result<client::HttpResponse, client::HttpError>,
    },
    /// The answer to `Effect::Resolve`.
    Resolved {
        /// Which one.
        job: client::JobId,
        /// The addresses, best first.
        result: Result<Vec<SocketAddr>, client::ResolveError>,
    },
    /// A datagram came.
    Datagram {
        /// From where.
        from: SocketAddr,
        /// What.
        payload: Vec<u8>,
    },
    /// The user wants an announce now.
    Reannounce {
        /// Of which torrent.
        torrent: TorrentId,
        /// Whether even before the tracker's minimum interval is over.
        ignore_min_interval: bool,
    },
    /// The user adds a tracker.
    AddTracker {
        /// To which torrent.
        torrent: TorrentId,
        /// Where it is.
        url: String,
        /// In which tier, from 0.
        tier: u8,
    },
    /// The user takes a tracker away.
    RemoveTracker {
        /// From which torrent.
        torrent: TorrentId,
        /// Where it is.
        url: String,
    },
    /// The user changes all trackers.
    ReplaceTrackers {
        /// Of which torrent.
        torrent: TorrentId,
        /// URLs in tiers.
        tiers: Vec<Vec<String>>,
    },
    /// The user asks for the numbers of a swarm (BEP 48).
    Scrape {
        /// Of which torrent.
        torrent: TorrentId,
    },
    /// The program ends: the trackers are told, and [`Output::ShutDown`] says when that is done or given up.
    Shutdown,
}

/// What a session wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Load a torrent and make its swarm; answered by [`Input::Activated`] or [`Input::Deactivated`].
    Activate {
        /// Which one.
        torrent: TorrentId,
    },
    /// Drop a torrent's swarm, and everything it holds; answered by [`Input::Deactivated`].
    Deactivate {
        /// Which one.
        torrent: TorrentId,
    },
    /// A connection belongs to a torrent.
    Attach {
        /// Which connection.
        connection: ConnectionId,
        /// Which torrent.
        torrent: TorrentId,
    },
    /// A connection belongs to nobody here.
    Refuse {
        /// Which one.
        connection: ConnectionId,
        /// Why.
        reason: RefuseReason,
    },
    /// What a torrent may have from now on.
    Budget {
        /// Which one.
        torrent: TorrentId,
        /// How much.
        budget: Budget,
    },
    /// Until which ratio a torrent is to be seeded.
    SeedRatio {
        /// Which one.
        torrent: TorrentId,
        /// In thousandths; `None` for no end.
        per_mille: Option<u32>,
    },
    /// Others see us at this address.
    ExternalAddress {
        /// Which torrent is to know.
        torrent: TorrentId,
        /// Where.
        address: IpAddr,
    },
    /// Something that people may want to know.
    Event(Event),
    /// More bytes may flow.
    Allowance {
        /// Of which torrent.
        torrent: TorrentId,
        /// Which way.
        direction: Direction,
        /// How much.
        allowance: Allowance,
    },
    /// Peers of a torrent became known. It is active.
    Peers {
        /// Of which torrent.
        torrent: TorrentId,
        /// Where they are.
        endpoints: Vec<PeerEndpoint>,
    },
    /// The client of trackers wants something done or known.
    Tracker(client::Output),
    /// After [`Input::Shutdown`]: the trackers are told, or the time for it is over.
    ShutDown,
}

/// Why an incoming connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RefuseReason {
    /// No torrent of this session has that info-hash.
    #[error("no such torrent here")]
    UnknownTorrent,
    /// The session has as many connections as it may.
    #[error("too many connections")]
    TooManyConnections,
    /// The torrent is paused.
    #[error("the torrent is paused")]
    Paused,
    /// More connections from that address than may come in a minute.
    #[error("too many connections from this address in a short time")]
    TooOften,
    /// Too many connections wait to say what for they are.
    #[error("too many connections without a handshake")]
    TooManyHandshakes,
    /// The torrent waits for its turn.
    #[error("the torrent waits in the queue")]
    Queued,
    /// The torrent was seeded as much as it was to be.
    #[error("the torrent is not seeded any more")]
    SeedingDone,
    /// The torrent could not be loaded.
    #[error("the torrent cannot be loaded")]
    NotLoaded,
}
