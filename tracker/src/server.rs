//! The server side: swarms, and who is in them.

mod interface;
mod lru;
mod machine;
mod swarms;

pub use interface::{Input, Output, RequestId, Settings, Statistics, SwarmStatistics};
pub use machine::Server;
