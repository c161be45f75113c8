#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod config;
mod connection;
mod disk;
mod event;
mod network;
mod node;
mod token;
mod trace;
mod wiring;
mod world;

pub use config::NodeConfig;
pub use event::NodeNumber;
pub use token::Token;
pub use world::{NodeOutcome, Outcome, World};
