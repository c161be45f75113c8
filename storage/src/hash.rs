//! Hashing in bulk, with the CPU's SHA instructions where it has them.

use std::io::IoSliceMut;

use downpour_metainfo::Layout;
use sha1::{Digest, Sha1};

use crate::{Storage, StorageError};

/// The SHA-1 of `chunks`, one after another.
#[must_use]
pub fn sha1<C: AsRef<[u8]>>(chunks: impl IntoIterator<Item = C>) -> [u8; 20] {
    let mut hasher = Sha1::new();
    for chunk in chunks {
        hasher.update(chunk.as_ref());
    }
    hasher.finalize().into()
}

/// Reads `piece` through `buffer` and hashes it. A buffer that fits the CPU's cache is fastest: 256 KiB.
///
/// # Errors
/// If the piece cannot be read.
pub fn hash_piece(
    storage: &dyn Storage,
    layout: &Layout,
    piece: u32,
    buffer: &mut [u8],
) -> Result<[u8; 20], StorageError> {
    let mut hasher = Sha1::new();
    let (mut begin, size) = (0, layout.piece_size(piece));
    while begin < size {
        let length = (size - begin).min(buffer.len() as u32);
        let part = &mut buffer[..length as usize];
        storage.read(piece, begin, &mut [IoSliceMut::new(part)])?;
        hasher.update(part);
        begin += length;
    }
    Ok(hasher.finalize().into())
}
