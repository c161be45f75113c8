//! What the caller can do wrong, and what the system can refuse.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use downpour_metainfo::MetainfoError;
use downpour_storage::{ResumeError, StorageError};
use downpour_tracker::UrlError;
use thiserror::Error;

use crate::http::HttpError;

/// A session could not be started, or a verb could not be carried out.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A port that somebody else has.
    #[error("cannot listen on {address}: {source}{}", listen_hint(source))]
    Listen {
        /// Where to.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system allows too few open files and connections.
    #[error("cannot start with {limit} file handles, {needed} are needed: raise the limit, see `ulimit -n`")]
    FileHandles {
        /// How many the process may have.
        limit: u64,
        /// How many a session needs at least.
        needed: u64,
    },
    /// The system gave no thread or no randomness.
    #[error("cannot start: {0}")]
    Start(io::Error),
    /// Not a torrent.
    #[error(transparent)]
    Metainfo(#[from] MetainfoError),
    /// A torrent without a v1 half (BEP 52).
    #[error(
        "this is a BitTorrent v2-only torrent: a later version will transfer it, this one transfers v1 and hybrid torrents"
    )]
    V2Only,
    /// The session has this torrent already.
    #[error("the torrent is in this session already")]
    Duplicate,
    /// Not a tracker that can be asked.
    #[error("`{url}` is no tracker URL: {source}")]
    TrackerUrl {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        source: UrlError,
    },
    /// Certificates to trust that are none.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The torrent was removed, or the session shut down.
    #[error("the torrent is no longer in a running session")]
    Gone,
    /// The torrent has no such file.
    #[error("the torrent has no file {file}")]
    NoFile {
        /// The index that was given.
        file: usize,
    },
    /// A piece that is not verified and written yet, or does not exist.
    #[error("piece {piece} is not here")]
    NoPiece {
        /// Which.
        piece: u32,
    },
    /// The torrent could not be loaded; an alert says why.
    #[error("the torrent cannot be loaded")]
    NotLoaded,
    /// A path that resume state cannot hold.
    #[error("{}: the path is not UTF-8, so it could not be remembered: choose another one", path.display())]
    NotUtf8 {
        /// Which.
        path: PathBuf,
    },
    /// Bytes that are not the resume state of the torrent that they came with.
    #[error(
        "the resume data does not fit the torrent: {0} (add the torrent without it: its files are then checked)"
    )]
    ResumeData(#[from] ResumeError),
    /// The disk said no.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

fn listen_hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => " (another program has this port: choose a different one, or 0 for any)",
        io::ErrorKind::PermissionDenied => " (ports below 1024 need privileges: choose a higher one)",
        _ => "",
    }
}
