//! Making files and folders.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::{Operation, StorageError};

const LEADS_OUT: &str = "a symbolic link leads out of the torrent's folder, and nothing is written there (remove the link, or \
     choose another folder)";

pub(crate) fn create_folder(path: &Path) -> Result<(), StorageError> {
    fs::create_dir_all(path).map_err(|error| StorageError::new(Operation::Create, path, error))
}

/// Refuses a path that a symbolic link below `root` leads out of it: what a torrent brings, or what somebody put there, must
/// not choose which files elsewhere are written to.
pub(crate) fn check_inside(root: &Path, path: &Path) -> Result<(), StorageError> {
    let refuse = |error| StorageError::new(Operation::Create, path, error);
    let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
    for at in path.ancestors().take_while(|at| *at != root && !at.as_os_str().is_empty()) {
        if fs::symlink_metadata(at).is_err() {
            // What is not there yet leads nowhere.
            continue;
        }
        let inside = match (fs::canonicalize(at), fs::canonicalize(root)) {
            (Ok(at), Ok(root)) => at.starts_with(root),
            _ => false,
        };
        return if inside { Ok(()) } else { Err(refuse(io::Error::other(LEADS_OUT))) };
    }
    Ok(())
}

/// As [`create_folder`], below `root`, which symbolic links must not lead out of.
pub(crate) fn create_folder_in(root: &Path, path: &Path) -> Result<(), StorageError> {
    check_inside(root, path)?;
    create_folder(path)
}

/// Opens a file below `root` for reading and writing, and makes it and its folders where they are missing.
pub(crate) fn create_file(root: &Path, path: &Path) -> Result<File, StorageError> {
    check_inside(root, path)?;
    let open = || File::options().read(true).write(true).create(true).truncate(false).open(path);
    let opened = open().or_else(|error| match (error.kind(), path.parent()) {
        (io::ErrorKind::NotFound, Some(folder)) => fs::create_dir_all(folder).and_then(|()| open()),
        _ => Err(error),
    });
    opened.map_err(|error| StorageError::new(Operation::Create, path, error))
}

/// Makes names in `folder` survive a crash. Some file systems cannot, and need not.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StorageError> {
    let synced = File::open(folder).and_then(|folder| match folder.sync_all() {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        result => result,
    });
    synced.map_err(|error| StorageError::new(Operation::Sync, folder, error))
}

/// The folder that `path` is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Takes the space of a whole file at once.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn allocate(file: &File, length: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, length) {
        // A file system that cannot: the space is taken as pieces come.
        Err(rustix::io::Errno::OPNOTSUPP) => grow(file, length),
        result => Ok(result?),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn allocate(file: &File, length: u64) -> io::Result<()> {
    grow(file, length)
}

/// Gives a file its length, unless it is longer.
pub(crate) fn grow(file: &File, length: u64) -> io::Result<()> {
    if file.metadata()?.len() < length { file.set_len(length) } else { Ok(()) }
}
