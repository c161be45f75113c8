//! Buffers that are used again and again: no allocation and no clearing on the hot path.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// The sizes of receive buffers; a connection uses the one that its reads fill.
pub(crate) const READ_SIZES: [usize; 3] = [16 << 10, 64 << 10, 256 << 10];
/// Room for 16 blocks with their headers, and messages between them.
pub(crate) const WRITE_SIZE: usize = 272 << 10;
/// Free buffers of one size that are kept.
const KEPT: usize = 64;

/// Free buffers of some sizes.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    free: Mutex<[Vec<Vec<u8>>; 4]>,
}

/// A buffer that goes back to its pool when it is dropped, or when the last [`Bytes`] made of it is.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    class: usize,
    home: Arc<Buffers>,
}

impl Buffers {
    /// A buffer of `READ_SIZES[class]` bytes, with whatever it held before.
    pub(crate) fn for_reading(self: &Arc<Self>, class: usize) -> Buffer {
        self.take(class, READ_SIZES[class])
    }

    /// A buffer of `WRITE_SIZE` bytes.
    pub(crate) fn for_writing(self: &Arc<Self>) -> Buffer {
        self.take(READ_SIZES.len(), WRITE_SIZE)
    }

    fn take(self: &Arc<Self>, class: usize, size: usize) -> Buffer {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner)[class].pop();
        Buffer { bytes: free.unwrap_or_else(|| vec![0; size]), class, home: Arc::clone(self) }
    }
}

impl Buffer {
    pub(crate) fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// The first `length` bytes, uncopied.
    pub(crate) fn freeze(self, length: usize) -> Bytes {
        Bytes::from_owner(self).slice(..length)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut free = self.home.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free[self.class].len() < KEPT {
            free[self.class].push(std::mem::take(&mut self.bytes));
        }
    }
}
