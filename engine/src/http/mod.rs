//! HTTP for what a client fetches beside its peers: trackers' answers, .torrent files.
//!
//! Making a connection ([`connect`]: names, sockets, TLS) knows nothing of requests, and a request ([`client`]) nothing
//! of how its connection was made, so that a proxy can take the place of the first.

mod body;
mod client;
mod connect;
mod error;
pub(crate) mod limits;
mod url;

pub use client::{Config, HttpClient, Response};
pub use error::{HttpError, Waiting};
pub use limits::Limits;
