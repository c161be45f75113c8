//! What can go wrong with a disk.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Making a file or folder.
    Create,
    /// Opening a file.
    Open,
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Bringing data to the disk.
    Sync,
    /// Putting a file in the place of another.
    Rename,
    /// Listing a folder.
    List,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Rename => "rename",
            Self::List => "list",
        })
    }
}

/// An operation on a file failed.
#[derive(Debug, Error)]
#[error("cannot {operation} {}: {source}{}", path.display(), hint(source))]
pub struct StorageError {
    /// What was being done.
    pub operation: Operation,
    /// To which file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl StorageError {
    pub(crate) fn new(operation: Operation, path: &Path, source: impl Into<io::Error>) -> Self {
        Self { operation, path: path.to_owned(), source: source.into() }
    }

    /// Whether what should be there is not, or cannot be read any more; as opposed to a system that has no descriptors or
    /// memory left for now.
    #[must_use]
    pub fn is_content_lost(&self) -> bool {
        let gone = matches!(self.source.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof);
        gone || self.source.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
    }

    /// Whether there is no space left: waiting or deleting something helps.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        )
    }
}

/// What the user can do about it.
fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => " (free some space, then start again)",
        io::ErrorKind::PermissionDenied => " (choose another folder, or change its permissions)",
        io::ErrorKind::ReadOnlyFilesystem => " (choose a folder on a disk that can be written to)",
        io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => " (move what is in the way)",
        io::ErrorKind::UnexpectedEof => " (the file is shorter than the torrent says)",
        _ => "",
    }
}
