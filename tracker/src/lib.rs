#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod announce;
pub mod client;
mod compact;
mod error;
pub mod http;
pub mod limits;
pub mod server;
mod text;
pub mod udp;
mod url;

pub use announce::{Announce, AnnounceEvent, SwarmHash};
pub use error::ResponseError;
pub use url::{Scheme, TrackerUrl, UrlError};
