#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod allowed_fast;
mod bans;
mod blame;
mod candidates;
mod choking;
mod close;
mod disk;
mod download;
mod interface;
pub mod limits;
mod members;
mod pace;
mod peer;
mod pipeline;
mod priority;
mod rate;
#[cfg(feature = "serde")]
mod record;
mod source;
mod status;
mod swarm;
mod talk;
mod totals;
mod turnover;
mod upload;

pub use allowed_fast::allowed_fast_set;
pub use blame::{BanReason, BlockDigest};
pub use close::CloseReason;
pub use interface::{
    Allowance, Budget, Command, Config, Demand, Direction, DiskFailure, Event, Geometry, Input, JobId,
    Output, StoreResult, Transmit,
};
pub use priority::peer_priority;
#[cfg(feature = "serde")]
pub use record::{Divergence, Recorder, ReplayReport, replay};
pub use source::{PeerSource, PeerSources};
pub use status::{PeerStatus, Status};
pub use swarm::Swarm;
pub use totals::Totals;
