#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod alert;
mod buffers;
mod check;
mod clock;
mod config;
mod connection;
mod core;
mod dial;
mod error;
mod handle;
mod listen;
mod payload;
mod pool;
mod queue;
mod recording;
mod session;
mod session_events;
mod statistics;
mod store;
mod torrent;

pub use alert::{Alert, AlertKind, Category};
pub use config::{AddTorrent, Config};
pub use downpour_session::{RefuseReason, SeedingGoal, Settings};
pub use downpour_storage::Allocation;
pub use downpour_swarm::{BanReason, PeerSource, PeerSources, PeerStatus, Totals};
pub use error::Error;
pub use handle::{State, TorrentHandle, TorrentStatus};
pub use session::Session;
pub use statistics::SessionStatistics;
