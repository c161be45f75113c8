//! What happens when.

use core::cmp::Ordering;
use core::time::Duration;
use std::collections::{BTreeMap, BinaryHeap};

use downpour_base::{BLOCK_SIZE, Block};
use downpour_base::{ConnectionId, InfoHashV1, Instant, PeerEndpoint, TorrentId, block_count, block_length};
use downpour_swarm::Input;

use crate::Token;
use crate::network::Packet;
use crate::trace::Trace;

/// A client in a [`World`](crate::World), counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeNumber(pub u32);

impl NodeNumber {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Socket {
    pub(crate) node: NodeNumber,
    pub(crate) connection: ConnectionId,
}

/// What happens to a node.
#[derive(Debug)]
pub(crate) enum Event {
    /// Its user adds a torrent.
    Add { torrent: TorrentId, wake: bool },
    /// The session is due.
    SessionDue,
    /// A swarm is due.
    SwarmDue(TorrentId),
    /// A connection is due.
    LinkDue(ConnectionId),
    /// A disk job is done.
    DiskDone { torrent: TorrentId, piece: u32, answer: Input<Token> },
    /// The packet on the uplink is out.
    UplinkFree,
    /// Somebody calls.
    Called { by: Socket, torrent: TorrentId, caller: PeerEndpoint, endpoint: PeerEndpoint },
    /// A call was answered.
    Answered { connection: ConnectionId, peer: Socket, torrent: TorrentId, endpoint: PeerEndpoint },
    /// A call was not answered.
    Unanswered { torrent: TorrentId, endpoint: PeerEndpoint },
    /// A packet reaches the downlink.
    Arrived { connection: ConnectionId, packet: Packet },
    /// A packet is through the downlink.
    Received { connection: ConnectionId, packet: Packet },
    /// The peer's program read so many bytes.
    Acknowledged { connection: ConnectionId, bytes: u32 },
    /// The peer closed the connection; what was still on the way is lost.
    Reset { connection: ConnectionId },
}

#[derive(Debug)]
struct Scheduled {
    at: Instant,
    sequence: u64,
    node: NodeNumber,
    event: Event,
}

impl Ord for Scheduled {
    /// The earliest is the greatest, and of those the first that was scheduled.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scheduled {}

/// The future, in order of time; at the same time, in the order in which it was scheduled.
#[derive(Debug, Default)]
pub(crate) struct Events {
    heap: BinaryHeap<Scheduled>,
    sequence: u64,
}

impl Events {
    pub(crate) fn schedule(&mut self, at: Instant, node: NodeNumber, event: Event) {
        self.sequence += 1;
        self.heap.push(Scheduled { at, sequence: self.sequence, node, event });
    }

    /// Takes what happens next, if it happens at or before `deadline`.
    pub(crate) fn pop(&mut self, deadline: Instant) -> Option<(Instant, NodeNumber, Event)> {
        if self.heap.peek()?.at > deadline {
            return None;
        }
        self.heap.pop().map(|next| (next.at, next.node, next.event))
    }
}

/// The sizes of a torrent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Torrent {
    pub(crate) info_hash: InfoHashV1,
    pub(crate) total_length: u64,
    pub(crate) piece_length: u32,
}

impl Torrent {
    pub(crate) fn piece_count(&self) -> u32 {
        self.total_length.div_ceil(u64::from(self.piece_length)) as u32
    }

    pub(crate) fn piece_size(&self, piece: u32) -> u32 {
        let begin = u64::from(piece) * u64::from(self.piece_length);
        self.total_length.saturating_sub(begin).min(u64::from(self.piece_length)) as u32
    }

    pub(crate) fn blocks(&self, piece: u32) -> impl Iterator<Item = Block> + use<> {
        let size = self.piece_size(piece);
        (0..block_count(size)).map(move |index| Block {
            piece,
            begin: index * BLOCK_SIZE,
            length: block_length(size, index),
        })
    }
}

/// What everybody may look at, and where everybody writes.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) events: &'a mut Events,
    pub(crate) trace: &'a mut Trace,
    pub(crate) torrents: &'a BTreeMap<TorrentId, Torrent>,
    pub(crate) addresses: &'a BTreeMap<PeerEndpoint, NodeNumber>,
    /// Of each node.
    pub(crate) delays: &'a [Duration],
}

impl Context<'_> {
    /// How long a bit is on its way from `a` to `b`.
    pub(crate) fn delay(&self, a: NodeNumber, b: NodeNumber) -> Duration {
        self.delays[a.index()] + self.delays[b.index()]
    }
}
