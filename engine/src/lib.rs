#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod alert;
mod announce;
mod buffers;
mod check;
mod clock;
mod config;
mod connection;
mod core;
mod datagram;
mod dial;
mod error;
mod handle;
pub mod http;
mod listen;
mod payload;
mod pool;
mod queue;
mod recording;
mod relocation;
mod removal;
mod session;
mod session_events;
mod statistics;
mod store;
mod torrent;
mod tracker_server;
mod wishes;

pub use alert::{Alert, AlertKind, Category};
pub use config::{AddTorrent, Config, RemoveFiles};
pub use downpour_session::{RefuseReason, SeedingGoal, Settings};
pub use downpour_storage::Allocation;
pub use downpour_swarm::{BanReason, PeerSource, PeerSources, PeerStatus, Totals};
pub use downpour_tracker::client::{
    Failure as TrackerFailure, HttpError as TrackerHttpError, ScrapeCounts, TrackerStatus,
};
pub use downpour_tracker::server::{Settings as TrackerSettings, Statistics as TrackerStatistics};
pub use downpour_tracker::{AnnounceEvent, SwarmHash};
pub use error::Error;
pub use handle::{State, TorrentHandle, TorrentStatus};
pub use session::Session;
pub use statistics::SessionStatistics;
pub use tracker_server::{TrackerConfig, TrackerServer};
