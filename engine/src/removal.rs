//! The end of a torrent in a session, and of its files.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use downpour_session::Input as SessionInput;
use downpour_storage::{FileStorage, StorageError};
use downpour_swarm::{Command, Input};

use crate::announce;
use crate::config::RemoveFiles;
use crate::core::Core;
use crate::error::Error;
use crate::torrent::Torrent;

/// Stops `torrent`, takes it out of the session, and deletes its files if that is asked for.
pub(crate) async fn remove(
    core: &Arc<Core>,
    torrent: &Arc<Torrent>,
    files: RemoveFiles,
) -> Result<(), Error> {
    let id = torrent.id;
    if core.torrent(id).is_none() {
        return Err(Error::Gone);
    }
    let _verbs = torrent.end().await;
    if core.torrent(id).is_none() {
        return Err(Error::Gone);
    }
    // Its trackers are told after it is gone.
    if let Some(totals) = announce::totals(core, id) {
        core.tell_session(totals);
    }
    core.tell_swarm(id, Input::Command(Command::Pause));
    let (there, removed) = (Arc::clone(core), Arc::clone(torrent));
    let end = move || {
        there.deactivate(&removed);
        there.torrents().remove(&id);
        match files {
            RemoveFiles::Keep => Ok(()),
            RemoveFiles::Delete => delete(&there, &removed),
        }
    };
    let ended = core.pool.call(end).await;
    // Those who came after the others were told: from now on everybody sees that it is gone.
    torrent.waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
    core.tell_session(SessionInput::Remove { torrent: id });
    Ok(ended.ok_or(Error::Gone)??)
}

/// Deletes what is the torrent's, which is no longer active, and then its resume state. Blocks.
fn delete(core: &Core, torrent: &Torrent) -> Result<(), StorageError> {
    let layout = torrent.metainfo.info.layout();
    let (placement, resume) = torrent.load_resume()?;
    if let Some(resume) = &resume {
        torrent.wishes().restore(resume);
    }
    let wishes = torrent.wishes().clone();
    let has_some = |file: usize| {
        let have = resume.as_ref().map(|resume| &resume.have);
        have.is_some_and(|have| layout.pieces_of(file).any(|piece| have.contains(piece)))
    };
    let storage = FileStorage::open(
        placement,
        Arc::new(layout.clone()),
        torrent.allocation,
        Arc::clone(&core.handles),
    )?;
    let shared = files_of_others(core, torrent, &storage);
    storage.delete(|file, path| !shared.contains(path) && (wishes.file(file) > 0 || has_some(file)))?;
    torrent.forget_resume()
}

/// Those of the files in `storage` that another torrent has too.
fn files_of_others(core: &Core, torrent: &Torrent, storage: &FileStorage) -> BTreeSet<PathBuf> {
    let count = |torrent: &Torrent| torrent.metainfo.info.layout().files().len();
    let mine: BTreeSet<PathBuf> = (0..count(torrent)).map(|file| storage.path(file)).collect();
    let others: Vec<Arc<Torrent>> = core.torrents().values().cloned().collect();
    let mut shared = BTreeSet::new();
    for other in others {
        let place = other.place();
        shared.extend((0..count(&other)).flat_map(|file| place.paths(other.metainfo.info.layout(), file)));
        shared.retain(|path| mine.contains(path));
    }
    shared
}
