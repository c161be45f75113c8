//! What can go wrong between bencode and a type.

use std::fmt::Display;

use thiserror::Error;

use crate::DecodeError;

/// Bencode and type do not fit.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The input is not canonical bencode.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The value that begins at byte `offset` does not fit the type.
    #[error("at byte {offset}: {message}")]
    Mismatch {
        /// Where the value begins in the input.
        offset: usize,
        /// What was found, and what was expected.
        message: String,
    },
    /// A floating-point number is to be read or written.
    #[error("bencode has no floating-point numbers")]
    Float,
    /// `()`, or `None` that is no entry of a dictionary, is to be written.
    #[error("bencode has no way to write nothing")]
    Nothing,
    /// A key that is no string is to be written.
    #[error("a dictionary key must be a string")]
    Key,
    /// What a type's own code objected to.
    #[error("{0}")]
    Custom(String),
}

impl Error {
    /// Adds the place to an objection that has none yet.
    pub(super) fn at(self, offset: usize) -> Self {
        match self {
            Self::Custom(message) => Self::Mismatch { offset, message },
            other => other,
        }
    }
}

impl serde::de::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Self::Custom(message.to_string())
    }
}

impl serde::ser::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Self::Custom(message.to_string())
    }
}
