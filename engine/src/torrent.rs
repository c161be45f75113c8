//! One torrent of a session, dormant or active.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use downpour_base::{InfoHashV1, TorrentId};
use downpour_metainfo::Metainfo;
use downpour_storage::{Allocation, FileStorage, ResumeData, Storage};
use downpour_swarm::{Command, Recorder, Status};
use smol::channel::Sender;

use crate::payload::BlockBytes;

/// What the engine keeps of a torrent.
#[derive(Debug)]
pub(crate) struct Torrent {
    pub(crate) id: TorrentId,
    pub(crate) metainfo: Metainfo,
    pub(crate) info_hash: InfoHashV1,
    pub(crate) save_path: PathBuf,
    pub(crate) allocation: Allocation,
    /// Peers that the user named.
    pub(crate) peers: Mutex<Vec<SocketAddr>>,
    pub(crate) resume_file: Option<PathBuf>,
    pub(crate) active: Mutex<Option<Active>>,
    pub(crate) check: Check,
    /// Payload of earlier runs and of earlier activations of this one.
    pub(crate) downloaded_before: AtomicU64,
    pub(crate) uploaded_before: AtomicU64,
    /// What the swarm said last, for a torrent that has none now.
    pub(crate) last_status: Mutex<Status>,
    /// One checkpoint at a time; holds what the last one of an activation recorded, for a session without a folder for
    /// resume state.
    pub(crate) saving: Mutex<Option<ResumeData>>,
    pub(crate) wishes: Mutex<Wishes>,
}

/// What an active torrent holds, and a dormant one does not.
pub(crate) struct Active {
    pub(crate) swarm: Recorder<BlockBytes>,
    pub(crate) storage: Arc<FileStorage>,
    /// Tells the torrent's timer that the deadline moved; dropped, it ends the timer.
    pub(crate) timer: Sender<()>,
    /// What the timer is set to.
    pub(crate) armed: Option<downpour_base::Instant>,
}

impl std::fmt::Debug for Active {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Active").field("armed", &self.armed).finish_non_exhaustive()
    }
}

/// What the user wants of a torrent: a swarm is told when it is made, and at each change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) paused: bool,
    pub(crate) sequential: bool,
    /// Of the pieces that are not wanted like all others.
    pub(crate) priorities: BTreeMap<u32, u8>,
}

impl Wishes {
    /// Remembers what `command` changes for good.
    pub(crate) fn note(&mut self, command: &Command) {
        match *command {
            Command::Pause => self.paused = true,
            Command::Resume => self.paused = false,
            Command::SetSequential(on) => self.sequential = on,
            Command::SetPiecePriority { piece, priority } => {
                self.priorities.insert(piece, priority);
            }
            Command::SetPiecePriorities(ref priorities) => {
                self.priorities.extend((0..).zip(priorities.iter().copied()))
            }
            _ => {}
        }
    }

    /// What a new swarm is to be told.
    pub(crate) fn commands(&self) -> Vec<Command> {
        let priority = |(&piece, &priority): (&u32, &u8)| Command::SetPiecePriority { piece, priority };
        let mut commands: Vec<Command> = self.priorities.iter().map(priority).collect();
        if self.sequential {
            commands.push(Command::SetSequential(true));
        }
        if self.paused {
            commands.push(Command::Pause);
        }
        commands
    }
}

/// How far the check of the files is.
#[derive(Debug, Default)]
pub(crate) struct Check {
    pub(crate) running: AtomicBool,
    pub(crate) cancelled: AtomicBool,
    pub(crate) done: AtomicU32,
    pub(crate) total: AtomicU32,
}

impl Torrent {
    pub(crate) fn active(&self) -> MutexGuard<'_, Option<Active>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a checkpoint would record now, and the storage whose data must be synced first.
    pub(crate) fn resume_data(&self) -> Option<(Arc<FileStorage>, ResumeData)> {
        let active = self.active();
        let active = active.as_ref()?;
        let have = active.swarm.swarm().have()?.clone();
        let status = active.swarm.swarm().status(downpour_base::Instant::ORIGIN);
        let data = ResumeData {
            info_hash: self.metainfo.info.info_hash(),
            have,
            stamps: None,
            downloaded: self.downloaded_before.load(Ordering::Relaxed) + status.downloaded_bytes,
            uploaded: self.uploaded_before.load(Ordering::Relaxed) + status.uploaded_bytes,
        };
        Some((Arc::clone(&active.storage), data))
    }

    /// Syncs the data, then records which pieces are had. After a clean stop (`last`) the state of the files is
    /// recorded too, so that the next start trusts it without hashing.
    pub(crate) fn checkpoint(&self, last: bool) -> Result<(), downpour_storage::StorageError> {
        let mut saved = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((storage, mut data)) = self.resume_data() else { return Ok(()) };
        if let Some(path) = &self.resume_file {
            storage.sync()?;
            data.stamps = last.then(|| storage.stamps());
            downpour_storage::save_resume(path, &data)?;
        } else if last {
            data.stamps = Some(storage.stamps());
            *saved = Some(data);
        }
        Ok(())
    }

    /// What the last checkpoint recorded.
    pub(crate) fn load_resume(&self) -> Result<Option<ResumeData>, downpour_storage::StorageError> {
        match &self.resume_file {
            Some(path) => downpour_storage::load_resume(path),
            None => Ok(self.saving.lock().unwrap_or_else(PoisonError::into_inner).clone()),
        }
    }
}
