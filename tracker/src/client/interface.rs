//! What goes into a client and what comes out.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::sync::Arc;

use downpour_base::{InfoHash, PeerEndpoint, PeerId, TorrentId};
use thiserror::Error;

use crate::{AnnounceEvent, ResponseError, UrlError};

/// One request, look-up or exchange of datagrams of a client. Numbers are not used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// What a client can be told to change at run time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Requests that may wait for an answer of one host at the same time; one at least.
    pub in_flight_per_host: u32,
    /// Requests that one host gets in a second; one at least. As many may come at once after a pause.
    pub requests_per_second_per_host: u32,
    /// How long a `stopped` may take before the torrent is forgotten without.
    pub stop_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { in_flight_per_host: 8, requests_per_second_per_host: 50, stop_timeout: Duration::from_secs(5) }
    }
}

/// What a tracker is told about a torrent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Bytes of payload sent since the torrent was started.
    pub uploaded: u64,
    /// Bytes of payload received since the torrent was started.
    pub downloaded: u64,
    /// Bytes that are missing.
    pub left: u64,
    /// How many peers we would like to hear of.
    pub want: u32,
}

/// What came back over HTTP. The driver has followed redirects and undone gzip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code of the last answer.
    pub status: u16,
    /// Its body, at most [`MAX_RESPONSE_BYTES`](crate::limits::MAX_RESPONSE_BYTES).
    pub body: Vec<u8>,
}

/// Why there was no answer over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The name has no address.
    #[error("cannot resolve the name: {0}")]
    Resolve(String),
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// No secure connection: a bad certificate, or no TLS at the other end.
    #[error("no secure connection: {0}")]
    Tls(String),
    /// It took too long.
    #[error("timed out")]
    TimedOut,
    /// More redirects than are followed.
    #[error("too many redirects")]
    TooManyRedirects,
    /// The answer is longer than [`MAX_RESPONSE_BYTES`](crate::limits::MAX_RESPONSE_BYTES), unpacked.
    #[error("the answer is too long")]
    TooLong,
    /// What came is not HTTP, or broke off.
    #[error("not a valid HTTP answer: {0}")]
    Protocol(String),
}

/// A name has no address that can be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ResolveError {
    /// In the words of the system.
    pub message: String,
}

/// What happens to a client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// A torrent is there. Nothing is announced before [`Start`](Self::Start).
    Add {
        /// Under which number it is known.
        torrent: TorrentId,
        /// Which torrent.
        info_hash: InfoHash,
        /// Tracker URLs in tiers (BEP 12). What is no tracker URL is reported as [`Event::Failed`].
        tiers: Vec<Vec<String>>,
    },
    /// A torrent is gone. `stopped` goes out to the trackers that know it; [`Output::Stopped`] tells when that is
    /// done or given up.
    Remove {
        /// Which one.
        torrent: TorrentId,
    },
    /// A torrent runs: it is announced as `started`, then again and again.
    Start {
        /// Which one.
        torrent: TorrentId,
    },
    /// A torrent stops: `stopped` goes out to the trackers that know it, answered by [`Output::Stopped`].
    Stop {
        /// Which one.
        torrent: TorrentId,
    },
    /// A torrent that was not complete when it started is complete now.
    Completed {
        /// Which one.
        torrent: TorrentId,
    },
    /// The user wants an announce now.
    Reannounce {
        /// Of which one.
        torrent: TorrentId,
        /// Whether even before the tracker's minimum interval is over.
        ignore_min_interval: bool,
    },
    /// A tracker more, at the end of a tier. One that is there already changes nothing.
    AddTracker {
        /// Of which torrent.
        torrent: TorrentId,
        /// Where it is.
        url: String,
        /// In which tier, from 0.
        tier: u8,
    },
    /// A tracker less. It is not told.
    RemoveTracker {
        /// Of which torrent.
        torrent: TorrentId,
        /// Where it is.
        url: String,
    },
    /// Other trackers. What is known of those that stay is kept.
    ReplaceTrackers {
        /// Of which torrent.
        torrent: TorrentId,
        /// URLs in tiers.
        tiers: Vec<Vec<String>>,
    },
    /// The answer to [`Output::Totals`]; welcome unasked too.
    Totals {
        /// Of which torrent.
        torrent: TorrentId,
        /// How it stands.
        totals: Totals,
    },
    /// The answer to [`Output::Http`].
    HttpDone {
        /// Which one.
        job: JobId,
        /// What came.
        result: Result<HttpResponse, HttpError>,
    },
    /// The answer to [`Output::Resolve`].
    Resolved {
        /// Which one.
        job: JobId,
        /// The addresses, best first.
        result: Result<Vec<SocketAddr>, ResolveError>,
    },
    /// A datagram came on the socket that [`Output::Datagram`] is sent from. What is not for a tracker is ignored.
    Datagram {
        /// From where.
        from: SocketAddr,
        /// What.
        payload: Vec<u8>,
    },
    /// Ask a tracker for the numbers of a swarm, without taking part (BEP 48).
    Scrape {
        /// Of which torrent.
        torrent: TorrentId,
    },
    /// Who we are. Until this is told, the peer id is a random one and the port 0.
    Identity {
        /// What we call ourselves.
        peer_id: PeerId,
        /// The port that peers can reach us on.
        port: u16,
    },
    /// Other settings.
    Settings(Settings),
}

/// What a client wants done or known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Ask with `GET`, follow redirects, unpack gzip; answered by [`Input::HttpDone`]. Read no more than
    /// [`MAX_RESPONSE_BYTES`](crate::limits::MAX_RESPONSE_BYTES), unpacked.
    Http {
        /// To name in the answer.
        job: JobId,
        /// `http` or `https`, all ASCII.
        url: String,
        /// After how long the answer is no longer wanted.
        timeout: Duration,
    },
    /// Look up a name; answered by [`Input::Resolved`].
    Resolve {
        /// To name in the answer.
        job: JobId,
        /// The name.
        host: String,
        /// The port that belongs into the addresses.
        port: u16,
    },
    /// Nobody waits for this [`Http`](Self::Http) or [`Resolve`](Self::Resolve) any more.
    Cancel {
        /// Which one.
        job: JobId,
    },
    /// Send a datagram.
    Datagram {
        /// Where to.
        to: SocketAddr,
        /// What.
        payload: Vec<u8>,
    },
    /// Say how a torrent stands; answered by [`Input::Totals`]. An announce waits for it, for
    /// [`TOTALS_TIMEOUT`](crate::limits::TOTALS_TIMEOUT).
    Totals {
        /// Which one.
        torrent: TorrentId,
    },
    /// A tracker named peers. Our own address may be among them.
    Peers {
        /// Of which torrent.
        torrent: TorrentId,
        /// At most [`MAX_PEERS`](crate::limits::MAX_PEERS).
        endpoints: Vec<PeerEndpoint>,
    },
    /// A tracker says from which address our announce came (BEP 24). It may lie.
    ExternalAddress {
        /// That address.
        ip: IpAddr,
    },
    /// After [`Input::Stop`] or [`Input::Remove`]: all trackers are told, or the time for it is over.
    Stopped {
        /// Which torrent.
        torrent: TorrentId,
    },
    /// Something that people may want to know.
    Event(Event),
}

/// What happened with a tracker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// An announce was answered.
    Announced {
        /// Of which torrent.
        torrent: TorrentId,
        /// By which tracker: its URL.
        tracker: Arc<str>,
        /// What was announced.
        event: AnnounceEvent,
        /// How many peers came.
        peers: u32,
        /// When the next announce is made.
        interval: Duration,
        /// Peers that have everything, if it says so.
        seeds: Option<u32>,
        /// Peers that have not, if it says so.
        leechers: Option<u32>,
    },
    /// An announce came to nothing.
    Failed {
        /// Of which torrent.
        torrent: TorrentId,
        /// At which tracker: its URL, as it was given.
        tracker: Arc<str>,
        /// Why.
        reason: Failure,
        /// After how long this tracker is tried again; `None` for never.
        retry: Option<Duration>,
    },
    /// A tracker answered, and had something to say to the user (`warning message`).
    Warning {
        /// Of which torrent.
        torrent: TorrentId,
        /// Which tracker: its URL.
        tracker: Arc<str>,
        /// What it says; control characters are taken out.
        message: String,
    },
    /// A scrape was answered.
    Scraped {
        /// Of which torrent.
        torrent: TorrentId,
        /// By which tracker: its URL.
        tracker: Arc<str>,
        /// The numbers.
        counts: ScrapeCounts,
    },
    /// A scrape came to nothing. It is not tried again.
    ScrapeFailed {
        /// Of which torrent.
        torrent: TorrentId,
        /// At which tracker: its URL; `None` where the torrent has no tracker that could be asked.
        tracker: Option<Arc<str>>,
        /// Why.
        reason: Failure,
    },
}

/// The numbers of a swarm (BEP 48).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ScrapeCounts {
    /// Peers that have everything.
    pub seeds: u32,
    /// Peers that ever completed the download.
    pub downloads: u32,
    /// Peers that have not everything.
    pub leechers: u32,
}

/// Why a request to a tracker came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Failure {
    /// The URL is not one of a tracker.
    #[error("not a tracker URL: {0}")]
    Url(#[from] UrlError),
    /// No answer over HTTP.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// An answer over HTTP that is neither success nor bencode.
    #[error("the tracker answers with HTTP status {0}")]
    Status(u16),
    /// The name has no address.
    #[error("cannot resolve the name: {0}")]
    Resolve(#[from] ResolveError),
    /// No answer to datagrams, or none in time.
    #[error("no answer")]
    TimedOut,
    /// The answer is not what the protocol asks for.
    #[error("the tracker's answer is wrong: {0}")]
    Response(#[from] ResponseError),
    /// The tracker refuses, in its words (`failure reason`); control characters are taken out.
    #[error("the tracker says: {0}")]
    Refused(String),
    /// The tracker has no scrape (BEP 48: its URL has no `announce` to be replaced), or the torrent no tracker.
    #[error("there is no tracker that can be scraped")]
    NoScrape,
}

/// How a tracker of a torrent is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackerStatus {
    /// Where it is.
    pub url: Arc<str>,
    /// Its tier, from 0.
    pub tier: u8,
    /// How often it failed since it last answered.
    pub failures: u8,
    /// Whether it answered the last announce.
    pub working: bool,
    /// Whether it is being asked, or waits for its turn.
    pub busy: bool,
}
