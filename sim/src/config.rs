//! What a node is made with.

use core::time::Duration;

use downpour_session::Settings;

/// One client, its line and its disk.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// What it can send, shared by its connections in turns. At least 1.
    pub uplink_bytes_per_second: u64,
    /// What it can receive, `None` for more than anybody sends.
    pub downlink_bytes_per_second: Option<u64>,
    /// From it to the middle of the network: between two nodes lie the delays of both, each way.
    pub delay: Duration,
    /// What its disk hashes and writes, one piece after another. At least 1.
    pub disk_bytes_per_second: u64,
    /// The limits of its session.
    pub settings: Settings,
    /// How many of a hundred blocks that it sends are damaged.
    pub corrupts_percent: u32,
    /// Whether its swarms are recorded.
    pub record: bool,
}

impl Default for NodeConfig {
    /// A home line: 1 MB/s up, 10 MB/s down, 10 ms; a disk of 100 MB/s.
    fn default() -> Self {
        Self {
            uplink_bytes_per_second: 1_000_000,
            downlink_bytes_per_second: Some(10_000_000),
            delay: Duration::from_millis(10),
            disk_bytes_per_second: 100_000_000,
            settings: Settings::default(),
            corrupts_percent: 0,
            record: false,
        }
    }
}
