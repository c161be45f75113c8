//! What a tracker, or a client of ours, may ask of us, and how long it may take.

use core::time::Duration;

/// The longest tracker URL that is taken, in bytes.
pub const MAX_URL_LENGTH: usize = 2048;
/// Trackers of one torrent; further ones are ignored.
pub const MAX_TRACKERS: usize = 128;
/// The longest answer over HTTP that is read, in bytes: 5,000 peers in the dictionary form fit.
pub const MAX_RESPONSE_BYTES: usize = 512 * 1024;
/// Peers that are taken from one answer; further ones are ignored.
pub const MAX_PEERS: usize = 1000;
/// The longest message of a tracker to the user that is kept, in characters.
pub const MAX_TEXT_LENGTH: usize = 300;
/// The longest `trackerid` that is kept and sent back, in bytes; a longer one is ignored.
pub const MAX_TRACKER_ID_LENGTH: usize = 128;
/// Addresses that are taken from one name.
pub const MAX_ADDRESSES: usize = 8;

/// Between two announces to one tracker, whatever it says, but for events and the user's force.
pub const MIN_INTERVAL: Duration = Duration::from_secs(60);
/// The longest time between two announces, whatever a tracker says.
pub const MAX_INTERVAL: Duration = Duration::from_secs(6 * 3600);
/// How long is waited where a tracker names no interval.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(1800);
/// The longest `retry in` (BEP 31) short of "never".
pub const MAX_RETRY: Duration = Duration::from_secs(24 * 3600);

/// How long a request over HTTP may take, redirects and all.
pub const HTTP_TIMEOUT: Duration = Duration::from_secs(45);
/// How long a name look-up may take.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the driver may take to tell a torrent's totals; then the last known are sent.
pub const TOTALS_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the addresses of a name are used.
pub const ADDRESS_LIFETIME: Duration = Duration::from_secs(3600);

/// How long a client uses a connection id (BEP 15: "until one minute after it has received it").
pub const CONNECTION_ID_LIFETIME: Duration = Duration::from_secs(60);
/// The time after which a datagram is sent again the first time (BEP 15: 15 · 2^n seconds).
pub const UDP_TIMEOUT: Duration = Duration::from_secs(15);
/// How far n goes in 15 · 2^n.
pub const MAX_UDP_DOUBLINGS: u8 = 8;

/// The longest `path?query` of a request that a server looks at, in bytes.
pub const MAX_TARGET_LENGTH: usize = 8192;
/// Info-hashes in one scrape (BEP 15: "up to about 74").
pub const MAX_SCRAPE: usize = 74;
