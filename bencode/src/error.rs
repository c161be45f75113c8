//! What can be wrong with bencode, and where.

use thiserror::Error;

/// The input is not acceptable bencode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("invalid bencode at byte {offset}: {kind}")]
pub struct DecodeError {
    /// The byte at which the rule was broken.
    pub offset: usize,
    /// The rule.
    pub kind: DecodeErrorKind,
}

/// Which rule of bencode was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The input ends inside a value.
    #[error("the input ends too early")]
    UnexpectedEnd,
    /// A byte that starts no value.
    #[error("expected a value (`i`, `l`, `d` or a digit)")]
    ExpectedValue,
    /// A dictionary key that is not a string.
    #[error("expected a string as dictionary key")]
    ExpectedKey,
    /// A key without a value.
    #[error("dictionary ends after a key")]
    MissingValue,
    /// Something else than a digit in a number.
    #[error("expected a digit")]
    ExpectedDigit,
    /// `i-0e` or a superfluous zero at the start of a number (strict mode only).
    #[error("number not in canonical form")]
    NonCanonicalNumber,
    /// A string that says it is longer than the rest of the input.
    #[error("string is longer than the input")]
    StringTooLong,
    /// A key that does not sort after its predecessor (strict mode only).
    #[error("dictionary keys are not sorted")]
    UnsortedKeys,
    /// A key that occurs twice (strict mode only).
    #[error("dictionary key occurs twice")]
    DuplicateKey,
    /// Bytes after the value.
    #[error("data after the end of the value")]
    TrailingData,
    /// More levels than [`Limits::depth`](crate::Limits::depth).
    #[error("nested too deeply")]
    TooDeep,
    /// More values than [`Limits::tokens`](crate::Limits::tokens).
    #[error("too many values")]
    TooManyTokens,
    /// More than 4 GiB of input.
    #[error("input is larger than 4 GiB")]
    InputTooLarge,
}
