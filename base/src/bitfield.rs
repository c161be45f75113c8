//! Which pieces somebody has.

use core::fmt;

/// A set of piece indices in the wire format of BEP 3: the high bit of the first byte is piece 0, and the
/// spare bits at the end are zero. The number of ones is kept, so [`count`](Self::count) is O(1).
#[derive(Clone, PartialEq, Eq)]
pub struct Bitfield {
    bytes: Vec<u8>,
    len: u32,
    count: u32,
}

/// Why bytes are not a bitfield.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BitfieldError {
    /// `found` bytes where exactly `expected` are needed.
    Length {
        /// Bytes that came.
        found: usize,
        /// Bytes that the number of pieces asks for.
        expected: usize,
    },
    /// A spare bit past the last piece is set (BEP 3: "Spare bits at the end are set to zero").
    SpareBits,
}

impl fmt::Display for BitfieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { found, expected } => {
                write!(f, "bitfield of {found} bytes, expected {expected}")
            }
            Self::SpareBits => f.write_str("bitfield with spare bits set"),
        }
    }
}

impl std::error::Error for BitfieldError {}

impl Bitfield {
    /// The empty set over `len` pieces.
    #[must_use]
    pub fn new(len: u32) -> Self {
        Self { bytes: vec![0; (len as usize).div_ceil(8)], len, count: 0 }
    }

    /// The full set over `len` pieces.
    #[must_use]
    pub fn full(len: u32) -> Self {
        let mut bytes = vec![0xff; (len as usize).div_ceil(8)];
        if let Some(last) = bytes.last_mut() {
            *last &= spare_mask(len);
        }
        Self { bytes, len, count: len }
    }

    /// Reads the wire format.
    ///
    /// # Errors
    /// If the length is not that of `len` pieces, or a spare bit is set.
    pub fn from_bytes(bytes: &[u8], len: u32) -> Result<Self, BitfieldError> {
        let expected = (len as usize).div_ceil(8);
        if bytes.len() != expected {
            return Err(BitfieldError::Length { found: bytes.len(), expected });
        }
        if bytes.last().is_some_and(|last| last & !spare_mask(len) != 0) {
            return Err(BitfieldError::SpareBits);
        }
        let count = bytes.iter().map(|byte| byte.count_ones()).sum();
        Ok(Self { bytes: bytes.to_vec(), len, count })
    }

    /// The wire format.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many pieces the set is over.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether the set is over no pieces at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many pieces are in the set.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether every piece is in the set.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.count == self.len
    }

    /// Whether `piece` is in the set; `false` past the end.
    #[must_use]
    pub fn contains(&self, piece: u32) -> bool {
        piece < self.len && self.bytes[(piece / 8) as usize] & (0x80 >> (piece % 8)) != 0
    }

    /// Puts `piece` into the set. Returns whether it was new; a piece past the end changes nothing.
    pub fn insert(&mut self, piece: u32) -> bool {
        if piece >= self.len || self.contains(piece) {
            return false;
        }
        self.bytes[(piece / 8) as usize] |= 0x80 >> (piece % 8);
        self.count += 1;
        true
    }

    /// Takes `piece` out of the set. Returns whether it was there.
    pub fn remove(&mut self, piece: u32) -> bool {
        if !self.contains(piece) {
            return false;
        }
        self.bytes[(piece / 8) as usize] &= !(0x80 >> (piece % 8));
        self.count -= 1;
        true
    }

    /// The pieces in the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.bytes.iter().enumerate().filter(|(_, byte)| **byte != 0).flat_map(|(i, &byte)| {
            (0..8u32).filter(move |bit| byte & (0x80 >> bit) != 0).map(move |bit| i as u32 * 8 + bit)
        })
    }

    /// Whether `self` has a piece that `other` lacks. O(pieces / 8).
    #[must_use]
    pub fn has_any_missing_in(&self, other: &Self) -> bool {
        self.bytes.iter().zip(&other.bytes).any(|(ours, theirs)| ours & !theirs != 0)
    }
}

fn spare_mask(len: u32) -> u8 {
    match len % 8 {
        0 => 0xff,
        used => 0xffu8 << (8 - used),
    }
}

impl fmt::Debug for Bitfield {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bitfield({}/{})", self.count, self.len)
    }
}
