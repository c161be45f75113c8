//! What can go wrong with a disk.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
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
    /// Removing a file.
    Remove,
    /// Bringing a file to another folder.
    Move,
    /// Letting a file be run.
    SetPermissions,
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
            Self::Remove => "remove",
            Self::Move => "move to",
            Self::SetPermissions => "set the permissions of",
            Self::List => "list",
        })
    }
}

/// An operation on a file failed.
#[derive(Debug, Error)]
#[error("cannot {operation} {}: {source}{}", path.display(), hint(*operation, source))]
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
        gone || self.source.raw_os_error() == Some(Errno::IO.raw_os_error())
    }

    /// Whether the process, or the system, has no file handles left: closing something helps.
    #[must_use]
    pub fn is_out_of_handles(&self) -> bool {
        is_out_of_handles(&self.source)
    }

    /// Whether there is no space left: waiting or deleting something helps.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

fn is_out_of_handles(source: &io::Error) -> bool {
    let code = source.raw_os_error();
    [Errno::MFILE, Errno::NFILE].into_iter().any(|errno| code == Some(errno.raw_os_error()))
}

/// What the user can do about it.
fn hint(operation: Operation, source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => " (free some space, then start again)",
        io::ErrorKind::PermissionDenied => " (choose another folder, or change its permissions)",
        io::ErrorKind::ReadOnlyFilesystem => " (choose a folder on a disk that can be written to)",
        io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => " (move what is in the way)",
        io::ErrorKind::NotFound => " (check the path)",
        io::ErrorKind::UnexpectedEof => " (the file is shorter than the torrent says)",
        io::ErrorKind::InvalidFilename => " (this disk cannot have a file of that name: rename the file)",
        io::ErrorKind::FileTooLarge => " (this disk cannot have files of that size: choose another one)",
        io::ErrorKind::AlreadyExists if matches!(operation, Operation::Move | Operation::Rename) => {
            " (move what is in the way, or choose another name or folder)"
        }
        _ if is_out_of_handles(source) => " (too few file handles: raise the limit, see `ulimit -n`)",
        _ => "",
    }
}
