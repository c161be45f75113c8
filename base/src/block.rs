//! Blocks: the unit of a request.

/// The size of every block but a piece's last, in bytes (BEP 3: "all current implementations use 2^14").
pub const BLOCK_SIZE: u32 = 16 * 1024;

/// A range of bytes inside one piece, as `request`, `cancel` and `piece` messages name it.
///
/// Ordered by piece, then position: the order in which a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Block {
    /// The piece's index.
    pub piece: u32,
    /// Where the block begins in the piece, in bytes.
    pub begin: u32,
    /// How long it is, in bytes.
    pub length: u32,
}

/// How many blocks a piece of `piece_length` bytes has.
#[must_use]
pub const fn block_count(piece_length: u32) -> u32 {
    piece_length.div_ceil(BLOCK_SIZE)
}

/// The length of block number `index` in a piece of `piece_length` bytes; zero past its end.
#[must_use]
pub const fn block_length(piece_length: u32, index: u32) -> u32 {
    let begin = index as u64 * BLOCK_SIZE as u64;
    let left = (piece_length as u64).saturating_sub(begin);
    if left < BLOCK_SIZE as u64 { left as u32 } else { BLOCK_SIZE }
}
