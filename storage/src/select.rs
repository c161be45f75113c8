//! Which files are wanted, and the way of bytes into the part file and out of it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, IoSlice, IoSliceMut};
use std::sync::PoisonError;

use downpour_metainfo::FileSpan;

use crate::create::create_file;
use crate::parts::{Share, write_entries};
use crate::vectored::{read_at, write_at};
use crate::{FileStorage, Operation, StorageError};

impl FileStorage {
    /// Chooses the wanted files; `wanted` says it of each index. What the part file has of newly wanted ones goes into
    /// them; what is there of those no longer wanted stays as it is.
    ///
    /// # Errors
    /// If a file cannot be filled: it and those after it stay unwanted, and nothing is lost.
    pub fn select(&self, wanted: impl Fn(usize) -> bool) -> Result<(), StorageError> {
        let _commit = self.commit.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody writes to the part file meanwhile.
        let _fence = self.fence.write().unwrap_or_else(PoisonError::into_inner);
        for file in 0..self.layout.files().len() {
            if !wanted(file) {
                self.state_mut().wanted[file] = false;
                continue;
            }
            let shares = self.state().parts.shares_of(file);
            if !shares.is_empty() {
                self.bring_home(file, &shares)?;
            }
            self.state_mut().wanted[file] = true;
        }
        Ok(())
    }

    /// Whether `file` is wanted.
    #[must_use]
    pub fn is_wanted(&self, file: usize) -> bool {
        self.state().wanted.get(file).copied().unwrap_or(false)
    }

    /// Copies what the part file has of `file` into it, and takes it out of the part file when it is safe there.
    fn bring_home(&self, file: usize, shares: &[(Share, u64)]) -> Result<(), StorageError> {
        let parts_index = self.parts_index();
        let (from, to) = {
            let state = self.state();
            (self.handle(&state, parts_index, false)?, self.handle(&state, file, true)?)
        };
        let mut buffer = Vec::new();
        for &(share, position) in shares {
            let span = self.share_span(share);
            buffer.resize(span.length as usize, 0);
            read_at(&from, &mut &mut [IoSliceMut::new(&mut buffer)][..], position, span.length)
                .map_err(|error| self.fail(Operation::Read, parts_index, error))?;
            write_at(&to, &mut &mut [IoSlice::new(&buffer)][..], span.offset, span.length)
                .map_err(|error| self.fail(Operation::Write, file, error))?;
            self.touched().note(file, span.offset, span.length);
        }
        to.sync_data().map_err(|error| self.fail(Operation::Sync, file, error))?;
        // The data is safe in the file; only now may the part file forget it.
        let mut state = self.state_mut();
        state.parts.remove(shares);
        if state.parts.is_empty() {
            let path = state.places.path(&self.layout, parts_index);
            state.parts.clear();
            self.touched().dirty.remove(&parts_index);
            self.forget_handle(parts_index);
            drop(state);
            return match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(StorageError::new(Operation::Remove, &path, error))
                }
                _ => Ok(()),
            };
        }
        let table = self.handle(&state, parts_index, true)?;
        drop(state);
        let forgotten = write_entries(&table, shares.iter().map(|(share, _)| (*share, 0)));
        forgotten
            .and_then(|()| table.sync_data())
            .map_err(|error| self.fail(Operation::Sync, parts_index, error))
    }

    /// What is in the part file: file and piece.
    #[must_use]
    pub fn in_parts(&self) -> BTreeSet<(usize, u32)> {
        self.state().parts.shares().collect()
    }

    /// Makes room in the part file for what `piece` has in a file that is not wanted.
    pub(crate) fn make_share(&self, piece: u32, span: &FileSpan) -> Result<(), StorageError> {
        let (share, whole) = ((span.file, piece), self.share_span((span.file, piece)));
        let mut state = self.state_mut();
        if state.wanted[span.file] || state.parts.position(share).is_some() {
            return Ok(());
        }
        if !state.parts.exists() {
            let path = state.places.path(&self.layout, state.places.parts);
            self.forget_handle(state.places.parts);
            let file =
                self.handles().with_room(|| create_file(state.places.folder(state.places.parts), &path))?;
            let created = state.parts.create(&file, &self.layout);
            created.map_err(|error| StorageError::new(Operation::Create, &path, error))?;
        }
        // What the file has from when it was wanted is the rest of a share that is written in part.
        let mut old = vec![0; if *span == whole { 0 } else { whole.length as usize }];
        if !old.is_empty()
            && let Ok(file) = self.handle(&state, span.file, false)
        {
            // A file that is too short has nothing to keep.
            let _ = read_at(&file, &mut &mut [IoSliceMut::new(&mut old)][..], whole.offset, whole.length);
        }
        let parts = self.handle(&state, state.places.parts, true)?;
        let position = state.parts.allocate(share, whole.length);
        let parts_index = state.places.parts;
        let written = write_at(&parts, &mut &mut [IoSlice::new(&old)][..], position, old.len() as u64);
        if written.is_err() {
            state.parts.remove(&[(share, position)]);
        }
        drop(state);
        written.map_err(|error| self.fail(Operation::Write, parts_index, error))
    }
}
