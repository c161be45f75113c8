//! How much of anything there may be, and how long it may take.

use core::time::Duration;

/// The nodes of a bucket, of a reply and of a result (BEP 5: "K nodes, currently eight").
pub const K: usize = 8;

/// The longest datagram that is looked into, in bytes. Longer ones are dropped unread.
pub const MAX_INCOMING_BYTES: usize = 4096;

/// The longest datagram that is sent, in bytes, but for items (BEP 32: "must not send UDP datagrams with a payload
/// larger than 1024 octets").
pub const MAX_DATAGRAM_BYTES: usize = 1024;

/// The longest datagram with an item in it, in bytes: 1,500 less the headers of IPv6 and UDP.
pub const MAX_ITEM_DATAGRAM_BYTES: usize = 1452;

/// Levels of lists and dictionaries in a message.
pub const MAX_DEPTH: usize = 16;

/// Values in a message.
pub const MAX_TOKENS: usize = 1000;

/// The longest transaction id that is echoed, in bytes.
pub const MAX_TRANSACTION_BYTES: usize = 32;

/// The longest write token of another node that is kept, in bytes.
pub const MAX_TOKEN_BYTES: usize = 64;

/// The longest bencoded value of an item, in bytes (BEP 44).
pub const MAX_VALUE_BYTES: usize = 1000;

/// The longest salt of a mutable item, in bytes (BEP 44).
pub const MAX_SALT_BYTES: usize = 64;

/// Peers that are taken from one reply.
pub const MAX_PEERS_PER_REPLY: usize = 200;

/// Info-hashes that one reply to `sample_infohashes` carries, and that are taken from one.
pub const MAX_SAMPLES: usize = 20;

/// How long a subset of info-hashes stays the same (BEP 51: up to six hours).
pub const SAMPLE_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// Sockets of one node (BEP 45).
pub const MAX_SOCKETS: usize = 16;

/// Queries of ours that may be without an answer.
pub const MAX_CALLS: usize = 2048;

/// Look-ups that may run at once.
pub const MAX_LOOKUPS: usize = 256;

/// Nodes that one look-up keeps in mind.
pub const MAX_CANDIDATES: usize = 256;

/// Nodes that one look-up asks.
pub const MAX_ASKED: usize = 192;

/// Peers without a filter that one scrape collects.
pub const MAX_LEGACY_PEERS: usize = 2000;

/// Outputs that wait for the driver. What a remote causes beyond this is not done.
pub const MAX_OUTPUTS: usize = 4096;

/// After how long without a reply a query is sent again, and the look-up goes on beside it.
pub const SLOW_TIMEOUT: Duration = Duration::from_millis(1500);

/// How often a query is sent at most, but for pings that look after the routing table.
pub const MAX_TRIES: u32 = 3;

/// After how long without a reply a query has failed.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(6);

/// How long a node is good after it was heard of (BEP 5).
pub const GOOD_FOR: Duration = Duration::from_secs(15 * 60);

/// After how long without a change a bucket is refreshed (BEP 5).
pub const REFRESH_AFTER: Duration = Duration::from_secs(15 * 60);

/// Queries in a row without a reply that make a node bad.
pub const MAX_FAILURES: u8 = 2;

/// How often each routing table is looked after.
pub const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(10);

/// How often what is stored is looked through for what has expired.
pub const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(60);

/// How often the state is handed out to be saved.
pub const SAVE_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// How long to wait before the bootstrap names are asked for again; doubled each time.
pub const BOOTSTRAP_RETRY: Duration = Duration::from_secs(30);

/// The longest wait between two askings for bootstrap names.
pub const MAX_BOOTSTRAP_RETRY: Duration = Duration::from_secs(3600);

/// Pings at once that find out whether a node that asked us answers too.
pub const MAX_PROBES: usize = 16;

/// How often the secret of the write tokens changes (BEP 5: "every five minutes"). The one before stays valid.
pub const TOKEN_ROTATION: Duration = Duration::from_secs(5 * 60);

/// How long a stored peer lives without a new announce: twice the half hour in which clients announce.
pub const PEER_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// How long a stored item lives without a new put (BEP 44: "MAY expire in 2 hours").
pub const ITEM_LIFETIME: Duration = Duration::from_secs(2 * 60 * 60);

/// Sources that the rate limits remember.
pub const MAX_SOURCES: usize = 8192;

/// The least time between two goes through the sources.
pub const SWEEP_INTERVAL: Duration = Duration::from_millis(100);

/// How long a source that answered us counts as one that can be reached at its address.
pub const VERIFIED_FOR: Duration = Duration::from_secs(10 * 60);

/// Nodes whose last word on our external address counts.
pub const MAX_VOTES: usize = 24;

/// Votes for one address that it needs, besides being more than half of all.
pub const MIN_VOTES: usize = 5;

/// The least time between two changes of one socket's node id.
pub const MIN_ID_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// Time between the look-ups for one target on two sockets of one family (BEP 45: avoid load spikes).
pub const SOCKET_STAGGER: Duration = Duration::from_secs(5);

/// Failed referrals after which a referrer's other referrals come last in a look-up.
pub const MAX_FAILED_REFERRALS: u8 = 3;

/// Nodes of one routing table that are saved.
pub const MAX_SAVED_NODES: usize = 200;

/// The longest saved state that is read, in bytes.
pub const MAX_STATE_BYTES: usize = 256 * 1024;

/// How long a look-up waits for the first node to be found.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(30);
