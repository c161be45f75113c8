//! HTTP for what a client fetches beside its peers: trackers' answers, .torrent files.
//!
//! Making a connection (names, sockets, TLS) is apart from requests: it knows nothing of them, and a request nothing of
//! how its connection was made, so that a proxy can take the place of the first.

mod body;
mod client;
mod connect;
mod error;
pub(crate) mod limits;
mod url;

pub use client::{Config, HttpClient, Response};
pub use error::{HttpError, Waiting};
pub use limits::Limits;
pub(crate) use url::Url;
