//! A torrent in memory: for tests, simulations, and programs that want no files.

use std::io::IoSliceMut;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use downpour_metainfo::Layout;

use crate::{Storage, StorageError};

/// Holds a torrent's bytes in one buffer.
#[derive(Debug)]
pub struct MemoryStorage {
    layout: Layout,
    bytes: Mutex<Vec<u8>>,
}

impl MemoryStorage {
    /// Memory for a torrent, all zero.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        let bytes = Mutex::new(vec![0; layout.total_length() as usize]);
        Self { layout, bytes }
    }

    fn position(&self, piece: u32, begin: u32) -> usize {
        piece as usize * self.layout.piece_length() as usize + begin as usize
    }
}

impl Storage for MemoryStorage {
    fn write(&self, piece: u32, begin: u32, buffers: &[Bytes]) -> Result<(), StorageError> {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut at = self.position(piece, begin).min(bytes.len());
        for buffer in buffers {
            let length = buffer.len().min(bytes.len() - at);
            bytes[at..at + length].copy_from_slice(&buffer[..length]);
            at += length;
        }
        Ok(())
    }

    fn read(&self, piece: u32, begin: u32, buffers: &mut [IoSliceMut<'_>]) -> Result<(), StorageError> {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut at = self.position(piece, begin).min(bytes.len());
        for buffer in buffers {
            let length = buffer.len().min(bytes.len() - at);
            buffer[..length].copy_from_slice(&bytes[at..at + length]);
            at += length;
        }
        Ok(())
    }

    fn read_if_cached(&self, piece: u32, begin: u32, buffers: &mut [IoSliceMut<'_>]) -> bool {
        self.read(piece, begin, buffers).is_ok()
    }

    fn sync(&self) -> Result<(), StorageError> {
        Ok(())
    }
}
