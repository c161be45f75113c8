//! Why a request failed, in words for people.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

/// What a request was waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Waiting {
    /// The addresses of the server's name.
    Name,
    /// A connection.
    Connection,
    /// The TLS handshake.
    Tls,
    /// The head of the answer.
    Answer,
    /// More of the answer's body.
    Body,
    /// The end of it all.
    End,
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Name => "looking up the server's name",
            Self::Connection => "connecting",
            Self::Tls => "the TLS handshake",
            Self::Answer => "waiting for the answer",
            Self::Body => "reading the answer",
            Self::End => "the whole request",
        })
    }
}

/// Why a request failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Not a URL that can be asked.
    #[error("`{url}` is not a usable URL: {reason}")]
    Url {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No such name, or nobody who could tell.
    #[error("the name `{host}` cannot be found: {source}")]
    NameNotFound {
        /// The name.
        host: String,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody listens there.
    #[error("{address} refused the connection")]
    Refused {
        /// Where.
        address: SocketAddr,
    },
    /// No connection for another reason.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The server is not who it should be, or speaks no TLS that we do.
    #[error("no secure connection to `{host}`: {source}")]
    Tls {
        /// The server.
        host: String,
        /// What went wrong.
        source: io::Error,
    },
    /// Too slow.
    #[error("timed out: {waiting} took more than {} s", after.as_secs_f32())]
    TimedOut {
        /// What took so long.
        waiting: Waiting,
        /// The limit.
        after: Duration,
    },
    /// A body beyond the limit.
    #[error("the answer is too large: more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// Headers beyond the limit.
    #[error(
        "the answer's header is too large: more than {} bytes or {} lines",
        super::limits::MAX_HEADER_BYTES,
        super::limits::MAX_HEADERS
    )]
    HeaderTooLarge,
    /// Sent elsewhere too often.
    #[error("too many redirects: more than {limit}, the last one to {to}")]
    TooManyRedirects {
        /// The limit.
        limit: u32,
        /// Where the last one led.
        to: String,
    },
    /// Sent where we do not go.
    #[error("redirected to `{to}`, which is not followed: {reason}")]
    Redirect {
        /// Where to.
        to: String,
        /// Why not.
        reason: &'static str,
    },
    /// The server says no.
    #[error("the server answered {code}{}", reason.map(|reason| format!(" {reason}")).unwrap_or_default())]
    Status {
        /// The HTTP status code.
        code: u16,
        /// What it means.
        reason: Option<&'static str>,
    },
    /// Packed in a way that was not asked for, or not what it says.
    #[error("the answer cannot be unpacked: {0}")]
    Encoding(String),
    /// Not HTTP, or broken off.
    #[error("the answer is not proper HTTP: {0}")]
    Protocol(String),
    /// Certificates to trust that are none.
    #[error("the extra root certificates cannot be used: {0}")]
    RootCertificates(String),
}
