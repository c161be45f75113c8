//! What goes into a swarm and what comes out.

use bytes::Bytes;
use core::net::IpAddr;

use downpour_base::{Bitfield, Block, ConnectionId, InfoHashV1, Instant, PeerEndpoint, PeerId, Seed};
use downpour_wire::{ExtensionId, Message};

use crate::{BanReason, BlockDigest, CloseReason, PeerSource, Totals};

/// What a swarm is made with.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Config {
    /// Where its random choices grow from.
    pub seed: Seed,
    /// The torrent, as it stands in handshakes.
    pub info_hash: InfoHashV1,
    /// What we call ourselves.
    pub peer_id: PeerId,
    /// Name and version, told to peers (BEP 10 `v`).
    pub client: String,
    /// The port that peers can reach us on (BEP 10 `p`).
    pub listen_port: Option<u16>,
    /// Whether peers may come only from whom [`PeerSource::is_allowed_in_private`] allows (BEP 27).
    pub private: bool,
    /// Payload of earlier runs, which counts for the seeding goal.
    pub before: Totals,
}

/// The sizes of a torrent and which pieces are had: what the metadata and the check of the files tell.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Geometry {
    /// Bytes of the torrent.
    pub total_length: u64,
    /// Bytes of each piece but the last.
    pub piece_length: u32,
    /// The pieces that are had and verified, in the wire format of a bitfield.
    pub have: Bytes,
}

impl Geometry {
    /// The sizes, with the pieces of `have`.
    #[must_use]
    pub fn new(total_length: u64, piece_length: u32, have: &Bitfield) -> Self {
        Self { total_length, piece_length, have: Bytes::copy_from_slice(have.as_bytes()) }
    }
}

/// One job that the disk and hash pool does for a swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct JobId(pub u64);

/// How a [`Output::Store`] job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum StoreResult {
    /// The piece verified and is written.
    Stored,
    /// The piece did not verify.
    HashMismatch,
}

/// What a disk said, in words for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DiskFailure {
    /// What, where, what to do.
    pub message: String,
    /// Whether the disk is full.
    pub disk_full: bool,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Direction {
    /// To us.
    Download,
    /// From us.
    Upload,
}

/// How much may flow in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Allowance {
    /// As much as comes.
    Unlimited,
    /// So many bytes more, on top of what is left.
    Bytes(u64),
}

/// What the session lets this torrent have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Budget {
    /// Peers that may be unchoked at the same time.
    pub upload_slots: u32,
    /// Connections, attempts included.
    pub connections: u32,
    /// Connections to one address; those to this machine itself are not counted.
    pub connections_per_address: u32,
    /// Bytes of pieces that are started and not stored yet. One piece may always be started.
    pub memory_bytes: u64,
}

/// What happens to a torrent. `P` is whatever the driver holds payload in: the swarm moves it and never looks in.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Input<P> {
    /// A connection's handshake is done.
    Connected {
        /// Which one.
        connection: ConnectionId,
        /// The other end. Of an incoming connection that is no address to call back.
        endpoint: PeerEndpoint,
        /// Whether we called.
        outgoing: bool,
        /// What the peer calls itself.
        peer_id: PeerId,
        /// Whether both speak the Fast extension.
        fast: bool,
        /// Whether both speak the extension protocol.
        extensions: bool,
    },
    /// A peer said something.
    Message {
        /// Who.
        connection: ConnectionId,
        /// What.
        message: Message,
    },
    /// A block came, whole.
    Block {
        /// From whom.
        connection: ConnectionId,
        /// Which.
        block: Block,
        /// Its bytes.
        payload: P,
    },
    /// A connection is gone.
    Disconnected {
        /// Which one.
        connection: ConnectionId,
        /// Whether the peer broke a rule of the protocol.
        misbehaved: bool,
    },
    /// A [`Output::Dial`] led to no connection.
    DialFailed {
        /// Where to.
        endpoint: PeerEndpoint,
    },
    /// Peers became known. Ignored if the torrent is private and may not use that source.
    Peers {
        /// Where they are.
        endpoints: Vec<PeerEndpoint>,
        /// Who told us of them.
        source: PeerSource,
    },
    /// A [`Output::Store`] job is done.
    Stored {
        /// Which one.
        job: JobId,
        /// How it ended.
        result: StoreResult,
        /// One for each block in order, if the piece did not verify or [`Output::Store`] asks for them; else empty.
        digests: Vec<BlockDigest>,
    },
    /// A [`Output::Store`] job could not be done: the piece verified, and was not written.
    NotStored {
        /// Which one.
        job: JobId,
        /// What the disk said.
        failure: DiskFailure,
        /// The blocks of the job.
        blocks: Vec<P>,
    },
    /// A block that `poll_transmit` gave could not be read. The connection is closed.
    ReadFailed {
        /// For whom it was.
        connection: ConnectionId,
        /// Which.
        block: Block,
    },
    /// The torrent's sizes are known now. Ignored when they were known before.
    Metadata(Geometry),
    /// The session changed what the torrent may have.
    Budget(Budget),
    /// The session lets more bytes flow.
    Allowance {
        /// Which way.
        direction: Direction,
        /// How much.
        allowance: Allowance,
    },
    /// Others see us at this address: decides whom to call first (BEP 40).
    ExternalAddress(IpAddr),
    /// Until which ratio it is to be seeded, in thousandths; `None` for no end. Answered by [`Output::SeedRatioReached`].
    SeedRatio(Option<u32>),
    /// The user wants something.
    Command(Command),
}

/// What a user can want of a running torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Command {
    /// Close all connections and open none.
    Pause,
    /// Go on.
    Resume,
    /// How much a piece is wanted, 0 (not at all) to 7.
    SetPiecePriority {
        /// Which piece.
        piece: u32,
        /// 0 to 7.
        priority: u8,
    },
    /// How much each piece is wanted, 0 to 7, from the first on. O(pieces), whatever changes.
    SetPiecePriorities(Vec<u8>),
    /// By when a piece is needed.
    SetPieceDeadline {
        /// Which piece.
        piece: u32,
        /// `None`: no longer.
        deadline: Option<Instant>,
    },
    /// Whether pieces are downloaded in order.
    SetSequential(bool),
    /// A piece that was had is gone.
    PieceLost(u32),
    /// Send a message of a registered extension (BEP 10).
    SendExtended {
        /// To whom.
        connection: ConnectionId,
        /// Of which extension.
        extension: ExtensionId,
        /// Its body.
        payload: Bytes,
    },
}

/// What a swarm wants done or known.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum Output<P> {
    /// Open a connection; answered by [`Input::Connected`] or [`Input::DialFailed`].
    Dial {
        /// Where to.
        endpoint: PeerEndpoint,
    },
    /// There may be something to send to, or leave to read from, a connection.
    Wake {
        /// Which one.
        connection: ConnectionId,
    },
    /// Close a connection. No `Disconnected` is expected, and none does harm.
    Close {
        /// Which one.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
    /// Hash a piece and, if it verifies, write it; answered by [`Input::Stored`] or [`Input::NotStored`].
    Store {
        /// To name in the answer.
        job: JobId,
        /// Which piece.
        piece: u32,
        /// Its blocks in order.
        blocks: Vec<P>,
        /// Whether the digests of its blocks are wanted even if it verifies.
        digests: bool,
    },
    /// Record which pieces are had: sync their data, then save the resume state. Nobody waits for it.
    Checkpoint,
    /// The allowance in one direction is used up.
    Starved {
        /// Which way.
        direction: Direction,
    },
    /// As much was sent, in proportion to what was received or is had, as [`Input::SeedRatio`] asked for.
    SeedRatioReached,
    /// How much the torrent could use of what the session shares out.
    Demand(Demand),
    /// Something that people or the session may want to know.
    Event(Event),
}

/// What a torrent could use. The session divides its slots by it, and lets a torrent without need go dormant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Demand {
    /// Peers that want data from us.
    pub interested: u32,
    /// Connections.
    pub connections: u32,
    /// Whether all that is wanted is had.
    pub finished: bool,
    /// Whether next to no payload flows.
    pub slow: bool,
    /// Counts up with each report: an older one that comes late says nothing.
    pub number: u64,
}

/// What a peer is told next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum Transmit {
    /// A message.
    Message(Message),
    /// A `piece` message with this content.
    Block(Block),
}

/// What happened in a torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Event {
    /// A peer is connected.
    PeerConnected {
        /// Under which number.
        connection: ConnectionId,
        /// The other end.
        endpoint: PeerEndpoint,
    },
    /// A peer is gone.
    PeerDisconnected {
        /// Under which number it was connected.
        connection: ConnectionId,
    },
    /// A peer sent bad data and will not be talked to again.
    PeerBanned {
        /// The other end.
        endpoint: PeerEndpoint,
        /// What for.
        reason: BanReason,
    },
    /// A piece is verified and written.
    PieceFinished {
        /// Which.
        piece: u32,
    },
    /// A piece did not verify.
    HashFailed {
        /// Which.
        piece: u32,
        /// Who sent blocks of it.
        senders: Vec<ConnectionId>,
    },
    /// All that is wanted is had.
    Finished,
    /// The disk failed. If it is full, nothing is asked for until there is space, which is tried now and then; else the
    /// torrent is paused.
    DiskError(DiskFailure),
    /// The disk was full and has space again: the download goes on.
    DiskHasSpace,
    /// A message of an extension that the host registered (BEP 10).
    Extended {
        /// From whom.
        connection: ConnectionId,
        /// Of which extension.
        extension: ExtensionId,
        /// Its body.
        payload: Bytes,
    },
}
