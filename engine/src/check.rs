//! Waking a torrent: load its resume state, check its files, make its swarm.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use downpour_base::{Bitfield, Machine, PeerEndpoint};
use downpour_session::Input as SessionInput;
use downpour_storage::{FileStorage, StorageError, hash_piece, plan_check};
use downpour_swarm::{Config, DiskFailure, Geometry, Input, PeerSource, Recorder, Totals};
use smol::channel::bounded;

use crate::alert::AlertKind;
use crate::core::{Core, Todo};
use crate::torrent::{Active, Torrent};

/// Fits the second-level cache, so that a piece is hashed where it is hot.
const HASH_BUFFER: usize = 256 << 10;

/// Carries out [`downpour_session::Output::Activate`].
pub(crate) async fn activate(core: Arc<Core>, torrent: Arc<Torrent>) {
    let id = torrent.id;
    match load(&core, &torrent).await {
        Ok((storage, have)) => start(&core, &torrent, storage, &have),
        Err(error) => {
            let failure = DiskFailure { message: error.to_string(), disk_full: error.is_disk_full() };
            core.alerts.push(Some(id), AlertKind::DiskError(failure));
            core.tell_session(SessionInput::Deactivated { torrent: id });
        }
    }
}

/// Finds out which pieces are good.
async fn load(
    core: &Arc<Core>,
    torrent: &Arc<Torrent>,
) -> Result<(Arc<FileStorage>, Bitfield), StorageError> {
    let layout = Arc::new(torrent.metainfo.info.layout().clone());
    let (root, handles) = (torrent.save_path.clone(), Arc::clone(&core.handles));
    let storage = Arc::new(FileStorage::new(root, Arc::clone(&layout), torrent.allocation, handles));
    let plan = {
        let (storage, torrent) = (Arc::clone(&storage), Arc::clone(torrent));
        let planned = core.pool.call(move || {
            let resume =
                torrent.load_resume()?.filter(|resume| resume.info_hash == torrent.metainfo.info.info_hash());
            if let Some(resume) = &resume {
                torrent.downloaded_before.store(resume.downloaded, Ordering::Relaxed);
                torrent.uploaded_before.store(resume.uploaded, Ordering::Relaxed);
            }
            Ok(plan_check(torrent.metainfo.info.layout(), resume.as_ref(), &storage.stamps()))
        });
        planned.await.unwrap_or_else(|| Ok(plan_check(&layout, None, &[])))?
    };
    let mut have = plan.good;
    if !plan.to_hash.is_empty() {
        let total = plan.to_hash.len() as u32;
        torrent.check.total.store(total, Ordering::Relaxed);
        torrent.check.done.store(0, Ordering::Relaxed);
        torrent.check.running.store(true, Ordering::Release);
        core.alerts.push(Some(torrent.id), AlertKind::Checking);
        let good = hash_all(core, torrent, &storage, plan.to_hash).await;
        torrent.check.running.store(false, Ordering::Release);
        good.into_iter().for_each(|piece| {
            have.insert(piece);
        });
    }
    core.alerts.push(Some(torrent.id), AlertKind::Checked { good: have.count(), total: have.len() });
    if !have.is_full() {
        let storage = Arc::clone(&storage);
        core.pool.call(move || storage.prepare()).await.unwrap_or(Ok(()))?;
    }
    Ok((storage, have))
}

/// Hashes `pieces` on all threads of the pool and returns the good ones.
async fn hash_all(
    core: &Arc<Core>,
    torrent: &Arc<Torrent>,
    storage: &Arc<FileStorage>,
    pieces: Vec<u32>,
) -> Vec<u32> {
    let good = Arc::new(Mutex::new(Vec::new()));
    let (next, pieces) = (Arc::new(AtomicUsize::new(0)), Arc::new(pieces));
    let workers: Vec<_> = (0..core.config.threads.max(1))
        .map(|_| {
            let (next, pieces, good) = (Arc::clone(&next), Arc::clone(&pieces), Arc::clone(&good));
            let (torrent, storage) = (Arc::clone(torrent), Arc::clone(storage));
            core.pool.call(move || {
                let info = &torrent.metainfo.info;
                let mut buffer = vec![0; HASH_BUFFER];
                while let Some(&piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if torrent.check.cancelled.load(Ordering::Relaxed) {
                        return;
                    }
                    // A piece that cannot be read is a piece that is not there.
                    let hash = hash_piece(&*storage, info.layout(), piece, &mut buffer).ok();
                    if hash.is_some() && hash == info.piece_hash(piece) {
                        good.lock().unwrap_or_else(PoisonError::into_inner).push(piece);
                    }
                    torrent.check.done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await;
    }
    std::mem::take(&mut *good.lock().unwrap_or_else(PoisonError::into_inner))
}

fn start(core: &Arc<Core>, torrent: &Arc<Torrent>, storage: Arc<FileStorage>, have: &Bitfield) {
    let layout = torrent.metainfo.info.layout();
    let geometry = Geometry::new(layout.total_length(), layout.piece_length(), have);
    let config = Config {
        seed: core.new_seed(),
        info_hash: torrent.info_hash,
        peer_id: core.peer_id,
        client: core.config.client.clone(),
        listen_port: core.listen_port,
        private: torrent.metainfo.info.is_private(),
        before: Totals {
            downloaded_bytes: torrent.downloaded_before.load(Ordering::Relaxed),
            uploaded_bytes: torrent.uploaded_before.load(Ordering::Relaxed),
        },
    };
    let mut swarm = Recorder::new(config, Some(&geometry), core.recording.is_some());
    let (timer, moved) = bounded(1);
    {
        let mut active = torrent.active();
        // Removed while it was loaded: whoever removes it sets this first, and then takes what is here.
        if torrent.check.cancelled.load(Ordering::Acquire) {
            return;
        }
        for command in torrent.wishes.lock().unwrap_or_else(PoisonError::into_inner).commands() {
            swarm.handle_input(core.clock.now(), Input::Command(command));
        }
        *active = Some(Active { swarm, storage, timer, armed: None });
    }
    core.executor.spawn(run_timer(Arc::clone(core), Arc::clone(torrent), moved)).detach();
    core.tell_session(SessionInput::Activated { torrent: torrent.id });
    let peers = torrent.peers.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let endpoints = peers.iter().map(|address| PeerEndpoint::Tcp(*address)).collect();
    core.tell_swarm(torrent.id, Input::Peers { endpoints, source: PeerSource::User });
}

/// Calls the swarm when it is due, as long as it exists.
async fn run_timer(core: Arc<Core>, torrent: Arc<Torrent>, moved: smol::channel::Receiver<()>) {
    loop {
        let deadline = {
            let mut guard = torrent.active();
            let Some(active) = guard.as_mut() else { return };
            active.armed = active.swarm.poll_timeout();
            active.armed
        };
        // A closed channel means that the torrent is no longer active.
        if core.clock.wait(deadline, &moved).await.is_err() {
            return;
        }
        let mut todo = Todo::new();
        core.with_swarm(&torrent, &mut todo, |active, now| active.swarm.handle_timeout(now));
        core.run(todo);
    }
}
