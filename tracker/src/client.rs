//! The client side: when to announce what to which tracker, for all torrents of a session.

mod asking;
mod datagrams;
mod entry;
mod host;
mod interface;
mod job;
mod machine;
mod outcome;
mod registry;
mod torrents;

pub use interface::{
    Event, Failure, HttpError, HttpResponse, Input, JobId, Output, ResolveError, ScrapeCounts, Settings,
    Totals, TrackerStatus,
};
pub use machine::Client;
