//! Resume state on disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::create::{folder_of, sync_folder};
use crate::{Operation, ResumeData, StorageError};

/// Saves `data` so that a crash at any moment leaves either the old state or the new one: written aside, synced,
/// renamed, and the folder synced.
///
/// The caller has synced the data of every piece that `data` records ([`Storage::sync`](crate::Storage::sync)).
///
/// # Errors
/// If the state could not be made durable; the old one then stands.
pub fn save_resume(path: &Path, data: &ResumeData) -> Result<(), StorageError> {
    let aside = path.with_extension("resume-new");
    let folder = folder_of(path);
    let at = |operation, path| move |error| StorageError::new(operation, path, error);
    fs::create_dir_all(folder).map_err(at(Operation::Create, folder))?;
    let mut file = File::create(&aside).map_err(at(Operation::Create, &aside))?;
    file.write_all(&data.encode()).map_err(at(Operation::Write, &aside))?;
    file.sync_all().map_err(at(Operation::Sync, &aside))?;
    fs::rename(&aside, path).map_err(at(Operation::Rename, path))?;
    sync_folder(folder)
}

/// Loads the state, `None` if there is none that can be used: it is then as if the torrent were new, and its files
/// are hashed.
///
/// # Errors
/// If there is a file that cannot be read.
pub fn load_resume(path: &Path) -> Result<Option<ResumeData>, StorageError> {
    match fs::read(path) {
        Ok(bytes) => Ok(ResumeData::decode(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StorageError::new(Operation::Read, path, error)),
    }
}

/// Removes the state, if there is one.
///
/// # Errors
/// If it cannot be removed.
pub fn remove_resume(path: &Path) -> Result<(), StorageError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StorageError::new(Operation::Write, path, error))
        }
        _ => Ok(()),
    }
}
