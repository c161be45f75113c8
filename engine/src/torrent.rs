//! One torrent of a session, dormant or active.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use downpour_base::{Bitfield, InfoHashV1, TorrentId};
use downpour_metainfo::Metainfo;
use downpour_storage::{Allocation, FileStorage, Placement, ResumeData, Stamps, Storage, StorageError};
use downpour_swarm::{Recorder, Status};
use smol::channel::Sender;

use crate::payload::BlockBytes;
use crate::wishes::Wishes;

/// How often a torrent may have been moved on since a state was saved at the place where it was first.
const MAX_MOVES: usize = 16;

/// What the engine keeps of a torrent.
#[derive(Debug)]
pub(crate) struct Torrent {
    pub(crate) id: TorrentId,
    pub(crate) metainfo: Metainfo,
    pub(crate) info_hash: InfoHashV1,
    /// Where it was added.
    pub(crate) save_path: PathBuf,
    /// Where resume state is kept, if anywhere.
    pub(crate) state_folder: Option<PathBuf>,
    pub(crate) allocation: Allocation,
    /// Peers that the user named.
    pub(crate) peers: Mutex<Vec<SocketAddr>>,
    /// Those of the .torrent file, as the user has changed them.
    pub(crate) web_seeds: Mutex<Vec<String>>,
    pub(crate) active: Mutex<Option<Active>>,
    pub(crate) check: Check,
    /// Payload of earlier runs and of earlier activations of this one.
    pub(crate) downloaded_before: AtomicU64,
    pub(crate) uploaded_before: AtomicU64,
    /// Payload of earlier runs, uploaded and downloaded: trackers count from the start of this one.
    pub(crate) at_start: OnceLock<(u64, u64)>,
    /// What the swarm said last, for a torrent that has none now.
    pub(crate) last_status: Mutex<Status>,
    /// One checkpoint at a time; holds what the last one of an activation recorded, for a session without a folder for
    /// resume state.
    pub(crate) saving: Mutex<Saved>,
    pub(crate) wishes: Mutex<Wishes>,
    /// Held by whoever loads or drops the torrent, or changes where its files are: one at a time, and each through to
    /// its end. The first lock to be taken; nobody takes it on a thread.
    pub(crate) verbs: smol::lock::Mutex<()>,
    /// Who waits for the torrent to become active. Dropped, the sender says that it did not.
    pub(crate) waiting: Mutex<Vec<Sender<()>>>,
    /// Whether the next load trusts nothing and hashes everything.
    pub(crate) recheck: AtomicBool,
}

/// What was saved of a torrent.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    /// The folder for whose resume file the next state is.
    place: Option<PathBuf>,
    /// The last state of an activation, for a session without a folder for resume state; or the state that the torrent
    /// was added with.
    memory: Option<ResumeData>,
    /// Whether `memory` goes before the file: until a state is saved.
    given: bool,
}

impl Saved {
    /// What a torrent is added with.
    pub(crate) fn given(data: Option<ResumeData>) -> Self {
        Self { place: None, given: data.is_some(), memory: data }
    }
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

    /// Ends what is under way with the torrent, and waits for it.
    pub(crate) async fn end(&self) -> smol::lock::MutexGuard<'_, ()> {
        self.check.cancelled.store(true, Ordering::Release);
        if let Some(storage) = self.storage() {
            storage.cancel_move();
        }
        let verbs = self.verbs.lock().await;
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
        verbs
    }

    pub(crate) fn storage(&self) -> Option<Arc<FileStorage>> {
        self.active().as_ref().map(|active| Arc::clone(&active.storage))
    }

    pub(crate) fn wishes(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who wait for the torrent to become active that it is, or will not be.
    pub(crate) fn tell_waiting(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if self.active().is_some() {
            for waiting in waiting {
                let _ = waiting.try_send(());
            }
        }
    }

    /// What a checkpoint would record now, and the storage whose data must be synced first.
    pub(crate) fn resume_data(&self) -> Option<(Arc<FileStorage>, ResumeData)> {
        let (storage, mut data) = {
            let active = self.active();
            let active = active.as_ref()?;
            let have = active.swarm.swarm().have()?.clone();
            let status = active.swarm.swarm().status(downpour_base::Instant::ORIGIN);
            let data = ResumeData {
                downloaded: self.downloaded_before.load(Ordering::Relaxed) + status.downloaded_bytes,
                uploaded: self.uploaded_before.load(Ordering::Relaxed) + status.uploaded_bytes,
                ..ResumeData::new(self.metainfo.info.info_hash(), have)
            };
            (Arc::clone(&active.storage), data)
        };
        self.wishes().save(&mut data);
        self.record_places(&mut data, &storage.placement());
        Some((storage, data))
    }

    fn record_places(&self, data: &mut ResumeData, placement: &Placement) {
        if placement.save_paths != [self.save_path.clone()] {
            let paths = placement.save_paths.iter().filter_map(|path| path.to_str());
            data.save_paths = paths.map(str::to_owned).collect();
        }
        data.names = placement.names.clone();
    }

    /// Syncs the data, then records which pieces are had. After a clean stop (`last`) the state of the files is
    /// recorded too, so that the next start trusts it without hashing.
    pub(crate) fn checkpoint(&self, last: bool) -> Result<(), StorageError> {
        let mut saved = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        if self.state_folder.is_none() && !last {
            return Ok(());
        }
        let Some((storage, mut data)) = self.synced_resume_data()? else { return Ok(()) };
        if last {
            data.stamps = Some(stamps(&storage));
        }
        self.save(&mut saved, data)
    }

    /// As [`checkpoint`](Self::checkpoint), and returns the state as it would be after a clean stop now. Of a torrent that is
    /// not active, what was saved last.
    pub(crate) fn save_resume_data(&self) -> Result<Vec<u8>, StorageError> {
        let synced = {
            let mut saved = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
            let synced = self.synced_resume_data()?;
            if let Some((_, data)) = &synced
                && self.state_folder.is_some()
            {
                self.save(&mut saved, data.clone())?;
            }
            synced
        };
        if let Some((storage, mut data)) = synced {
            data.stamps = Some(stamps(&storage));
            return Ok(data.encode());
        }
        let info = &self.metainfo.info;
        let (placement, data) = self.load_resume()?;
        let mut data = data
            .unwrap_or_else(|| ResumeData::new(info.info_hash(), Bitfield::new(info.layout().piece_count())));
        self.wishes().restore(&data);
        self.wishes().save(&mut data);
        self.record_places(&mut data, &placement);
        Ok(data.encode())
    }

    /// What is had, all of it synced. The caller holds `saving`.
    fn synced_resume_data(&self) -> Result<Option<(Arc<FileStorage>, ResumeData)>, StorageError> {
        let Some((storage, mut data)) = self.resume_data() else { return Ok(None) };
        storage.sync()?;
        data.in_parts = storage.in_parts();
        Ok(Some((storage, data)))
    }

    fn save(&self, saved: &mut Saved, data: ResumeData) -> Result<(), StorageError> {
        let place = saved.place.clone().unwrap_or_else(|| self.save_path.clone());
        match self.resume_file(&place) {
            Some(path) => {
                downpour_storage::save_resume(&path, &data)?;
                (saved.given, saved.memory) = (false, None);
            }
            None => saved.memory = Some(data),
        }
        Ok(())
    }

    /// Removes the resume state, and those that lead to it.
    pub(crate) fn forget_resume(&self) -> Result<(), StorageError> {
        let mut saved = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        (saved.given, saved.memory) = (false, None);
        let mut places: Vec<PathBuf> = saved.place.iter().cloned().collect();
        let mut next = Some(self.save_path.clone());
        while let Some(place) = next.take().filter(|_| places.len() <= MAX_MOVES) {
            let Some(path) = self.resume_file(&place) else { return Ok(()) };
            let data = downpour_storage::load_resume(&path)?.map(|data| data.save_paths);
            if let Some([moved_to]) = data.as_deref()
                && places.iter().all(|known| known != Path::new(moved_to))
            {
                next = Some(moved_to.into());
            }
            places.push(place);
        }
        let mut files = places.iter().filter_map(|place| self.resume_file(place));
        files.try_for_each(|file| downpour_storage::remove_resume(&file))
    }

    /// Where the files are, whether the torrent is active or not.
    pub(crate) fn place(&self) -> Placement {
        match self.storage() {
            Some(storage) => storage.placement(),
            None => self.load_resume().map_or_else(
                |_| Placement::new(self.last_place(), self.metainfo.info.info_hash()),
                |(placement, _)| placement,
            ),
        }
    }

    /// The files have all come to another folder: the state is kept for that one from now on, and the state for the old
    /// one, if somebody adds the torrent there again, leads to it.
    pub(crate) fn moved_to(&self, place: &Path) -> Result<(), StorageError> {
        let old = {
            let mut saved = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
            saved.place.replace(place.to_owned()).unwrap_or_else(|| self.save_path.clone())
        };
        self.checkpoint(false)?;
        let (Some(from), Some(to)) = (self.resume_file(&old), self.resume_file(place)) else { return Ok(()) };
        match downpour_storage::load_resume(&to)? {
            Some(mut data) if from != to => {
                data.save_paths = place.to_str().map(str::to_owned).into_iter().collect();
                downpour_storage::save_resume(&from, &data)
            }
            _ => Ok(()),
        }
    }

    /// Where the files were when the torrent was active last, or where it was added.
    pub(crate) fn last_place(&self) -> PathBuf {
        let saved = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        saved.place.clone().unwrap_or_else(|| self.save_path.clone())
    }

    /// What the last checkpoint recorded, of this torrent; and where its files were then.
    pub(crate) fn load_resume(&self) -> Result<(Placement, Option<ResumeData>), StorageError> {
        let info_hash = self.metainfo.info.info_hash();
        let mut saved = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let mut place = saved.place.clone().unwrap_or_else(|| self.save_path.clone());
        let mut data = saved.memory.clone();
        let fits = |data: &ResumeData| data.check(info_hash, self.metainfo.info.layout()).is_ok();
        if saved.given
            && let Some([moved_to]) = data.as_ref().map(|data| &data.save_paths[..])
        {
            place = moved_to.into();
        }
        for _ in 0..if saved.given { 0 } else { MAX_MOVES } {
            let Some(path) = self.resume_file(&place) else { break };
            data = downpour_storage::load_resume(&path)?.filter(fits);
            // The files were moved, and the newest state is where they are. In the middle of a move it is here.
            match data.as_ref().map(|data| &data.save_paths[..]) {
                Some([moved_to]) if Path::new(moved_to) != place => place = moved_to.into(),
                _ => break,
            }
        }
        let mut placement = Placement::new(place.clone(), info_hash);
        if let Some(data) = &data {
            if !data.save_paths.is_empty() {
                placement.save_paths = data.save_paths.iter().map(PathBuf::from).collect();
            }
            placement.names = data.names.clone();
        }
        saved.place = Some(place);
        Ok((placement, data))
    }

    /// Where the state for files in `place` is kept. The same torrent may be kept in several places, so the place is part of
    /// the name.
    fn resume_file(&self, place: &Path) -> Option<PathBuf> {
        let hash = downpour_storage::sha1([place.as_os_str().as_encoded_bytes()]);
        let hash = &InfoHashV1(hash).to_string()[..8];
        Some(self.state_folder.as_ref()?.join(format!("{}-{hash}.resume", self.info_hash)))
    }
}

fn stamps(storage: &FileStorage) -> Stamps {
    let on_disk = storage.on_disk();
    Stamps { files: on_disk.files, parts: on_disk.parts }
}
