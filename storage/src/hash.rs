//! Hashing in bulk, with the CPU's SHA instructions where it has them.

use std::io::IoSliceMut;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use downpour_metainfo::Layout;
use sha1::{Digest, Sha1};

use crate::{Storage, StorageError};

/// What is read at once: it fits the second-level cache, so that bytes are hashed where they are hot.
const BUFFER: usize = 256 << 10;

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

/// Pieces to hash, shared out among the threads that call [`work`](Self::work).
#[derive(Debug)]
pub struct HashQueue {
    pieces: Vec<u32>,
    next: AtomicUsize,
    stopped: AtomicBool,
}

impl HashQueue {
    /// A queue of `pieces`, taken in this order.
    #[must_use]
    pub fn new(pieces: Vec<u32>) -> Self {
        Self { pieces, next: AtomicUsize::new(0), stopped: AtomicBool::new(false) }
    }

    /// Ends the work of all threads after the pieces that they are at.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Hashes pieces until there are no more, and says what came of each. Run it on each core once.
    pub fn work(
        &self,
        storage: &dyn Storage,
        layout: &Layout,
        each: impl FnMut(u32, Result<[u8; 20], StorageError>),
    ) {
        self.work_on(u64::MAX, storage, layout, each);
    }

    /// As [`work`](Self::work), but stops after `bytes` bytes, or a piece more, so that a thread can do something else in
    /// between. Returns whether there may be more to do.
    pub fn work_on(
        &self,
        bytes: u64,
        storage: &dyn Storage,
        layout: &Layout,
        mut each: impl FnMut(u32, Result<[u8; 20], StorageError>),
    ) -> bool {
        let mut buffer = vec![0; BUFFER];
        let mut hashed = 0;
        while hashed < bytes && !self.stopped.load(Ordering::Relaxed) {
            let Some(&piece) = self.pieces.get(self.next.fetch_add(1, Ordering::Relaxed)) else {
                return false;
            };
            each(piece, hash_piece(storage, layout, piece, &mut buffer));
            hashed += u64::from(layout.piece_size(piece));
        }
        !self.stopped.load(Ordering::Relaxed)
    }
}
