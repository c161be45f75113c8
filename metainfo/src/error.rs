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
    /// A file has no path.
    #[error("file {0} has no path")]
    EmptyPath(usize),
    /// A path has more folders than [`MAX_COMPONENTS`](crate::limits::MAX_COMPONENTS).
    #[error("the path of file {0} has more than 64 components")]
    PathTooDeep(usize),
    /// All paths together are longer than [`MAX_PATHS_BYTES`](crate::limits::MAX_PATHS_BYTES).
    #[error("the paths of all files have more than 256 MiB")]
    PathsTooLong,
    /// A name occurs more often than [`MAX_DUPLICATE_NAMES`](crate::limits::MAX_DUPLICATE_NAMES).
    #[error("file {0} has a name that more than 100 others have")]
    TooManyDuplicateNames(usize),
    /// Larger than [`MAX_TORRENT_BYTES`](crate::limits::MAX_TORRENT_BYTES).
    #[error("the torrent file has {0} bytes, more than 256 MiB")]
    TooLarge(usize),
    /// A `meta version` that is not known yet (BEP 52).
    #[error("the torrent is of version {0}; versions 1 and 2 are known")]
    UnknownVersion(i64),
    /// The piece length of a v2 torrent is not a power of two of at least 16 KiB (BEP 52).
    #[error("`piece length` is {0}, which a v2 torrent may not have: expected a power of two from 16384")]
    PieceLengthV2(i64),
    /// An entry of `file tree` is neither a file nor a folder (BEP 52).
    #[error("`file tree` has an entry that is neither a file nor a folder")]
    FileTree,
    /// A pad file in `file tree`, where the alignment is implied (BEP 52).
    #[error("file {0} of `file tree` is a pad file, which v2 torrents do not have")]
    PadFileInTree(usize),
    /// A file with content has no `pieces root`, or not 32 bytes that could be one (BEP 52).
    #[error("file {0} of `file tree` has no usable `pieces root`")]
    PiecesRoot(usize),
    /// The v1 and the v2 half of a hybrid torrent describe different files (BEP 52).
    #[error("the v1 and v2 halves of the torrent differ at file {0}")]
    HybridMismatch(usize),
    /// An entry of `piece layers` belongs to no file, has the wrong length, or its hashes do not give the file's root
    /// (BEP 52).
    #[error("`piece layers` has an entry that does not fit: {0}")]
    PieceLayer(PieceLayerError),
}

/// What is wrong with an entry of `piece layers` (BEP 52).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PieceLayerError {
    /// No file that is longer than a piece has this root.
    #[error("no file needs it")]
    NoSuchFile,
    /// Not 32 bytes for each piece of the file.
    #[error("it has not 32 bytes for each piece of its file")]
    Length,
    /// The hashes do not give the file's root.
    #[error("its hashes do not give the root of its file")]
    Root,
}
