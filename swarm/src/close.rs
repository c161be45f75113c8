//! Why a swarm gives up a peer.

use downpour_base::Block;
use thiserror::Error;

/// The rule that a peer broke, or why it is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum CloseReason {
    /// A piece index that the torrent does not have.
    #[error("piece {0} does not exist")]
    NoSuchPiece(u32),
    /// A bitfield of the wrong length, or with spare bits set.
    #[error("invalid bitfield")]
    InvalidBitfield,
    /// A request for bytes that do not exist, or for a piece that we never said we had.
    #[error("invalid request for {} bytes at {} of piece {}", .0.length, .0.begin, .0.piece)]
    InvalidRequest(Block),
    /// A block that nobody can have asked for: of another length, or outside the torrent.
    #[error("sent {} bytes at {} of piece {}, which are no block", .0.length, .0.begin, .0.piece)]
    InvalidBlock(Block),
    /// A block that was never asked for (BEP 6: "MUST close the connection").
    #[error("sent a block that was not requested")]
    UnrequestedBlock,
    /// A reject for a request that was never sent (BEP 6: "SHOULD close the connection").
    #[error("rejected a request that was not sent")]
    UnrequestedReject,
    /// Far more requests than allowed while choked.
    #[error("too many requests while choked")]
    RequestFlood,
    /// Far more `have` messages than there can be pieces.
    #[error("too many messages before the metadata is known")]
    EarlyFlood,
    /// It does not read what it is told.
    #[error("too many messages wait for it")]
    NotReading,
    /// It sent data that does not verify.
    #[error("sent data that failed the hash check")]
    CorruptData,
    /// The torrent has as many connections as it may.
    #[error("too many connections")]
    TooManyConnections,
    /// There is a connection to that peer already.
    #[error("already connected to this peer")]
    Duplicate,
    /// As many connections to its address as there may be.
    #[error("too many connections to this address")]
    CrowdedAddress,
    /// It is ourselves.
    #[error("it is a connection to ourselves")]
    OwnConnection,
    /// Somebody else gets its place.
    #[error("made room for another peer")]
    Turnover,
    /// It was banned earlier.
    #[error("the peer is banned")]
    Banned,
    /// Neither side needs anything from the other.
    #[error("both sides are seeds")]
    BothSeeds,
    /// The torrent is paused.
    #[error("the torrent is paused")]
    Paused,
    /// What it asked for cannot be read.
    #[error("a requested block could not be read")]
    ReadFailed,
}
