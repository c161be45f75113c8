//! What the user can change while everything runs.

use core::time::Duration;

use downpour_tracker::client;

use crate::SeedingGoal;

/// The limits of a session. Each can change at run time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Connections of all torrents together.
    pub connections: u32,
    /// Connections of one torrent.
    pub connections_per_torrent: u32,
    /// Connections of one torrent to one address. More than one, since many people share an address behind one router;
    /// connections within this machine are not counted. (libtorrent's `allow_multiple_connections_per_ip` knows one and all.)
    pub connections_per_address: u32,
    /// Connections that one address may open to us within a minute; so many may come at once.
    pub incoming_per_minute: u32,
    /// Downloads that run at the same time, `None` for all. The others wait in the queue. This and the next three work
    /// like libtorrent's settings of these names.
    pub active_downloads: Option<u32>,
    /// Finished torrents that are active at the same time, `None` for all; dormant ones do not count.
    pub active_seeds: Option<u32>,
    /// Both together, slow ones included.
    pub active_limit: Option<u32>,
    /// Whether a torrent through which next to nothing flows takes no slot of the first two limits.
    pub dont_count_slow_torrents: bool,
    /// How long finished torrents are seeded that have no goal of their own.
    pub seeding_goal: SeedingGoal,
    /// Peers that may be unchoked at the same time, in all torrents together. A torrent with interested peers gets
    /// one at least.
    pub upload_slots: u32,
    /// Bytes of pieces that are started and not stored yet, in all torrents together. Each torrent may start one piece
    /// whatever its length.
    pub memory_bytes: u64,
    /// Bytes per second that may be received, `None` for no limit.
    pub download_limit: Option<u64>,
    /// Bytes per second that may be sent, `None` for no limit.
    pub upload_limit: Option<u64>,
    /// After how long without a connection a finished torrent goes dormant.
    pub dormant_after: Duration,
    /// How trackers are asked.
    pub trackers: client::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections: 200,
            connections_per_torrent: 80,
            connections_per_address: 4,
            incoming_per_minute: 120,
            active_downloads: None,
            active_seeds: None,
            active_limit: None,
            dont_count_slow_torrents: true,
            seeding_goal: SeedingGoal::default(),
            upload_slots: 16,
            memory_bytes: 32 << 20,
            download_limit: None,
            upload_limit: None,
            dormant_after: Duration::from_secs(60),
            trackers: client::Settings::default(),
        }
    }
}
