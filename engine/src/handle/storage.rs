//! The verbs about where the data is, and about the data itself.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use downpour_session::Input as SessionInput;
use downpour_storage::{FileStorage, Storage};
use downpour_swarm::{Command, Input};
use smol::channel::bounded;
use smol::lock::MutexGuard;

use super::TorrentHandle;
use crate::alert::AlertKind;
use crate::error::Error;
use crate::relocation;

impl TorrentHandle {
    /// Moves the torrent's files to `folder`, while it goes on downloading and seeding: by renaming them, or, to another
    /// disk, by copying them and removing the originals. The new place is remembered in the resume state. Ends with
    /// [`AlertKind::StorageMoved`] or [`AlertKind::StorageMovedFailed`].
    ///
    /// A move that fails half-way loses nothing: each file is found where it is, and calling this again goes on.
    ///
    /// # Errors
    /// If the torrent is gone or cannot be loaded; if there are files of the same names in `folder`, and `overwrite` does not
    /// say that they may be replaced; if the disk says no; if the path is not UTF-8, so that it cannot be remembered.
    pub async fn move_storage(&self, folder: impl Into<PathBuf>, overwrite: bool) -> Result<(), Error> {
        let folder = folder.into();
        if folder.to_str().is_none() {
            return Err(Error::NotUtf8 { path: folder });
        }
        let (_verbs, storage) = self.held_storage().await?;
        Ok(relocation::move_storage(&self.core, &self.torrent, &storage, folder, overwrite).await?)
    }

    /// The blocking twin of [`move_storage`](Self::move_storage).
    ///
    /// # Errors
    /// As there.
    pub fn move_storage_blocking(&self, folder: impl Into<PathBuf>, overwrite: bool) -> Result<(), Error> {
        smol::block_on(self.move_storage(folder, overwrite))
    }

    /// The folder that the torrent's file or folder is in.
    #[must_use]
    pub fn save_path(&self) -> PathBuf {
        let active = self.torrent.storage().map(|storage| storage.save_path());
        active.unwrap_or_else(|| self.torrent.last_place())
    }

    /// Gives a file another path below the [`save_path`](Self::save_path): components joined by `/`, the torrent's folder
    /// first. The name is remembered in the resume state. Ends with [`AlertKind::FileRenamed`] or
    /// [`AlertKind::FileRenameFailed`].
    ///
    /// # Errors
    /// If the torrent is gone or cannot be loaded, there is no such file, the path leads out of the folder, something is
    /// there already, or the disk says no. The file then keeps its name.
    pub async fn rename_file(&self, file: usize, path: &str) -> Result<(), Error> {
        if file >= self.torrent.metainfo.info.layout().files().len() {
            return Err(Error::NoFile { file });
        }
        let (_verbs, storage) = self.held_storage().await?;
        let (torrent, name) = (Arc::clone(&self.torrent), path.to_owned());
        let renamed = smol::unblock(move || {
            storage.begin_rename(file, &name)?;
            // Both names are on record before the file has the new one.
            torrent.checkpoint(false)?;
            storage.finish_rename(file)?;
            torrent.checkpoint(false)
        });
        let renamed = renamed.await;
        let kind = match &renamed {
            Ok(()) => AlertKind::FileRenamed { file, path: path.to_owned() },
            Err(error) => AlertKind::FileRenameFailed { file, message: error.to_string() },
        };
        self.core.alerts.push(Some(self.torrent.id), kind);
        Ok(renamed?)
    }

    /// The blocking twin of [`rename_file`](Self::rename_file).
    ///
    /// # Errors
    /// As there.
    pub fn rename_file_blocking(&self, file: usize, path: &str) -> Result<(), Error> {
        smol::block_on(self.rename_file(file, path))
    }

    /// Hashes all files, whatever the resume state says, then goes on with what is good. Returns at once:
    /// [`AlertKind::Checked`] tells when it is done.
    ///
    /// # Errors
    /// If the torrent is gone.
    pub fn force_recheck(&self) -> Result<(), Error> {
        self.check_alive()?;
        let (core, torrent) = (Arc::clone(&self.core), Arc::clone(&self.torrent));
        let recheck = async move {
            {
                let _verbs = torrent.verbs.lock().await;
                torrent.recheck.store(true, Ordering::Release);
                // Only the swarm hears of this pause, and it is dropped.
                core.tell_swarm(torrent.id, Input::Command(Command::Pause));
                let (there, dropped) = (Arc::clone(&core), Arc::clone(&torrent));
                core.pool.call(move || there.deactivate(&dropped)).await;
                core.tell_session(SessionInput::Deactivated { torrent: torrent.id });
            }
            core.wake(torrent.id);
        };
        self.core.executor.spawn(recheck).detach();
        Ok(())
    }

    /// The resume state as bytes, for a host that keeps it itself, after syncing what it records; also saves it in the state
    /// folder, if there is one. [`AddTorrent::resume_data`](crate::AddTorrent::resume_data) takes it. While the torrent is
    /// checked, waits for that; one that is dormant stays so.
    ///
    /// # Errors
    /// If the torrent is gone, or the disk says no.
    pub async fn save_resume_data(&self) -> Result<Vec<u8>, Error> {
        let _verbs = self.torrent.verbs.lock().await;
        self.check_alive()?;
        let torrent = Arc::clone(&self.torrent);
        Ok(smol::unblock(move || torrent.save_resume_data()).await?)
    }

    /// The blocking twin of [`save_resume_data`](Self::save_resume_data).
    ///
    /// # Errors
    /// As there.
    pub fn save_resume_data_blocking(&self) -> Result<Vec<u8>, Error> {
        smol::block_on(self.save_resume_data())
    }

    /// Whether a piece is verified and written; `None` while the torrent is dormant or being checked.
    #[must_use]
    pub fn have_piece(&self, piece: u32) -> Option<bool> {
        let active = self.torrent.active();
        Some(active.as_ref()?.swarm.swarm().have()?.contains(piece))
    }

    /// The bytes of a piece.
    ///
    /// # Errors
    /// If the torrent is gone or cannot be loaded, the piece is not here, or the disk says no.
    pub async fn read_piece(&self, piece: u32) -> Result<Bytes, Error> {
        let storage = self.storage().await?;
        if self.have_piece(piece) != Some(true) {
            return Err(Error::NoPiece { piece });
        }
        let size = self.torrent.metainfo.info.layout().piece_size(piece);
        let read = self.core.pool.call(move || {
            let mut bytes = vec![0; size as usize];
            storage.read(piece, 0, &mut [std::io::IoSliceMut::new(&mut bytes)]).map(|()| bytes)
        });
        let read = read.await.ok_or(Error::Gone)?;
        if read.as_ref().is_err_and(|error| error.is_content_lost()) {
            self.core.tell_swarm(self.torrent.id, Input::Command(Command::PieceLost(piece)));
        }
        Ok(read?.into())
    }

    /// The blocking twin of [`read_piece`](Self::read_piece).
    ///
    /// # Errors
    /// As there.
    pub fn read_piece_blocking(&self, piece: u32) -> Result<Bytes, Error> {
        smol::block_on(self.read_piece(piece))
    }

    /// The storage of the torrent, which wakes up for it.
    async fn storage(&self) -> Result<Arc<FileStorage>, Error> {
        let (sender, woken) = bounded(1);
        {
            let mut waiting = self.torrent.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            // Those who did not have to wait are not told later.
            waiting.retain(|waiting| !waiting.is_closed());
            waiting.push(sender);
        }
        // Whoever removes the torrent after this line tells those who wait.
        self.check_alive()?;
        // Who becomes active after this line tells.
        if let Some(storage) = self.torrent.storage() {
            return Ok(storage);
        }
        self.core.wake(self.torrent.id);
        let _ = woken.recv().await;
        self.torrent.storage().ok_or(Error::NotLoaded)
    }

    /// The storage of the torrent, which stays active and as it is as long as the guard is held.
    async fn held_storage(&self) -> Result<(MutexGuard<'_, ()>, Arc<FileStorage>), Error> {
        loop {
            self.storage().await?;
            let verbs = self.torrent.verbs.lock().await;
            self.check_alive()?;
            // It may have gone to sleep before it was held.
            if let Some(storage) = self.torrent.storage() {
                return Ok((verbs, storage));
            }
        }
    }
}
