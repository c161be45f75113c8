//! The seam between pieces and whatever holds them.

use std::io::IoSliceMut;

use bytes::Bytes;

use crate::StorageError;

/// Holds the bytes of one torrent. Every call blocks until it is done; calls may come from many threads.
pub trait Storage: Send + Sync {
    /// Writes `buffers` one after another, from byte `begin` of `piece` on.
    ///
    /// # Errors
    /// If not all of it could be written.
    fn write(&self, piece: u32, begin: u32, buffers: &[Bytes]) -> Result<(), StorageError>;

    /// Fills `buffers` one after another, from byte `begin` of `piece` on.
    ///
    /// # Errors
    /// If not all of it could be read.
    fn read(&self, piece: u32, begin: u32, buffers: &mut [IoSliceMut<'_>]) -> Result<(), StorageError>;

    /// As [`read`](Self::read), but returns `false` instead of waiting for a disk. The buffers are then undefined.
    fn read_if_cached(&self, piece: u32, begin: u32, buffers: &mut [IoSliceMut<'_>]) -> bool;

    /// Brings everything written so far to where it survives a crash.
    ///
    /// # Errors
    /// If the system could not promise that.
    fn sync(&self) -> Result<(), StorageError>;
}
