//! Moving a torrent to another folder, and renaming its files, while they are read and written.
//!
//! Both have two steps. The first looks whether it can be done and makes it known: the caller saves the
//! [`placement`](FileStorage::placement), which names the old place and the new one, so that a crash in the middle loses
//! nothing. The second does it. What fails half-way leaves every file where it is found, and can be tried again.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use crate::create::{create_folder, create_folder_in, folder_of, sync_folder};
use crate::files::is_stored;
use crate::placement::{is_file, is_safe};
use crate::vectored::{read_at, write_at};
use crate::{FileStorage, Operation, StorageError};

/// What is copied at once, in bytes.
const COPY_BUFFER: u64 = 1 << 20;
/// What a file is called while it is copied.
const COPY_SUFFIX: &str = ".moving";

impl FileStorage {
    /// Begins a move: from now on files belong under `folder`, which is made if it is missing. Save the
    /// [`placement`](Self::placement), then call [`finish_move`](Self::finish_move).
    ///
    /// # Errors
    /// If the folder cannot be made, or there is something of a file's name in it and `overwrite` is not asked for.
    /// Nothing has changed then.
    pub fn begin_move(&self, folder: &Path, overwrite: bool) -> Result<(), StorageError> {
        create_folder(folder)?;
        self.cancelled.store(false, Ordering::Release);
        let mut state = self.state_mut();
        let layout = &self.layout;
        let mut existing = Vec::new();
        let mut in_the_way = Vec::new();
        for file in 0..=self.parts_index() {
            let from = state.places.path(layout, file);
            let to = folder.join(state.places.relative(layout, file));
            let is_there = layout.files().get(file).is_none_or(is_stored) && is_file(&from);
            if is_there {
                existing.push(file);
            }
            let matters = is_there || self.is_expected(&state, file);
            if matters && from != to && Self::exists(&to) && !is_same(&from, &to) {
                in_the_way.push(to);
            }
        }
        if let Some(first) = in_the_way.first()
            && !overwrite
        {
            return Err(StorageError::new(Operation::Move, first, io::ErrorKind::AlreadyExists));
        }
        // Before the new place is made known: from then on, what is there is ours.
        for path in in_the_way {
            fs::remove_file(&path).map_err(|error| StorageError::new(Operation::Remove, &path, error))?;
        }
        state.places.set_root(folder, existing.into_iter());
        Ok(())
    }

    /// Brings all files to where they belong: by renaming them, or, to another disk, by copying them, syncing the copy
    /// and removing the original. May take long; reads and writes go on.
    ///
    /// # Errors
    /// If a file cannot be moved, or [`cancel_move`](Self::cancel_move) was called. Those that are moved stay moved; the rest
    /// is where it was; calling it again goes on.
    pub fn finish_move(&self) -> Result<(), StorageError> {
        let strays = self.state().places.strays();
        let mut left = BTreeSet::new();
        for file in strays {
            if self.cancelled.load(Ordering::Acquire) {
                return Err(self.fail(Operation::Move, file, io::ErrorKind::Interrupted));
            }
            left.insert((folder_of(&self.path(file)).to_owned(), self.depth(file)));
            self.move_file(file)?;
        }
        for (folder, depth) in left.iter().rev() {
            let _ = sync_folder(folder);
            remove_empty(folder, *depth);
        }
        Ok(())
    }

    /// Whether there are files that are not where they belong: a move was interrupted.
    #[must_use]
    pub fn is_scattered(&self) -> bool {
        !self.state().places.strays().is_empty()
    }

    /// Ends a [`finish_move`](Self::finish_move) soon.
    pub fn cancel_move(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// How many folders of the torrent `file` is in.
    fn depth(&self, file: usize) -> usize {
        self.state().places.relative(&self.layout, file).matches('/').count()
    }

    fn move_file(&self, file: usize) -> Result<(), StorageError> {
        let (from, to, root) = {
            let state = self.state();
            let (from, to) =
                (state.places.path(&self.layout, file), state.places.destination(&self.layout, file));
            (from, to, Arc::clone(state.places.root()))
        };
        let fail = |error: io::Error| StorageError::new(Operation::Move, &to, error);
        create_folder_in(&root, folder_of(&to))?;
        {
            let _commit = self.commit.lock().unwrap_or_else(PoisonError::into_inner);
            let _fence = self.fence.write().unwrap_or_else(PoisonError::into_inner);
            self.check_open()?;
            let mut state = self.state_mut();
            match fs::rename(&from, &to) {
                Ok(()) => {
                    // Open handles lead to the same file.
                    state.places.arrived(file);
                    drop(state);
                    return sync_folder(folder_of(&to));
                }
                // Somebody removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound && !Self::exists(&from) => {
                    state.places.arrived(file);
                    self.forget_handle(file);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {}
                Err(error) => return Err(fail(error)),
            }
        }
        let aside = aside(&to);
        let copied = self.copy_file(file, &from, &aside, &to);
        if copied.is_err() {
            self.touched().copying = None;
            // What is left of it would be in the way of nothing, but take space.
            let _ = fs::remove_file(&aside);
        }
        copied.map_err(fail)?;
        sync_folder(folder_of(&to))?;
        fs::remove_file(&from).map_err(|error| StorageError::new(Operation::Remove, &from, error))
    }

    /// Copies a file to another disk while it may be written to, and puts the copy in its place.
    fn copy_file(&self, file: usize, from: &Path, aside: &Path, to: &Path) -> io::Result<()> {
        // What an earlier try left, or somebody put there: written through, a link would lead elsewhere.
        let open = |path: &Path| {
            let _ = fs::remove_file(path);
            File::options().read(true).write(true).create_new(true).open(path)
        };
        let source = self
            .handles()
            .with_room(|| File::open(from).map_err(|error| StorageError::new(Operation::Open, from, error)));
        let source = source.map_err(|error| error.source)?;
        let target = open(aside)?;
        if file != self.parts_index() {
            self.touched().copying = Some((file, Vec::new()));
            copy(&source, &target, || self.cancelled.load(Ordering::Acquire))?;
            target.sync_data()?;
        }
        let _commit = self.commit.lock().unwrap_or_else(PoisonError::into_inner);
        let _fence = self.fence.write().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state_mut();
        if file == self.parts_index() {
            // Its table changes without the writers' knowledge; it is small.
            copy(&source, &target, || false)?;
        }
        self.copy_touched(&source, &target)?;
        if let Ok(modified) = source.metadata().and_then(|metadata| metadata.modified()) {
            let _ = target.set_modified(modified);
        }
        target.sync_all()?;
        fs::rename(aside, to)?;
        state.places.arrived(file);
        self.forget_handle(file);
        Ok(())
    }

    /// Copies what was written to the original after the copy had begun.
    fn copy_touched(&self, source: &File, target: &File) -> io::Result<()> {
        let Some((_, ranges)) = self.touched().copying.take() else { return Ok(()) };
        let mut buffer = Vec::new();
        for (offset, length) in ranges {
            // A write that failed may have left less.
            let there = source.metadata()?.len().saturating_sub(offset).min(length);
            buffer.resize(there as usize, 0);
            read_at(source, &mut &mut [IoSliceMut::new(&mut buffer)][..], offset, there)?;
            write_at(target, &mut &mut [IoSlice::new(&buffer)][..], offset, there)?;
        }
        Ok(())
    }

    /// Begins to rename `file` to `name`: components joined by `/`, below the torrent's folder. Save the
    /// [`placement`](Self::placement), then call [`finish_rename`](Self::finish_rename).
    ///
    /// # Errors
    /// If the name leads out of the folder, or another file has it. Nothing has changed then.
    pub fn begin_rename(&self, file: usize, name: &str) -> Result<(), StorageError> {
        let mut state = self.state_mut();
        let to = state.places.folder(file).join(name);
        let refuse = |kind: io::ErrorKind| Err(StorageError::new(Operation::Rename, &to, kind));
        if file >= self.parts_index() || !is_safe(name) {
            return refuse(io::ErrorKind::InvalidFilename);
        }
        let folded = name.to_lowercase();
        let within =
            |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
        let clashes = (0..=self.parts_index()).filter(|other| *other != file).any(|other| {
            let other = state.places.relative(&self.layout, other).to_lowercase();
            other == folded || within(&other, &folded) || within(&folded, &other)
        });
        let from = state.places.path(&self.layout, file);
        // A file cannot go into a folder that has to be where the file is.
        let into_itself = from != to && to.starts_with(&from);
        // In the folder that it is in, and in the one where it belongs.
        let is_taken = |to: &Path| Self::exists(to) && !is_same(&from, to);
        if clashes || into_itself || is_taken(&to) || is_taken(&state.places.root().join(name)) {
            return refuse(io::ErrorKind::AlreadyExists);
        }
        state.places.announce_name(&self.layout, file, Some(name.to_owned()));
        Ok(())
    }

    /// Gives `file` the name that was announced. A file that is not there gets it when it is made.
    ///
    /// # Errors
    /// If it cannot be renamed: it keeps its old name.
    pub fn finish_rename(&self, file: usize) -> Result<PathBuf, StorageError> {
        let _fence = self.fence.write().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state_mut();
        let from = state.places.path(&self.layout, file);
        let Some(name) = state.places.announced_name(file) else { return Ok(from) };
        // It stays in the folder that it is in.
        let depth = state.places.relative(&self.layout, file).split('/').count();
        let to = state.places.folder(file).join(name);
        // What is not there needs no folder yet.
        let renamed = match is_file(&from) {
            true => create_folder_in(state.places.folder(file), folder_of(&to)).and_then(|()| {
                fs::rename(&from, &to).map_err(|error| StorageError::new(Operation::Rename, &to, error))
            }),
            false => Ok(()),
        };
        match renamed {
            Ok(()) => state.places.take_name(file),
            Err(_) => state.places.announce_name(&self.layout, file, None),
        }
        drop(state);
        renamed?;
        if folder_of(&to).exists() {
            sync_folder(folder_of(&to))?;
        }
        remove_empty(folder_of(&from), depth - 1);
        Ok(to)
    }
}

/// Removes `folder` and the `depth - 1` that it is in, as far as they are empty.
pub(crate) fn remove_empty(folder: &Path, depth: usize) {
    for folder in folder.ancestors().take(depth) {
        if fs::remove_dir(folder).is_err() {
            return;
        }
    }
}

/// Copies what is in a file, but not its holes.
fn copy(source: &File, target: &File, is_cancelled: impl Fn() -> bool) -> io::Result<()> {
    let length = source.metadata()?.len();
    target.set_len(length)?;
    let mut buffer = vec![0; COPY_BUFFER as usize];
    let mut offset = 0;
    while offset < length {
        let (start, end) = match data_at(source, offset, length)? {
            Some(data) => data,
            None => return Ok(()),
        };
        offset = start;
        while offset < end {
            if is_cancelled() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let now = (end - offset).min(COPY_BUFFER);
            let part = &mut buffer[..now as usize];
            read_at(source, &mut &mut [IoSliceMut::new(part)][..], offset, now)?;
            write_at(target, &mut &mut [IoSlice::new(part)][..], offset, now)?;
            offset += now;
        }
    }
    Ok(())
}

/// Where the data at or after `offset` begins and ends, `None` if only a hole follows.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn data_at(file: &File, offset: u64, length: u64) -> io::Result<Option<(u64, u64)>> {
    match seek(file, SeekFrom::Data(offset)) {
        Ok(start) => Ok(Some((start, seek(file, SeekFrom::Hole(start))?.min(length)))),
        Err(Errno::NXIO) => Ok(None),
        // A file system that does not know.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Some((offset, length))),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn data_at(_: &File, offset: u64, length: u64) -> io::Result<Option<(u64, u64)>> {
    Ok(Some((offset, length)))
}

fn aside(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(COPY_SUFFIX);
    name.into()
}

/// Whether two paths lead to one file, as on a file system that ignores case.
fn is_same(a: &Path, b: &Path) -> bool {
    match (fs::canonicalize(a), fs::canonicalize(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}
