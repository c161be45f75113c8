//! The end of a storage, and of its files.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use crate::create::{check_inside, folder_of};
use crate::relocate::remove_empty;
use crate::{FileStorage, Operation, StorageError};

impl FileStorage {
    /// Waits for the writes that are under way; those that come later fail. Call it before the same files are opened by
    /// another storage, whose part file must have one writer.
    pub fn close(&self) {
        let _fence = self.fence.write().unwrap_or_else(PoisonError::into_inner);
        self.state_mut().closed = true;
    }

    /// Whether it may still be written to. Asked with the fence held.
    pub(crate) fn check_open(&self) -> Result<(), StorageError> {
        let state = self.state();
        if state.closed {
            let error = io::Error::other("the torrent was stopped");
            return Err(StorageError::new(Operation::Write, state.places.root(), error));
        }
        Ok(())
    }

    /// [Closes](Self::close) the storage and removes the part file, the files of which `is_own` says by index and path that
    /// they are the torrent's, and then the torrent's folders that became empty.
    ///
    /// What cannot be the torrent's stays whatever `is_own` says: files that are longer than the torrent's, folders, links
    /// where the torrent has a file, and what is behind a link that leads out of the folder.
    ///
    /// # Errors
    /// The first one, if something cannot be removed. The rest is removed all the same.
    pub fn delete(&self, is_own: impl Fn(usize, &Path) -> bool) -> Result<(), StorageError> {
        let _commit = self.commit.lock().unwrap_or_else(PoisonError::into_inner);
        let _fence = self.fence.write().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state_mut();
        state.closed = true;
        self.handles().release(self.owner);
        self.touched().dirty.clear();
        let mut left: BTreeSet<(PathBuf, usize)> = BTreeSet::new();
        let mut result = Ok(());
        for file in 0..=self.parts_index() {
            let path = state.places.path(&self.layout, file);
            let is_there = fs::symlink_metadata(&path).is_ok_and(|metadata| self.can_be(file, &metadata));
            let is_ours = is_there && (file == self.parts_index() || is_own(file, &path));
            if !is_ours || check_inside(state.places.folder(file), folder_of(&path)).is_err() {
                continue;
            }
            if let Err(error) = fs::remove_file(&path) {
                result = result.and(Err(StorageError::new(Operation::Remove, &path, error)));
            }
            let depth = state.places.relative(&self.layout, file).matches('/').count();
            left.insert((folder_of(&path).to_owned(), depth));
        }
        state.parts.clear();
        for (folder, depth) in left.iter().rev() {
            remove_empty(folder, *depth);
        }
        result
    }

    /// Whether what is on the disk can be `file` of the torrent, or its part file.
    fn can_be(&self, file: usize, metadata: &Metadata) -> bool {
        match self.layout.files().get(file) {
            Some(file) if file.is_pad() => false,
            Some(file) if file.is_symlink() => metadata.is_symlink(),
            Some(file) => metadata.is_file() && metadata.len() <= file.length,
            None => metadata.is_file(),
        }
    }
}
