//! Errors for people: what, where, what to do, in one line.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;

/// What ends the program with a non-zero exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    exit_code: u8,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), exit_code: 1 }
    }

    /// The user ended the program before it was done: the exit code that shells give to Ctrl-C.
    pub(crate) fn interrupted(text: impl Into<String>) -> Self {
        Self { text: text.into(), exit_code: 130 }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        self.exit_code
    }

    /// What was wrong with a file.
    pub(crate) fn of(path: &Path, error: impl fmt::Display) -> Self {
        Self::new(format!("{}: {error}", path.display()))
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
        Self::new(format!("{}: {what}: {error}{hint}", path.display()))
    }
}

impl From<downpour_engine::Error> for Failure {
    fn from(error: downpour_engine::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<downpour_metainfo::BuildError> for Failure {
    fn from(error: downpour_metainfo::BuildError) -> Self {
        Self::new(error.to_string())
    }
}
