//! KRPC: the messages of the DHT (BEP 5, with 32, 33, 42, 43, 44 and 51). They borrow the datagram.

mod compact;
mod decode;
mod encode;
mod error;

use core::net::SocketAddr;

use downpour_base::NodeId;

pub use compact::{Contact, Nodes, Values};
pub(crate) use compact::{compact_address, push_node, push_value};
pub use error::{ErrorCode, Fault, MessageError};

/// One datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// What the asker chose to know the answer by (`t`).
    pub transaction: &'a [u8],
    /// The sender's software (`v`).
    pub version: Option<&'a [u8]>,
    /// In a reply: the address that the asker was seen at (`ip`, BEP 42).
    pub ip: Option<SocketAddr>,
    /// In a query: the sender does not answer queries, so nobody should keep it (`ro`, BEP 43).
    pub read_only: bool,
    /// What is said.
    pub body: Body<'a>,
}

/// What a message says (`y`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// A query (`q`).
    Query(Query<'a>),
    /// The answer to one (`r`).
    Response(Response<'a>),
    /// The refusal of one (`e`).
    Error {
        /// Why, in the numbers of [`ErrorCode`] or others.
        code: i64,
        /// Why, for people.
        text: &'a [u8],
    },
}

/// A query (`q`, `a`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// Who asks.
    pub id: NodeId,
    /// Which families of nodes the answer should have (BEP 32).
    pub want: Want,
    /// What is asked.
    pub method: Method<'a>,
}

/// Which families of nodes an answer should have (`want`, BEP 32).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// `nodes`.
    pub n4: bool,
    /// `nodes6`.
    pub n6: bool,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method<'a> {
    /// Are you there?
    Ping,
    /// The nodes closest to a place.
    FindNode {
        /// The place.
        target: NodeId,
    },
    /// The peers of a torrent, and the nodes closest to it.
    GetPeers {
        /// The torrent.
        info_hash: NodeId,
        /// Rather peers that are not seeds (BEP 33).
        noseed: bool,
        /// Also bloom filters over all peers (BEP 33).
        scrape: bool,
    },
    /// The asker is a peer of a torrent.
    AnnouncePeer {
        /// The torrent.
        info_hash: NodeId,
        /// The port it listens at.
        port: u16,
        /// Take the port that the query came from instead.
        implied_port: bool,
        /// What the answer to `get_peers` gave.
        token: &'a [u8],
        /// It has everything (BEP 33).
        seed: bool,
    },
    /// The item at a place (BEP 44).
    Get {
        /// The place.
        target: NodeId,
        /// The value only if its sequence number is greater.
        seq: Option<i64>,
    },
    /// Store an item (BEP 44).
    Put {
        /// What the answer to `get` gave.
        token: &'a [u8],
        /// The value, bencoded.
        value: &'a [u8],
        /// The signature, if the item is mutable.
        mutable: Option<MutablePut<'a>>,
    },
    /// Some of the torrents that are stored (BEP 51).
    SampleInfohashes {
        /// The place whose closest nodes are given too.
        target: NodeId,
    },
    /// A query that is not known here.
    Unknown {
        /// Its name.
        name: &'a [u8],
        /// Its `target` or `info_hash`, if it has one: nodes close to it are an answer of use.
        target: Option<NodeId>,
    },
}

/// What `put` says of a mutable item (BEP 44).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MutablePut<'a> {
    /// The ed25519 public key (`k`).
    pub key: [u8; 32],
    /// The number of the version (`seq`).
    pub seq: i64,
    /// The signature (`sig`).
    pub signature: [u8; 64],
    /// Tells the items of one key apart; empty if there is none.
    pub salt: &'a [u8],
    /// Store only over this version.
    pub cas: Option<i64>,
}

/// An answer (`r`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    /// Who answers.
    pub id: NodeId,
    /// IPv4 nodes close to the target.
    pub nodes: Option<Nodes<'a>>,
    /// IPv6 nodes close to the target (BEP 32).
    pub nodes6: Option<Nodes<'a>>,
    /// The right to store here.
    pub token: Option<&'a [u8]>,
    /// Peers.
    pub values: Option<Values<'a>>,
    /// The filter over all seeds (`BFsd`, BEP 33).
    pub seeds: Option<&'a [u8; 256]>,
    /// The filter over all other peers (`BFpe`, BEP 33).
    pub peers: Option<&'a [u8; 256]>,
    /// The item's value, bencoded (`v`, BEP 44).
    pub value: Option<&'a [u8]>,
    /// The item's public key (`k`).
    pub key: Option<[u8; 32]>,
    /// The item's signature (`sig`).
    pub signature: Option<[u8; 64]>,
    /// The item's sequence number.
    pub seq: Option<i64>,
    /// Some of the torrents that are stored there.
    pub samples: Option<Samples<'a>>,
}

/// The answer to `sample_infohashes` (BEP 51).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Samples<'a> {
    /// The info-hashes, 20 bytes each.
    pub info_hashes: &'a [u8],
    /// Seconds until asking again makes sense.
    pub interval: u32,
    /// How many torrents are stored in all.
    pub total: u64,
}

impl<'a> Response<'a> {
    /// An answer that says nothing but who answers.
    #[must_use]
    pub fn new(id: NodeId) -> Self {
        Self {
            id,
            nodes: None,
            nodes6: None,
            token: None,
            values: None,
            seeds: None,
            peers: None,
            value: None,
            key: None,
            signature: None,
            seq: None,
            samples: None,
        }
    }
}

impl<'a> Message<'a> {
    /// A message without version, address and flags.
    #[must_use]
    pub fn new(transaction: &'a [u8], body: Body<'a>) -> Self {
        Self { transaction, version: None, ip: None, read_only: false, body }
    }

    /// Reads a datagram. Keys that are not known are passed over, and keys may be in any order.
    ///
    /// # Errors
    /// With the field that is wrong; and with the transaction, if it is a query that deserves to be told.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, MessageError<'a>> {
        decode::decode(datagram)
    }

    /// Writes the message at the end of `out`, canonically.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode::encode(self, out);
    }
}
