//! The client side: when to announce what to which tracker, for all torrents of a session.

mod interface;

pub use interface::{
    Event, Failure, HttpError, HttpResponse, Input, JobId, Output, ResolveError, ScrapeCounts, Settings, Totals,
    TrackerStatus,
};
