//! What goes into a node and what comes out.

use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use downpour_base::{InfoHashV1, NodeId};

use crate::Settings;
use crate::bloom::BloomFilter;
use crate::item::{ImmutableItem, Item, MutableItem};
use crate::message::Contact;
use crate::state::SavedState;

/// One of the driver's sockets. Each is a node of its own to the others, with its own id (BEP 45).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u32);

/// One command, by a number that the host chooses. It may be used again when the command is [done](Output::Done).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub u64);

/// What happens to a node.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// A socket was opened.
    Opened {
        /// The socket.
        socket: SocketId,
        /// What it is bound to. If this is an address of the internet, it is taken as the external one.
        local: SocketAddr,
    },
    /// A socket was closed.
    Closed(SocketId),
    /// A datagram came.
    Datagram {
        /// At this socket.
        socket: SocketId,
        /// From there.
        from: SocketAddr,
        /// All of it.
        payload: Bytes,
    },
    /// The answer to [`Output::Resolve`]; empty if there is none.
    Resolved(Vec<SocketAddr>),
    /// Nodes that may exist: from the PORT message of a peer, or from `nodes` of a .torrent. They are pinged.
    Nodes(Vec<SocketAddr>),
    /// Something is wanted.
    Start {
        /// The number of the command.
        query: QueryId,
        /// What is wanted.
        command: Command,
    },
    /// It is not wanted any more. Nothing follows.
    Cancel(QueryId),
    /// Other settings.
    Settings(Box<Settings>),
}

/// What may be wanted. It is done on both families; on all sockets if it announces, else on one of each family.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Is there a node? [`Report::nodes`] has it then.
    Ping(SocketAddr),
    /// The nodes closest to a place, in [`Report::nodes`].
    FindNode(NodeId),
    /// The peers of a torrent.
    GetPeers {
        /// The torrent; of a v2 torrent the first 20 bytes of its hash.
        info_hash: InfoHashV1,
        /// Rather peers that are not seeds.
        noseed: bool,
    },
    /// The peers of a torrent, and from now on we are one of them.
    Announce {
        /// The torrent.
        info_hash: InfoHashV1,
        /// Where we listen; `None` is the port that our datagrams come from (uTP behind a NAT).
        port: Option<u16>,
        /// We have everything.
        seed: bool,
    },
    /// How many seeds and peers there are, in [`Report::scrape`] (BEP 33).
    Scrape(InfoHashV1),
    /// The immutable item at a place.
    GetImmutable(NodeId),
    /// The mutable item of a key.
    GetMutable {
        /// The public key.
        key: [u8; 32],
        /// Which of its items.
        salt: Vec<u8>,
        /// Only a version after this one.
        after: Option<i64>,
    },
    /// Store an item.
    PutImmutable(ImmutableItem),
    /// Store an item, or a new version of it. Somebody else's is as good, to keep it alive.
    PutMutable {
        /// The signed item.
        item: MutableItem,
        /// Store only over this version.
        cas: Option<i64>,
    },
    /// What torrents nodes around a place store (BEP 51).
    Sample(NodeId),
}

/// Something that a command found on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Update {
    /// Peers, as one node names them; several nodes name the same. At most 200.
    Peers {
        /// The peers.
        peers: Vec<SocketAddr>,
        /// Who says so.
        from: SocketAddr,
    },
    /// An item: verified, and newer than all before.
    Item(Item),
    /// Torrents that a node stores. At most 20.
    Samples {
        /// The torrents.
        info_hashes: Vec<InfoHashV1>,
        /// How many the node has in all, as it says.
        total: u64,
        /// Seconds until asking it again makes sense.
        interval: u32,
        /// The node.
        from: SocketAddr,
    },
}

/// How a command ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The closest nodes that answered, on all sockets.
    pub nodes: Vec<Contact>,
    /// Queries that were sent, second tries included.
    pub messages: u32,
    /// The longest chain of referrals to one of [`nodes`](Self::nodes).
    pub hops: u8,
    /// Nodes that confirmed to have stored what was announced or put.
    pub stored: u32,
    /// Nodes that refused to, and the number of their error.
    pub refused: Vec<(SocketAddr, i64)>,
    /// What nodes counted.
    pub scrape: Option<Scrape>,
    /// Nodes that have the newest version of the item.
    pub copies: u32,
    /// The item should be put again: fewer than 9 copies, or one of the 8 closest nodes has none (BEP 44, "Expiration").
    pub needs_put: bool,
    /// The command was not begun: too many look-ups, no socket, or a number that is in use.
    pub rejected: Option<Rejection>,
}

/// Why a command was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// [`MAX_LOOKUPS`](crate::limits::MAX_LOOKUPS) are running.
    Busy,
    /// There is no socket of a family that could do it.
    NoSocket,
    /// Another command with this number is running.
    InUse,
}

/// The united counts of many nodes (BEP 33).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scrape {
    /// The seeds.
    pub seeds: BloomFilter,
    /// The other peers.
    pub peers: BloomFilter,
}

/// What a node wants done or known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Send a datagram.
    Datagram {
        /// From this socket.
        socket: SocketId,
        /// To there.
        to: SocketAddr,
        /// All of it: at most 1,452 bytes.
        payload: Vec<u8>,
    },
    /// Resolve these names; the answer is [`Input::Resolved`].
    Resolve(Vec<(String, u16)>),
    /// A command found something.
    Update {
        /// The command.
        query: QueryId,
        /// What it found.
        update: Update,
    },
    /// A command ended.
    Done {
        /// The command.
        query: QueryId,
        /// How.
        report: Box<Report>,
    },
    /// Most others see us at this address.
    ExternalAddress {
        /// From which socket.
        socket: SocketId,
        /// The address.
        address: IpAddr,
    },
    /// A socket's node has another id, one that fits its external address.
    NodeIdChanged {
        /// The socket.
        socket: SocketId,
        /// The id.
        id: NodeId,
    },
    /// The state is worth saving.
    Save(SavedState),
}

/// What a node has done, in numbers that only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Datagrams that came.
    pub received: u64,
    /// Datagrams that were no messages.
    pub malformed: u64,
    /// Queries that came in.
    pub queries: u64,
    /// Queries that were answered, with an answer or an error.
    pub answered: u64,
    /// Queries that one source sent too many of.
    pub over_rate: u64,
    /// Answers that were not sent, for the cap on bytes to unverified sources.
    pub over_bytes: u64,
    /// Answers that nobody asked for.
    pub unasked: u64,
    /// Our queries.
    pub sent: u64,
    /// Our queries that got no answer.
    pub timed_out: u64,
}

/// What a node keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// Nodes in all routing tables.
    pub nodes: usize,
    /// Torrents that have peers here, counted for each family.
    pub torrents: usize,
    /// Peers.
    pub peers: usize,
    /// Items.
    pub items: usize,
    /// Sources that the rate limits remember.
    pub sources: usize,
    /// Queries of ours without an answer.
    pub calls: usize,
    /// Look-ups.
    pub lookups: usize,
}
