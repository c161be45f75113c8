//! What goes into a server and what comes out.

use core::net::SocketAddr;
use core::time::Duration;

use crate::SwarmHash;

/// One HTTP request to a server. The driver chooses the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What a server can be told to change at run time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What clients are told to wait between announces.
    pub interval: Duration,
    /// What clients are told to wait at least.
    pub min_interval: Duration,
    /// Peers in one answer.
    pub max_peers_per_answer: u32,
    /// Peers in all swarms together. When they are as many, the one that was silent longest makes room.
    pub max_peers: u32,
    /// Swarms. When there are as many, the one that was silent longest makes room.
    pub max_swarms: u32,
    /// Whether only the swarms of the whitelist are served ([`Input::Allow`]).
    pub whitelist: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1800),
            min_interval: Duration::from_secs(300),
            max_peers_per_answer: 100,
            max_peers: 1_000_000,
            max_swarms: 100_000,
            whitelist: false,
        }
    }
}

/// What happens to a server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// Somebody asks with `GET`; answered by [`Output::Http`] at once.
    Http {
        /// To name in the answer.
        request: RequestId,
        /// Who asks.
        from: SocketAddr,
        /// Path and query, as they stand in the request line: `/announce?info_hash=…` or `/scrape?…`.
        target: String,
    },
    /// A datagram came.
    Datagram {
        /// From whom.
        from: SocketAddr,
        /// What.
        payload: Vec<u8>,
    },
    /// Puts a swarm on the whitelist.
    Allow(SwarmHash),
    /// Takes a swarm off the whitelist. If only that is served, it is forgotten.
    Disallow(SwarmHash),
    /// Other settings.
    Settings(Settings),
}

/// What a server wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Answer an HTTP request.
    Http {
        /// Which one.
        request: RequestId,
        /// The status code.
        status: u16,
        /// The body: bencode as `text/plain` (trackers use no other type).
        body: Vec<u8>,
    },
    /// Send a datagram.
    Datagram {
        /// To whom.
        to: SocketAddr,
        /// What.
        payload: Vec<u8>,
    },
}

/// What a server did and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Statistics {
    /// Swarms that are known.
    pub swarms: u64,
    /// Peers in them.
    pub peers: u64,
    /// Those who have everything.
    pub seeds: u64,
    /// Announces over HTTP that were served.
    pub http_announces: u64,
    /// Scrapes over HTTP that were served.
    pub http_scrapes: u64,
    /// Connection ids that were given out (UDP).
    pub udp_connects: u64,
    /// Announces over UDP that were served.
    pub udp_announces: u64,
    /// Scrapes over UDP that were served.
    pub udp_scrapes: u64,
    /// Requests that were refused or not understood.
    pub refused: u64,
    /// Peers that were forgotten because they fell silent.
    pub expired: u64,
    /// Peers that had to make room.
    pub evicted: u64,
}

/// One swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct SwarmStatistics {
    /// Which one.
    pub info_hash: SwarmHash,
    /// Peers that have everything.
    pub seeds: u32,
    /// Peers that have not everything.
    pub leechers: u32,
    /// Times that `completed` was announced.
    pub downloads: u32,
}
