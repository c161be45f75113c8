#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod announce;
mod bucket;
mod link;
mod session;
mod settings;
mod wiring;

pub use bucket::TokenBucket;
pub use link::{Link, LinkState, Payload};
pub use session::{Input, Output, RefuseReason, Session};
pub use settings::Settings;
pub use wiring::{Effect, Next, after_session, after_swarm};
