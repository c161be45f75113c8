#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod announce;
mod bucket;
mod event;
mod interface;
pub mod limits;
mod link;
mod queue;
mod seeding;
mod session;
mod settings;
mod visitors;
mod wiring;

pub use bucket::TokenBucket;
pub use event::Event;
pub use interface::{Input, Output, RefuseReason};
pub use link::{Link, LinkState, Payload};
pub use queue::QueueMove;
pub use seeding::SeedingGoal;
pub use session::Session;
pub use settings::Settings;
pub use wiring::{Effect, Next, after_session, after_swarm};
