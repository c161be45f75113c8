//! Waking a torrent: load its resume state, check its files, make its swarm.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use downpour_base::{Bitfield, Machine, PeerEndpoint};
use downpour_session::Input as SessionInput;
use downpour_storage::{FileStorage, HashQueue, StorageError, plan_check};
use downpour_swarm::{Config, DiskFailure, Geometry, Input, PeerSource, Recorder, Totals};
use smol::channel::bounded;

use crate::alert::AlertKind;
use crate::core::{Core, Todo};
use crate::torrent::{Active, Torrent};

/// How many bytes a thread hashes before it does what other torrents ask for.
const HASHED_AT_ONCE: u64 = 16 << 20;

/// Carries out [`downpour_session::Output::Activate`].
pub(crate) async fn activate(core: Arc<Core>, torrent: Arc<Torrent>) {
    let id = torrent.id;
    let verbs = torrent.verbs.lock().await;
    match load(&core, &torrent).await {
        Ok(Some((storage, have))) => start(&core, &torrent, storage, &have),
        // The session ends.
        Ok(None) => {}
        Err(error) => {
            let failure = DiskFailure { message: error.to_string(), disk_full: error.is_disk_full() };
            core.alerts.push(Some(id), AlertKind::DiskError(failure));
            core.tell_session(SessionInput::Deactivated { torrent: id });
        }
    }
    drop(verbs);
    torrent.tell_waiting();
    let scattered = torrent.storage().filter(|storage| storage.is_scattered());
    if let Some(storage) = scattered {
        // A move that the last run did not finish.
        let _verbs = torrent.verbs.lock().await;
        // It tells how it went.
        let _ = crate::relocation::finish_move(&core, &torrent, &storage).await;
    }
}

/// Carries out [`downpour_session::Output::Deactivate`].
pub(crate) async fn deactivate(core: Arc<Core>, torrent: Arc<Torrent>) {
    // Not while its files are moved.
    let _verbs = torrent.verbs.lock().await;
    let (there, dropped) = (Arc::clone(&core), Arc::clone(&torrent));
    core.pool.call(move || there.deactivate(&dropped)).await;
    core.tell_session(SessionInput::Deactivated { torrent: torrent.id });
}

/// Finds out which pieces are good; `None` if the session ends meanwhile.
async fn load(
    core: &Arc<Core>,
    torrent: &Arc<Torrent>,
) -> Result<Option<(Arc<FileStorage>, Bitfield)>, StorageError> {
    let planned = {
        let (torrent, handles) = (Arc::clone(torrent), Arc::clone(&core.handles));
        core.pool.call(move || {
            let layout = torrent.metainfo.info.layout();
            let (placement, resume) = torrent.load_resume()?;
            if let Some(resume) = &resume {
                torrent.downloaded_before.store(resume.downloaded, Ordering::Relaxed);
                torrent.uploaded_before.store(resume.uploaded, Ordering::Relaxed);
                torrent.wishes().restore(resume);
            }
            torrent.at_start.get_or_init(|| {
                resume.as_ref().map_or((0, 0), |resume| (resume.uploaded, resume.downloaded))
            });
            let storage =
                FileStorage::open(placement, Arc::new(layout.clone()), torrent.allocation, handles)?;
            let wishes = torrent.wishes().clone();
            storage.select(|file| wishes.file(file) > 0)?;
            let recheck = torrent.recheck.load(Ordering::Acquire);
            let trusted = resume.filter(|_| !recheck);
            let plan = plan_check(layout, trusted.as_ref(), &storage.on_disk());
            Ok((Arc::new(storage), plan))
        })
    };
    let Some((storage, plan)) = planned.await.transpose()? else { return Ok(None) };
    let mut have = plan.good;
    if !plan.to_hash.is_empty() {
        let total = plan.to_hash.len() as u32;
        torrent.check.total.store(total, Ordering::Relaxed);
        torrent.check.done.store(0, Ordering::Relaxed);
        torrent.check.running.store(true, Ordering::Release);
        core.alerts.push(Some(torrent.id), AlertKind::Checking);
        let good = hash_all(core, torrent, &storage, plan.to_hash).await;
        torrent.check.running.store(false, Ordering::Release);
        storage.found(good.iter().copied());
        good.into_iter().for_each(|piece| {
            have.insert(piece);
        });
    }
    core.alerts.push(Some(torrent.id), AlertKind::Checked { good: have.count(), total: have.len() });
    if !have.is_full() {
        let storage = Arc::clone(&storage);
        core.pool.call(move || storage.prepare()).await.unwrap_or(Ok(()))?;
    }
    if !torrent.check.cancelled.load(Ordering::Acquire) {
        torrent.recheck.store(false, Ordering::Release);
    }
    Ok(Some((storage, have)))
}

/// Hashes `pieces` on all threads of the pool and returns the good ones.
async fn hash_all(
    core: &Arc<Core>,
    torrent: &Arc<Torrent>,
    storage: &Arc<FileStorage>,
    pieces: Vec<u32>,
) -> Vec<u32> {
    let good = Arc::new(Mutex::new(Vec::new()));
    let queue = Arc::new(HashQueue::new(pieces));
    let workers: Vec<_> = (0..core.config.threads.max(1))
        .map(|_| {
            let (queue, good) = (Arc::clone(&queue), Arc::clone(&good));
            let (torrent, storage) = (Arc::clone(torrent), Arc::clone(storage));
            let turn = move || {
                let info = &torrent.metainfo.info;
                queue.work_on(HASHED_AT_ONCE, &*storage, info.layout(), |piece, hash| {
                    if torrent.check.cancelled.load(Ordering::Relaxed) {
                        return queue.stop();
                    }
                    // A piece that cannot be read is a piece that is not there.
                    if hash.is_ok_and(|hash| info.piece_hash(piece) == Some(hash)) {
                        good.lock().unwrap_or_else(PoisonError::into_inner).push(piece);
                    }
                    torrent.check.done.fetch_add(1, Ordering::Relaxed);
                })
            };
            let there = Arc::clone(core);
            core.executor.spawn(async move { while there.pool.call(turn.clone()).await == Some(true) {} })
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
    let commands = torrent.wishes().commands(layout);
    let mut swarm = Recorder::new(config, Some(&geometry), core.recording.is_some());
    let (timer, moved) = bounded(1);
    {
        let mut active = torrent.active();
        // Removed while it was loaded: whoever removes it sets this first, and then takes what is here.
        if torrent.check.cancelled.load(Ordering::Acquire) {
            return;
        }
        for command in commands {
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
