//! Bringing a torrent's files to another folder while it runs.

use std::path::PathBuf;
use std::sync::Arc;

use downpour_storage::{FileStorage, StorageError};

use crate::alert::AlertKind;
use crate::core::Core;
use crate::torrent::Torrent;

/// Moves all files to `folder`, on a thread of its own: copying to another disk may take long. The caller holds the
/// torrent's `verbs`.
pub(crate) async fn move_storage(
    core: &Core,
    torrent: &Arc<Torrent>,
    storage: &Arc<FileStorage>,
    folder: PathBuf,
    overwrite: bool,
) -> Result<(), StorageError> {
    let (storage_there, torrent_there) = (Arc::clone(storage), Arc::clone(torrent));
    let begun = smol::unblock(move || {
        storage_there.begin_move(&folder, overwrite)?;
        // Both places are on record before the first file moves.
        torrent_there.checkpoint(false)
    });
    if let Err(error) = begun.await {
        core.alerts.push(Some(torrent.id), AlertKind::StorageMovedFailed { message: error.to_string() });
        return Err(error);
    }
    finish_move(core, torrent, storage).await
}

/// Moves the files that are not where they belong. The caller holds the torrent's `verbs`.
pub(crate) async fn finish_move(
    core: &Core,
    torrent: &Arc<Torrent>,
    storage: &Arc<FileStorage>,
) -> Result<(), StorageError> {
    let (storage, torrent_there) = (Arc::clone(storage), Arc::clone(torrent));
    let moved = smol::unblock(move || {
        storage.finish_move()?;
        let place = storage.save_path();
        torrent_there.moved_to(&place)?;
        Ok(place)
    });
    let moved: Result<PathBuf, StorageError> = moved.await;
    let kind = match &moved {
        Ok(path) => AlertKind::StorageMoved { path: path.clone() },
        Err(error) => AlertKind::StorageMovedFailed { message: error.to_string() },
    };
    core.alerts.push(Some(torrent.id), kind);
    moved.map(drop)
}
