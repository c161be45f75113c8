//! What an endpoint is told, and what it says.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use bytes::Bytes;
use thiserror::Error;

/// One connection of an endpoint. Numbers are not used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    pub(crate) generation: u32,
    pub(crate) slot: u32,
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamId({}.{})", self.slot, self.generation)
    }
}

/// What the socket received. Payload stays a slice of the datagram's buffer until it is read, so buffers should not
/// be much larger than what is in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Who sent it.
    pub from: SocketAddr,
    /// Its content.
    pub payload: Bytes,
}

/// What a host should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Somebody connected: [`Endpoint::accept`](crate::Endpoint::accept) has one more.
    Incoming,
    /// The peer answered.
    Connected(StreamId),
    /// [`Endpoint::read`](crate::Endpoint::read) has something again after it was empty.
    Readable(StreamId),
    /// [`Endpoint::write`](crate::Endpoint::write) takes bytes again after it did not take all.
    Writable(StreamId),
    /// The connection is over and its number unknown from now on. Not said of those that the host gave up itself
    /// with [`Endpoint::close`](crate::Endpoint::close) or [`Endpoint::reset`](crate::Endpoint::reset).
    Closed(StreamId, CloseReason),
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// Both sides said all that they had to say.
    #[error("both sides have finished")]
    Finished,
    /// The peer does not want the connection that we tried to open.
    #[error("the peer refused the connection")]
    Refused,
    /// The peer gave the connection up, or does not know it.
    #[error("the peer reset the connection")]
    Reset,
    /// Nobody answered.
    #[error("nobody answered")]
    ConnectTimedOut,
    /// The peer fell silent while it owed us an acknowledgement.
    #[error("the peer stopped answering")]
    TimedOut,
}

/// What can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// The next bytes, never none.
    Data(Bytes),
    /// Nothing for now; [`Event::Readable`] says when there is something.
    Empty,
    /// The peer has said all it had to say (FIN).
    End,
}

/// A command named a connection that there is not, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("there is no connection {0:?}")]
pub struct UnknownStream(pub StreamId);

/// Why a write was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// See [`UnknownStream`].
    #[error(transparent)]
    Unknown(#[from] UnknownStream),
    /// The host said before that it had nothing more to write.
    #[error("write after shutdown of {0:?}")]
    ShutDown(StreamId),
}

/// Why no connection can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// There are as many connections as the settings allow.
    #[error("all {0} uTP connections that the settings allow are in use")]
    TooMany(usize),
    /// No free connection id was found for this address.
    #[error("too many uTP connections to {0}")]
    NoFreeId(SocketAddr),
    /// Port 0, or an address that cannot be sent to.
    #[error("{0} is no address to connect to")]
    Address(SocketAddr),
}

/// Datagrams to send: the buffer holds them one behind another, each of `segment_size` bytes but the last, which may
/// be shorter. So they can be given to the system in one call where it has segmentation offload, and fragmentation can
/// be forbidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where they go.
    pub to: SocketAddr,
    /// The size of each, in bytes.
    pub segment_size: usize,
    /// Whose they are; `None` for answers to packets of unknown connections.
    pub stream: Option<StreamId>,
}

/// What happened since the endpoint was made, over all connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Packets sent, of all kinds.
    pub sent: u64,
    /// Packets received that belong to a connection.
    pub received: u64,
    /// Packets sent again because later ones were acknowledged.
    pub fast_resent: u64,
    /// Packets sent again because a timeout passed.
    pub timeout_resent: u64,
    /// Packets of ours that were taken for lost, probes of the path included.
    pub lost: u64,
    /// Timeouts that passed.
    pub timeouts: u64,
    /// Probes of the path's packet size.
    pub probes: u64,
    /// Packets with payload that were here before.
    pub duplicates: u64,
    /// Packets with payload that were not kept, for want of room or of sense.
    pub dropped: u64,
    /// Datagrams that are no packets, or say what cannot be.
    pub invalid: u64,
    /// Packets of unknown connections.
    pub unknown: u64,
    /// SYN packets that were not answered, or half-open connections given up for newer ones.
    pub refused: u64,
}

/// How a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// Its other end.
    pub remote: SocketAddr,
    /// The mean round-trip time, if measured.
    pub round_trip: Option<Duration>,
    /// The queueing delay on the way to the peer, if the peer tells.
    pub queueing_delay: Option<Duration>,
    /// The congestion window, in bytes.
    pub window_bytes: u32,
    /// Payload under way, in bytes.
    pub in_flight_bytes: usize,
    /// Bytes written and not yet sent.
    pub unsent_bytes: usize,
    /// Bytes received and not yet read.
    pub unread_bytes: usize,
    /// The size of a full packet with its header, in bytes.
    pub packet_bytes: u16,
}
