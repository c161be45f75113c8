//! Finding the files that a new torrent is made of.

use std::fs;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::{Operation, StorageError};

/// What a path holds, ready for `downpour_metainfo::Builder`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScannedTree {
    /// The name of the torrent: the last component of the path.
    pub name: String,
    /// The folder that the name is in.
    pub root: PathBuf,
    /// `None` for a single file; else path components below the name and length, sorted by path.
    pub tree: Option<Vec<(Vec<String>, u64)>>,
    /// All lengths together, in bytes.
    pub length: u64,
}

/// Why a path cannot become a torrent.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The disk says no.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A name that is not UTF-8, which BEP 3 asks for.
    #[error("the name of {} is not UTF-8, which torrents need: rename it", .0.display())]
    NotUtf8(PathBuf),
    /// Neither file nor folder.
    #[error("{} is neither a file nor a folder", .0.display())]
    NotAFile(PathBuf),
    /// A path such as `/` or `..`, which names nothing.
    #[error("{} has no name that a torrent could have", .0.display())]
    NoName(PathBuf),
}

/// Lists a file, or a folder and all below it, in an order that does not depend on the file system. Symbolic links
/// are followed; what is neither file nor folder is left out.
///
/// # Errors
/// If something cannot be listed or named.
pub fn scan(path: &Path) -> Result<ScannedTree, ScanError> {
    let whole = fs::canonicalize(path).map_err(|error| StorageError::new(Operation::Open, path, error))?;
    let (Some(name), Some(root)) = (whole.file_name(), whole.parent()) else {
        return Err(ScanError::NoName(path.to_owned()));
    };
    let name = name.to_str().ok_or_else(|| ScanError::NotUtf8(whole.clone()))?.to_owned();
    let root = root.to_owned();
    let metadata = fs::metadata(&whole).map_err(|error| StorageError::new(Operation::Open, &whole, error))?;
    if metadata.is_file() {
        return Ok(ScannedTree { name, root, tree: None, length: metadata.len() });
    }
    if !metadata.is_dir() {
        return Err(ScanError::NotAFile(whole));
    }
    let mut files = Vec::new();
    let mut folders = vec![(whole, Vec::new())];
    while let Some((folder, components)) = folders.pop() {
        let list = |error| StorageError::new(Operation::List, &folder, error);
        for entry in fs::read_dir(&folder).map_err(list)? {
            let entry = entry.map_err(list)?.path();
            let name = entry.file_name().and_then(|name| name.to_str());
            let name = name.ok_or_else(|| ScanError::NotUtf8(entry.clone()))?;
            let below: Vec<String> = components.iter().cloned().chain([name.to_owned()]).collect();
            let metadata =
                fs::metadata(&entry).map_err(|error| StorageError::new(Operation::Open, &entry, error))?;
            // A chain of links can go in circles; no honest tree is this deep.
            if metadata.is_dir() && below.len() < downpour_metainfo::limits::MAX_COMPONENTS {
                folders.push((entry, below));
            } else if metadata.is_file() {
                files.push((below, metadata.len()));
            }
        }
    }
    files.sort();
    let length = files.iter().map(|file| file.1).sum();
    Ok(ScannedTree { name, root, tree: Some(files), length })
}
