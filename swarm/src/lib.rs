#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod allowed_fast;
mod candidates;
mod choking;
mod close;
mod disk;
mod download;
mod interface;
pub mod limits;
mod members;
mod peer;
mod pipeline;
mod rate;
#[cfg(feature = "serde")]
mod record;
mod source;
mod status;
mod swarm;
mod talk;
mod upload;

pub use allowed_fast::allowed_fast_set;
pub use close::CloseReason;
pub use interface::{
    Allowance, Budget, Command, Config, Demand, Direction, DiskFailure, Event, Geometry, Input, JobId,
    Output, StoreResult, Transmit,
};
#[cfg(feature = "serde")]
pub use record::{Divergence, Recorder, ReplayReport, replay};
pub use source::{PeerSource, PeerSources};
pub use status::{PeerStatus, Status};
pub use swarm::Swarm;
