//! A torrent as files in a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use downpour_metainfo::{FileSpan, Layout};
use rustix::io::{ReadWriteFlags, preadv2};

use crate::create::{allocate, create_file, create_folder, grow};
use crate::parts::{Parts, Share, write_entries};
use crate::placement::Places;
use crate::vectored::{MAX_BUFFERS, read_at, write_at, zero};
use crate::{FileStamp, HandlePool, OnDisk, Operation, Placement, Storage, StorageError};

/// What happens to the space of a file that is about to be downloaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Allocation {
    /// The file has its full size at once and takes space as pieces come.
    #[default]
    Sparse,
    /// All space is taken at once, so that the disk cannot become full in the middle.
    Full,
}

/// Reads and writes a torrent's files under a folder, opening them when they are needed.
///
/// A file that is not wanted is never made, written to or cut: what wanted pieces have in it goes to the torrent's part
/// file, a hidden file in the same folder, and from there into the file when it becomes wanted. Pad files (BEP 47)
/// are zeros, and never on disk.
///
/// [`write`](Storage::write) and [`read`](Storage::read) may be called from any number of threads, also while one of
/// the others is at work. [`select`](Self::select), and the verbs that move and rename, come one at a time.
#[derive(Debug)]
pub struct FileStorage {
    pub(crate) layout: Arc<Layout>,
    allocation: Allocation,
    handles: Arc<HandlePool>,
    pub(crate) owner: u64,
    // Locks, in the order in which they are taken when one needs several.
    /// Held by whoever brings data to the disk for good, or changes where it is.
    pub(crate) commit: Mutex<()>,
    /// Shared by those who write; alone holds it who changes where what is written belongs.
    pub(crate) fence: RwLock<()>,
    pub(crate) state: RwLock<State>,
    pub(crate) touched: Mutex<Touched>,
    /// Ends a move that is on its way.
    pub(crate) cancelled: AtomicBool,
}

/// What was written.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// Files written to since the last sync. A file is named after the write: a sync that began before would not reach it.
    pub(crate) dirty: BTreeSet<usize>,
    /// The file that is being copied to another disk, and what of it was written meanwhile: offset, length.
    pub(crate) copying: Option<(usize, Vec<(u64, u64)>)>,
    /// Files that the system failed to sync, and why. It reports that once: a later sync would succeed without what
    /// was lost.
    lost: BTreeMap<usize, Option<i32>>,
}

impl Touched {
    pub(crate) fn note(&mut self, file: usize, offset: u64, length: u64) {
        self.dirty.insert(file);
        if let Some((copied, ranges)) = &mut self.copying
            && *copied == file
        {
            ranges.push((offset, length));
        }
    }
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) places: Places,
    pub(crate) wanted: Vec<bool>,
    pub(crate) parts: Parts,
    /// Nothing is written any more.
    pub(crate) closed: bool,
}

/// Where a run of bytes is.
enum Spot {
    /// In a pad file.
    Zeros,
    /// In a file, by index, from an offset on.
    In(usize, u64),
}

impl FileStorage {
    /// The files of `layout` under `root`, all of them wanted. Touches nothing yet.
    #[must_use]
    pub fn new(root: PathBuf, layout: Arc<Layout>, allocation: Allocation, handles: Arc<HandlePool>) -> Self {
        let placement =
            Placement { save_paths: vec![root], names: Default::default(), part_file: ".parts".to_owned() };
        let places = Places::new(placement, &layout);
        Self::with(places, Parts::default(), layout, allocation, handles)
    }

    /// The files of `layout` at `placement`, all of them wanted: looks where they are, and reads the part file's table.
    ///
    /// # Errors
    /// If there is a part file that cannot be read.
    pub fn open(
        placement: Placement,
        layout: Arc<Layout>,
        allocation: Allocation,
        handles: Arc<HandlePool>,
    ) -> Result<Self, StorageError> {
        let places = Places::find(placement, &layout);
        let path = places.path(&layout, places.parts);
        let parts = handles.with_room(|| Parts::load(&path, &layout))?;
        Ok(Self::with(places, parts, layout, allocation, handles))
    }

    fn with(
        places: Places,
        parts: Parts,
        layout: Arc<Layout>,
        allocation: Allocation,
        handles: Arc<HandlePool>,
    ) -> Self {
        let wanted = vec![true; layout.files().len()];
        Self {
            allocation,
            owner: handles.register(),
            handles,
            commit: Mutex::default(),
            fence: RwLock::default(),
            state: RwLock::new(State { places, wanted, parts, closed: false }),
            touched: Mutex::default(),
            cancelled: AtomicBool::new(false),
            layout,
        }
    }

    /// Where `file` is.
    #[must_use]
    pub fn path(&self, file: usize) -> PathBuf {
        self.state().places.path(&self.layout, file)
    }

    /// Where the files are, as it is to be remembered for the next [`open`](Self::open).
    #[must_use]
    pub fn placement(&self) -> Placement {
        self.state().places.placement()
    }

    /// Makes what no piece will make: the folder, the empty files, and, with [`Allocation::Full`], all space; of the
    /// wanted files.
    ///
    /// # Errors
    /// If something cannot be made, or a folder is where a file should be.
    pub fn prepare(&self) -> Result<(), StorageError> {
        let state = self.state();
        create_folder(state.places.root())?;
        for (index, file) in self.layout.files().iter().enumerate() {
            if !state.wanted[index] || !is_stored(file) {
                continue;
            }
            let path = state.places.path(&self.layout, index);
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {
                    return Err(StorageError::new(Operation::Create, &path, io::ErrorKind::IsADirectory));
                }
                Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                    return Err(StorageError::new(Operation::Create, &path, error));
                }
                _ => {}
            }
            let full = self.allocation == Allocation::Full && file.length > 0;
            if file.length == 0 || full {
                let opened = self.handles.with_room(|| create_file(state.places.folder(index), &path))?;
                if full {
                    allocate(&opened, file.length)
                        .map_err(|error| StorageError::new(Operation::Create, &path, error))?;
                }
            }
        }
        Ok(())
    }

    /// What the disk has of the torrent.
    #[must_use]
    pub fn on_disk(&self) -> OnDisk {
        let state = self.state();
        let stamp = |file| {
            let path = state.places.path(&self.layout, file);
            fs::metadata(path).ok().and_then(|metadata| FileStamp::of(&metadata))
        };
        let in_parts: BTreeSet<Share> = state.parts.shares().collect();
        let files = self.layout.files().iter().enumerate();
        OnDisk {
            files: files.map(|(index, file)| if is_stored(file) { stamp(index) } else { None }).collect(),
            parts: if in_parts.is_empty() { None } else { stamp(state.places.parts) },
            in_parts,
        }
    }

    pub(crate) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn touched(&self) -> MutexGuard<'_, Touched> {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn forget_handle(&self, file: usize) {
        self.handles.forget((self.owner, file));
    }

    pub(crate) fn handles(&self) -> &HandlePool {
        &self.handles
    }

    /// The index under which the part file is handled like a file of the torrent.
    pub(crate) fn parts_index(&self) -> usize {
        self.layout.files().len()
    }

    /// The open file. The state is held, so that its path cannot change meanwhile.
    pub(crate) fn handle(&self, state: &State, file: usize, write: bool) -> Result<Arc<File>, StorageError> {
        self.handles.get((self.owner, file), write, || {
            let path = state.places.path(&self.layout, file);
            if !write {
                return File::open(&path).map_err(|error| StorageError::new(Operation::Open, &path, error));
            }
            let opened = create_file(state.places.folder(file), &path)?;
            let length = self.layout.files().get(file).map_or(0, |file| file.length);
            grow(&opened, length).map_err(|error| StorageError::new(Operation::Create, &path, error))?;
            Ok(opened)
        })
    }

    /// All bytes that a piece has in a file.
    pub(crate) fn share_span(&self, (file, piece): Share) -> FileSpan {
        let Some(of) = self.layout.files().get(file) else { return FileSpan { file, offset: 0, length: 0 } };
        let begin = u64::from(piece) * u64::from(self.layout.piece_length());
        let end = (begin + u64::from(self.layout.piece_size(piece))).min(of.offset + of.length);
        let start = begin.max(of.offset);
        FileSpan { file, offset: start - of.offset, length: end.saturating_sub(start) }
    }

    fn spot(&self, state: &State, piece: u32, span: &FileSpan) -> Spot {
        if self.layout.files()[span.file].is_pad() {
            return Spot::Zeros;
        }
        match state.parts.position((span.file, piece)) {
            Some(position) => {
                let within = span.offset - self.share_span((span.file, piece)).offset;
                Spot::In(state.places.parts, position + within)
            }
            None => Spot::In(span.file, span.offset),
        }
    }

    pub(crate) fn fail(
        &self,
        operation: Operation,
        file: usize,
        error: impl Into<io::Error>,
    ) -> StorageError {
        StorageError::new(operation, &self.path(file), error)
    }

    /// Where the torrent's file or folder is.
    #[must_use]
    pub fn save_path(&self) -> PathBuf {
        self.state().places.root().to_path_buf()
    }

    /// Whether `file` may be written to before it is there.
    pub(crate) fn is_expected(&self, state: &State, file: usize) -> bool {
        self.layout.files().get(file).is_some_and(is_stored) && state.wanted[file]
    }

    pub(crate) fn exists(path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok()
    }
}

/// Whether a file of the torrent is a file on the disk.
pub(crate) fn is_stored(file: &downpour_metainfo::File) -> bool {
    !file.is_pad() && file.symlink_target.is_none()
}

impl Drop for FileStorage {
    fn drop(&mut self) {
        self.handles.release(self.owner);
    }
}

impl Storage for FileStorage {
    fn write(&self, piece: u32, begin: u32, buffers: &[Bytes]) -> Result<(), StorageError> {
        let length: usize = buffers.iter().map(Bytes::len).sum();
        let mut slices: Vec<IoSlice<'_>> = buffers.iter().map(|buffer| IoSlice::new(buffer)).collect();
        let mut left = &mut slices[..];
        let _fence = self.fence.read().unwrap_or_else(PoisonError::into_inner);
        self.check_open()?;
        for span in self.layout.spans(piece, begin, length as u32) {
            if !self.is_wanted(span.file) && !self.layout.files()[span.file].is_pad() {
                self.make_share(piece, &span)?;
            }
            let state = self.state();
            match self.spot(&state, piece, &span) {
                Spot::Zeros => IoSlice::advance_slices(&mut left, span.length as usize),
                Spot::In(file, offset) => {
                    let handle = self.handle(&state, file, true)?;
                    drop(state);
                    let written = write_at(&handle, &mut left, offset, span.length);
                    self.touched().note(file, offset, span.length);
                    written.map_err(|error| self.fail(Operation::Write, file, error))?;
                    if file != span.file {
                        self.state_mut().parts.written((span.file, piece));
                    }
                }
            }
        }
        Ok(())
    }

    fn read(&self, piece: u32, begin: u32, buffers: &mut [IoSliceMut<'_>]) -> Result<(), StorageError> {
        let length: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        let mut left = buffers;
        for span in self.layout.spans(piece, begin, length as u32) {
            let state = self.state();
            match self.spot(&state, piece, &span) {
                Spot::Zeros => zero(&mut left, span.length),
                Spot::In(file, offset) => {
                    let handle = self.handle(&state, file, false)?;
                    drop(state);
                    read_at(&handle, &mut left, offset, span.length)
                        .map_err(|error| self.fail(Operation::Read, file, error))?;
                }
            }
        }
        Ok(())
    }

    fn read_if_cached(&self, piece: u32, begin: u32, buffers: &mut [IoSliceMut<'_>]) -> bool {
        let length: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        let mut spans = self.layout.spans(piece, begin, length as u32);
        // The common case only: one file, and all of it in the page cache.
        let Some(span) = spans.next().filter(|span| span.length == length as u64) else { return false };
        if buffers.len() > MAX_BUFFERS {
            return false;
        }
        // Who holds the state may be waiting for a disk; so does who opens a file.
        let Ok(state) = self.state.try_read() else { return false };
        let Spot::In(file, offset) = self.spot(&state, piece, &span) else { return false };
        let Some(handle) = self.handles.get_open((self.owner, file)) else { return false };
        drop(state);
        matches!(preadv2(&*handle, buffers, offset, ReadWriteFlags::NOWAIT), Ok(read) if read == length)
    }

    fn sync(&self) -> Result<(), StorageError> {
        let _commit = self.commit.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = self.touched().lost.first_key_value().map(|(file, code)| (*file, *code));
        if let Some((file, code)) = lost {
            let error = code.map_or(io::ErrorKind::Other.into(), io::Error::from_raw_os_error);
            return Err(self.fail(Operation::Sync, file, error));
        }
        // In this order: what has an entry to be written is among what is synced before it.
        let entries = self.state().parts.uncommitted();
        let dirty = std::mem::take(&mut self.touched().dirty);
        let synced = dirty.iter().try_for_each(|file| self.sync_file(*file)).and_then(|()| {
            if entries.is_empty() {
                return Ok(());
            }
            let parts = self.handle(&self.state(), self.parts_index(), true)?;
            let written = write_entries(&parts, entries.iter().copied()).and_then(|()| parts.sync_data());
            written.map_err(|error| self.fail(Operation::Sync, self.parts_index(), error))?;
            self.state_mut().parts.committed(&entries);
            Ok(())
        });
        if synced.is_err() {
            // Nothing is forgotten: the next sync tries all of them again.
            self.touched().dirty.extend(dirty);
        }
        synced
    }
}

impl FileStorage {
    fn sync_file(&self, file: usize) -> Result<(), StorageError> {
        // Opened for reading: a file that somebody deleted must not come back empty, as if its data were there.
        let handle = self.handle(&self.state(), file, false)?;
        handle.sync_data().map_err(|error| {
            // What is in memory only must not be taken for what is on the disk by those who read it again.
            drop_cache(&handle);
            self.touched().lost.insert(file, error.raw_os_error());
            self.fail(Operation::Sync, file, error)
        })
    }

    /// Pieces that this storage did not write were found good by reading them. An earlier run that was killed may have
    /// left them in the system's memory only, so the next [`sync`](Storage::sync) brings their files to the disk too.
    pub fn found(&self, pieces: impl IntoIterator<Item = u32>) {
        let mut dirty = BTreeSet::new();
        {
            let state = self.state();
            for piece in pieces {
                for span in self.layout.spans(piece, 0, self.layout.piece_size(piece)) {
                    if let Spot::In(file, _) = self.spot(&state, piece, &span) {
                        dirty.insert(file);
                    }
                }
            }
        }
        self.touched().dirty.extend(dirty);
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn drop_cache(file: &File) {
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn drop_cache(_: &File) {}
