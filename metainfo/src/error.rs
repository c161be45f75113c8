//! What can be wrong with a torrent.

use downpour_bencode::DecodeError;
use thiserror::Error;

/// What a field of a dictionary should have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Expected {
    /// An integer.
    #[error("an integer")]
    Int,
    /// A byte string.
    #[error("a string")]
    Bytes,
    /// A list.
    #[error("a list")]
    List,
    /// A dictionary.
    #[error("a dictionary")]
    Dict,
}

/// The input is not an acceptable torrent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MetainfoError {
    /// Not bencode.
    #[error(transparent)]
    Bencode(#[from] DecodeError),
    /// A required key is not there.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A key has a value of another kind.
    #[error("`{field}` is not {expected}")]
    WrongKind {
        /// The key.
        field: &'static str,
        /// What it should be.
        expected: Expected,
    },
    /// A number is outside of what makes sense.
    #[error("`{field}` is {value}, expected {minimum} to {maximum}")]
    OutOfRange {
        /// The key.
        field: &'static str,
        /// What it says.
        value: i64,
        /// The least it may say.
        minimum: i64,
        /// The most it may say.
        maximum: i64,
    },
    /// `pieces` has not 20 bytes for each piece.
    #[error("`pieces` has {found} bytes, expected {expected} (20 for each piece)")]
    PiecesLength {
        /// How many bytes there are.
        found: usize,
        /// How many the length and piece length ask for.
        expected: u64,
    },
    /// More pieces than [`MAX_PIECES`](crate::limits::MAX_PIECES).
    #[error("{0} pieces, more than are supported (2^21)")]
    TooManyPieces(u64),
    /// More files than [`MAX_FILES`](crate::limits::MAX_FILES).
    #[error("more files than are supported (2^20)")]
    TooManyFiles,
    /// There is no byte to share.
    #[error("the torrent has no content: its length is zero")]
    Empty,
    /// The lengths of the files add up to more than 64 bits hold.
    #[error("the files are longer than can be counted")]
    LengthOverflow,
    /// A path has no component that can name a file.
    #[error("file {0} has no usable path")]
    EmptyPath(usize),
    /// Larger than [`MAX_TORRENT_BYTES`](crate::limits::MAX_TORRENT_BYTES).
    #[error("the torrent file has {0} bytes, more than 256 MiB")]
    TooLarge(usize),
    /// `meta version` 2 without the v1 keys.
    #[error("this is a BitTorrent v2-only torrent; this version transfers v1 and hybrid torrents")]
    V2Only,
}
