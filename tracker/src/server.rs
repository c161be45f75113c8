//! The server side: swarms, and who is in them.

mod interface;

pub use interface::{Input, Output, RequestId, Settings, Statistics, SwarmStatistics};
