//! Errors for people: what, where, what to do, in one line.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;

/// What ends the program with a non-zero exit code.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What was wrong with a file.
    pub(crate) fn of(path: &Path, error: impl fmt::Display) -> Self {
        Self(format!("{}: {error}", path.display()))
    }

    /// What the system said when it was to do something with a file, and what to do about it.
    pub(crate) fn io(path: &Path, what: &str, error: &io::Error) -> Self {
        let hint = match error.kind() {
            ErrorKind::NotFound => " (check the path)",
            ErrorKind::PermissionDenied => " (change its permissions, or choose another place)",
            ErrorKind::IsADirectory => " (name a file in it)",
            ErrorKind::NotADirectory => " (move what is in the way)",
            ErrorKind::ReadOnlyFilesystem => " (choose a place that can be written to)",
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => " (free some space)",
            _ => "",
        };
        Self(format!("{}: {what}: {error}{hint}", path.display()))
    }
}

impl From<downpour_engine::Error> for Failure {
    fn from(error: downpour_engine::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<downpour_metainfo::BuildError> for Failure {
    fn from(error: downpour_metainfo::BuildError) -> Self {
        Self(error.to_string())
    }
}
