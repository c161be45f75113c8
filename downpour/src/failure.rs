//! Errors for people: what, where, what to do, in one line.

use std::fmt;
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
