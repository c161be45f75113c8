//! What one caller may take.

use core::time::Duration;

/// Incoming connections that have yet to say what for they are.
pub const MAX_HANDSHAKES: usize = 64;
/// Those of them from one address.
pub const MAX_HANDSHAKES_PER_ADDRESS: u32 = 32;
/// Addresses whose calls are counted; an IPv6 address stands for its network of 64 bits.
pub const MAX_VISITORS: usize = 4096;
/// The time for which [`Settings::incoming_per_minute`](crate::Settings::incoming_per_minute) is counted.
pub const INCOMING_WINDOW: Duration = Duration::from_secs(60);
/// How often it is told, for each address, that its calls are refused.
pub const REFUSAL_NOTICE_INTERVAL: Duration = Duration::from_secs(60);
/// Incoming connections that may wait while a dormant torrent wakes up.
pub const MAX_WAITING: usize = 64;
/// For how long a torrent that was started counts as active though it is slow (libtorrent's `auto_manage_startup`).
pub const AUTO_MANAGE_STARTUP: Duration = Duration::from_secs(60);
/// How long changes in the torrents themselves wait until the queue is looked at.
pub const AUTO_MANAGE_DELAY: Duration = Duration::from_secs(1);
