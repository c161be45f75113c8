#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod announce;
pub mod client;
mod error;
pub mod limits;
pub mod server;
mod url;

pub use announce::{AnnounceEvent, SwarmHash};
pub use error::ResponseError;
pub use url::{Scheme, TrackerUrl, UrlError};
