//! The verbs about files: which are wanted, and what is here of them.

use downpour_storage::file_progress;
use downpour_swarm::Input;

use super::TorrentHandle;
use crate::error::Error;

impl TorrentHandle {
    /// Sets how much a file is wanted: 0 (not at all) to 7, 4 if nothing is said. Its pieces get the highest priority of
    /// the files that they lie on; what [`set_piece_priority`](Self::set_piece_priority) said of them is forgotten.
    ///
    /// A file of priority 0 is not made: what wanted pieces have in it goes to a hidden part file beside the torrent's,
    /// and from there into the file when it becomes wanted. What is there of a file that is no longer wanted stays.
    ///
    /// # Errors
    /// If there is no such file, the torrent is gone, or the file cannot be filled from the part file: it then stays
    /// as it was.
    pub async fn set_file_priority(&self, file: usize, priority: u8) -> Result<(), Error> {
        self.prioritize(&[(file, priority)]).await
    }

    /// The blocking twin of [`set_file_priority`](Self::set_file_priority).
    ///
    /// # Errors
    /// As there.
    pub fn set_file_priority_blocking(&self, file: usize, priority: u8) -> Result<(), Error> {
        smol::block_on(self.set_file_priority(file, priority))
    }

    /// As [`set_file_priority`](Self::set_file_priority), for the first files of the torrent, one after another.
    ///
    /// # Errors
    /// As there.
    pub async fn set_file_priorities(&self, priorities: &[u8]) -> Result<(), Error> {
        let priorities: Vec<(usize, u8)> = (0..).zip(priorities.iter().copied()).collect();
        self.prioritize(&priorities).await
    }

    /// The blocking twin of [`set_file_priorities`](Self::set_file_priorities).
    ///
    /// # Errors
    /// As there.
    pub fn set_file_priorities_blocking(&self, priorities: &[u8]) -> Result<(), Error> {
        smol::block_on(self.set_file_priorities(priorities))
    }

    async fn prioritize(&self, priorities: &[(usize, u8)]) -> Result<(), Error> {
        self.check_alive()?;
        let layout = self.torrent.metainfo.info.layout();
        if let Some((file, _)) = priorities.iter().find(|(file, _)| *file >= layout.files().len()) {
            return Err(Error::NoFile { file: *file });
        }
        let _verbs = self.torrent.verbs.lock().await;
        let (before, wishes) = {
            let mut wishes = self.torrent.wishes();
            let before = wishes.clone();
            priorities.iter().for_each(|(file, priority)| wishes.set_file(layout, *file, *priority));
            (before, wishes.clone())
        };
        let Some(storage) = self.torrent.storage() else {
            // The swarm that it gets is told; if it was finished and slept, it may have something to do now.
            self.core.wake(self.torrent.id);
            return Ok(());
        };
        let (chosen, old) = (wishes.clone(), before.clone());
        let selected = smol::unblock(move || {
            let selected = storage.select(|file| chosen.file(file) > 0).and_then(|()| storage.prepare());
            // What cannot be had is told by the first error.
            selected.inspect_err(|_| drop(storage.select(|file| old.file(file) > 0)))
        });
        if let Err(error) = selected.await {
            self.torrent.wishes().take_files(before);
            return Err(error.into());
        }
        let command = wishes.priorities(layout);
        self.core.tell_swarm(self.torrent.id, Input::Command(command));
        Ok(())
    }

    /// How much each file is wanted, 0 to 7. What an earlier run said is known once the torrent was active.
    #[must_use]
    pub fn file_priorities(&self) -> Vec<u8> {
        let wishes = self.torrent.wishes().clone();
        (0..self.torrent.metainfo.info.layout().files().len()).map(|file| wishes.file(file)).collect()
    }

    /// How much of each file is in pieces that are verified and written, in bytes; `None` while the torrent is dormant or
    /// being checked.
    #[must_use]
    pub fn file_progress(&self) -> Option<Vec<u64>> {
        let have = self.pieces()?;
        Some(file_progress(self.torrent.metainfo.info.layout(), &have))
    }
}
