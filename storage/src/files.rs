//! A torrent as files in a folder.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use downpour_metainfo::{FileSpan, Layout};
use rustix::io::{Errno, ReadWriteFlags, preadv, preadv2, pwritev};

use crate::{FileStamp, HandlePool, Operation, Storage, StorageError};

/// How many buffers the system takes in one call (`IOV_MAX` on Linux and macOS).
const MAX_BUFFERS: usize = 1024;
/// How much is written in one call. The kernel takes pages for a call in blocks as large as the call; those of up to
/// eight pages come from what was freed a moment ago, larger ones from memory that has long been idle, which a virtual
/// machine must first get back from its host. (2 GiB: 0.5 s in calls of 16 to 64 KiB, 3 s in calls of 1 MiB.)
const WRITE_BYTES: usize = 32 << 10;

/// What happens to the space of a file that is about to be downloaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Allocation {
    /// The file has its full size at once and takes space as pieces come.
    #[default]
    Sparse,
    /// All space is taken at once, so that the disk cannot become full in the middle.
    Full,
}

/// Reads and writes a torrent's files under a root folder, opening them when they are needed.
#[derive(Debug)]
pub struct FileStorage {
    root: PathBuf,
    layout: Arc<Layout>,
    allocation: Allocation,
    handles: Arc<HandlePool>,
    owner: u64,
    /// Files written to since the last sync.
    dirty: Mutex<BTreeSet<usize>>,
}

impl FileStorage {
    /// The files of `layout` under `root`. Touches nothing yet.
    #[must_use]
    pub fn new(root: PathBuf, layout: Arc<Layout>, allocation: Allocation, handles: Arc<HandlePool>) -> Self {
        let owner = handles.register();
        Self { root, layout, allocation, handles, owner, dirty: Mutex::default() }
    }

    /// Where `file` is.
    #[must_use]
    pub fn path(&self, file: usize) -> PathBuf {
        self.root.join(&self.layout.files()[file].path)
    }

    /// Makes what no piece will make: the root folder, the empty files, and, with [`Allocation::Full`], all space.
    ///
    /// # Errors
    /// If something cannot be made, or a folder is where a file should be.
    pub fn prepare(&self) -> Result<(), StorageError> {
        create_folder(&self.root)?;
        for (index, file) in self.layout.files().iter().enumerate() {
            if fs::metadata(self.path(index)).is_ok_and(|metadata| metadata.is_dir()) {
                return Err(self.fail(Operation::Create, index, io::ErrorKind::IsADirectory));
            }
            if file.length == 0 || self.allocation == Allocation::Full {
                let path = self.path(index);
                let opened = create_file(&path)?;
                if self.allocation == Allocation::Full && file.length > 0 {
                    allocate(&opened, file.length)
                        .map_err(|error| StorageError::new(Operation::Create, &path, error))?;
                }
            }
        }
        Ok(())
    }

    /// What the disk says of each file, `None` for one that is not there.
    #[must_use]
    pub fn stamps(&self) -> Vec<Option<FileStamp>> {
        (0..self.layout.files().len())
            .map(|file| fs::metadata(self.path(file)).ok().and_then(|metadata| FileStamp::of(&metadata)))
            .collect()
    }

    fn handle(&self, file: usize, write: bool) -> Result<Arc<File>, StorageError> {
        self.handles.get((self.owner, file), write, || {
            let path = self.path(file);
            if !write {
                return File::open(&path).map_err(|error| StorageError::new(Operation::Open, &path, error));
            }
            let opened = create_file(&path)?;
            let length = self.layout.files()[file].length;
            let grow = || match opened.metadata()?.len() < length {
                true => opened.set_len(length),
                false => Ok(()),
            };
            grow().map_err(|error| StorageError::new(Operation::Create, &path, error))?;
            Ok(opened)
        })
    }

    /// Runs `call` for each file that `length` bytes from `begin` of `piece` on lie on.
    fn each_span(
        &self,
        piece: u32,
        begin: u32,
        length: usize,
        mut call: impl FnMut(FileSpan) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        self.layout.spans(piece, begin, length as u32).try_for_each(&mut call)
    }

    fn fail(&self, operation: Operation, file: usize, error: impl Into<io::Error>) -> StorageError {
        StorageError::new(operation, &self.path(file), error)
    }
}

impl Drop for FileStorage {
    fn drop(&mut self) {
        self.handles.release(self.owner);
    }
}

impl Storage for FileStorage {
    fn write(&self, piece: u32, begin: u32, buffers: &[Bytes]) -> Result<(), StorageError> {
        let length = buffers.iter().map(Bytes::len).sum();
        let mut slices: Vec<IoSlice<'_>> = buffers.iter().map(|buffer| IoSlice::new(buffer)).collect();
        let mut left = &mut slices[..];
        self.each_span(piece, begin, length, |span| {
            let file = self.handle(span.file, true)?;
            self.dirty.lock().unwrap_or_else(PoisonError::into_inner).insert(span.file);
            let (mut offset, end) = (span.offset, span.offset + span.length);
            while offset < end {
                // A file that ends inside a buffer takes a part of it.
                let limit = ((end - offset) as usize).min(WRITE_BYTES);
                let (whole, cut) = fitting(left.iter().map(|slice| slice.len()), limit);
                let result = if whole == 0 {
                    let part = IoSlice::new(&left[0][..cut]);
                    pwritev(&*file, &[part], offset)
                } else {
                    pwritev(&*file, &left[..whole], offset)
                };
                match result {
                    Ok(0) => return Err(self.fail(Operation::Write, span.file, io::ErrorKind::WriteZero)),
                    Ok(written) => {
                        offset += written as u64;
                        IoSlice::advance_slices(&mut left, written);
                    }
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(self.fail(Operation::Write, span.file, error)),
                }
            }
            Ok(())
        })
    }

    fn read(&self, piece: u32, begin: u32, buffers: &mut [IoSliceMut<'_>]) -> Result<(), StorageError> {
        let length = buffers.iter().map(|buffer| buffer.len()).sum();
        let mut left = buffers;
        self.each_span(piece, begin, length, |span| {
            let file = self.handle(span.file, false)?;
            let (mut offset, end) = (span.offset, span.offset + span.length);
            while offset < end {
                let limit = (end - offset) as usize;
                let (whole, cut) = fitting(left.iter().map(|slice| slice.len()), limit);
                let result = if whole == 0 {
                    preadv(&*file, &mut [IoSliceMut::new(&mut left[0][..cut])], offset)
                } else {
                    preadv(&*file, &mut left[..whole], offset)
                };
                match result {
                    Ok(0) => return Err(self.fail(Operation::Read, span.file, io::ErrorKind::UnexpectedEof)),
                    Ok(read) => {
                        offset += read as u64;
                        advance(&mut left, read);
                    }
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(self.fail(Operation::Read, span.file, error)),
                }
            }
            Ok(())
        })
    }

    fn read_if_cached(&self, piece: u32, begin: u32, buffers: &mut [IoSliceMut<'_>]) -> bool {
        let length: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        let mut spans = self.layout.spans(piece, begin, length as u32);
        // The common case only: one file, and all of it in the page cache.
        let Some(span) = spans.next().filter(|span| span.length == length as u64) else { return false };
        if buffers.len() > MAX_BUFFERS {
            return false;
        }
        let Ok(file) = self.handle(span.file, false) else { return false };
        matches!(preadv2(&*file, buffers, span.offset, ReadWriteFlags::NOWAIT), Ok(read) if read == length)
    }

    fn sync(&self) -> Result<(), StorageError> {
        let dirty = std::mem::take(&mut *self.dirty.lock().unwrap_or_else(PoisonError::into_inner));
        for file in &dirty {
            let synced = self.handle(*file, true).and_then(|handle| {
                handle.sync_data().map_err(|error| self.fail(Operation::Sync, *file, error))
            });
            if let Err(error) = synced {
                // Nothing is forgotten: the next sync tries all of them again.
                self.dirty.lock().unwrap_or_else(PoisonError::into_inner).extend(dirty);
                return Err(error);
            }
        }
        Ok(())
    }
}

/// How many of the buffers of these lengths fit into `limit` bytes whole; if not even the first does, how much
/// of it.
fn fitting(lengths: impl Iterator<Item = usize>, limit: usize) -> (usize, usize) {
    let (mut whole, mut left) = (0, limit);
    for length in lengths {
        if length > left || whole == MAX_BUFFERS {
            break;
        }
        left -= length;
        whole += 1;
    }
    (whole, left)
}

/// As `IoSliceMut::advance_slices`, for slices that are borrowed twice over.
fn advance(slices: &mut &mut [IoSliceMut<'_>], mut count: usize) {
    while let Some(first) = slices.first_mut() {
        if count < first.len() {
            return first.advance(count);
        }
        count -= first.len();
        *slices = &mut std::mem::take(slices)[1..];
    }
}

fn create_folder(path: &Path) -> Result<(), StorageError> {
    fs::create_dir_all(path).map_err(|error| StorageError::new(Operation::Create, path, error))
}

/// Opens a file for reading and writing, and makes it and its folders where they are missing.
fn create_file(path: &Path) -> Result<File, StorageError> {
    let open = || File::options().read(true).write(true).create(true).truncate(false).open(path);
    let opened = open().or_else(|error| match (error.kind(), path.parent()) {
        (io::ErrorKind::NotFound, Some(folder)) => fs::create_dir_all(folder).and_then(|()| open()),
        _ => Err(error),
    });
    opened.map_err(|error| StorageError::new(Operation::Create, path, error))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn allocate(file: &File, length: u64) -> io::Result<()> {
    Ok(rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, length)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn allocate(file: &File, length: u64) -> io::Result<()> {
    file.set_len(length)
}
