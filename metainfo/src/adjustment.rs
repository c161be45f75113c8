//! What was changed to make a torrent safe.

use std::fmt;

/// Something that is not as the torrent says, because that would be unsafe or impossible somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Adjustment {
    /// Index into the layout's files, or `None` for the name of the whole torrent.
    pub file: Option<usize>,
    /// Why it was changed.
    pub reason: AdjustmentReason,
    /// What the torrent says: a path, a name, or the target of a link. Not safe to print or to open as it is.
    pub original: String,
}

/// Why something was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdjustmentReason {
    /// A name has `..`, separators, control or bidirectional characters, is reserved on Windows, is empty, or too long.
    UnsafeName,
    /// Another file or folder has this name, where case does not count.
    NameTaken,
    /// A symbolic link points out of the torrent, at nothing, or at itself; it is an empty file now.
    BadLink,
}

impl fmt::Display for AdjustmentReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnsafeName => "the name is not safe on every system",
            Self::NameTaken => "the name is taken where case does not count",
            Self::BadLink => "the link does not point into the torrent",
        })
    }
}
