//! Pieces on their way to the disk, and what comes back from there.

use core::time::Duration;
use std::collections::VecDeque;

use downpour_base::{BLOCK_SIZE, Block, ConnectionId, Instant, Map, MapKey, block_count};
use downpour_wire::Message;

use crate::blame::{Sender, Senders, Suspects};
use crate::limits::{CHECKPOINT_INTERVAL, FIRST_DISK_PROBE, LAST_DISK_PROBE};
use crate::swarm::Timer;
use crate::{
    BanReason, BlockDigest, CloseReason, Command, DiskFailure, Event, JobId, Output, StoreResult, Swarm,
};

/// The blocks of a piece, and who sent them.
#[derive(Debug)]
struct Assembly<P> {
    blocks: Vec<Option<P>>,
    senders: Senders,
}

/// A piece with all its blocks.
#[derive(Debug)]
struct Whole<P> {
    piece: u32,
    blocks: Vec<P>,
    senders: Senders,
}

/// The blocks that have come, until their piece is stored.
#[derive(Debug)]
pub(crate) struct Stores<P> {
    assembling: Map<u32, Assembly<P>>,
    jobs: Map<JobId, (u32, Senders)>,
    next_job: u64,
    /// Pieces that wait for space on the disk.
    held: VecDeque<Whole<P>>,
    /// While the disk is full: how long the next probe waits, and the probe that is under way.
    full: Option<Duration>,
    probe: Option<JobId>,
    pub(crate) suspects: Suspects,
}

impl<P> Stores<P> {
    pub(crate) fn new(key: MapKey) -> Self {
        Self {
            assembling: key.map(),
            jobs: key.map(),
            next_job: 0,
            held: VecDeque::new(),
            full: None,
            probe: None,
            suspects: Suspects::default(),
        }
    }

    /// Whether pieces wait for space on the disk, and no more are to be asked for.
    pub(crate) fn is_disk_full(&self) -> bool {
        self.full.is_some()
    }

    /// What has come of `piece` is not kept.
    pub(crate) fn forget(&mut self, piece: u32) {
        self.assembling.remove(&piece);
    }

    /// `block` has come and is kept until its piece is stored.
    pub(crate) fn insert(&mut self, block: Block, piece_size: u32, sender: Sender, payload: P) {
        let assembly = self.assembling.entry(block.piece).or_insert_with(|| Assembly {
            blocks: std::iter::repeat_with(|| None).take(block_count(piece_size) as usize).collect(),
            senders: Senders::default(),
        });
        let index = block.begin / BLOCK_SIZE;
        if let Some(slot) = assembly.blocks.get_mut(index as usize) {
            *slot = Some(payload);
            assembly.senders.note(index, sender);
        }
    }
}

impl<P> Swarm<P> {
    /// All blocks of `piece` are here: it goes to be hashed and written, or waits for space.
    pub(crate) fn store(&mut self, piece: u32) {
        let Some(assembly) = self.stores.assembling.remove(&piece) else { return };
        let blocks = assembly.blocks.into_iter().flatten().collect();
        let whole = Whole { piece, blocks, senders: assembly.senders };
        if self.stores.is_disk_full() {
            self.stores.held.push_back(whole);
        } else {
            self.start_job(whole);
        }
    }

    fn start_job(&mut self, whole: Whole<P>) -> JobId {
        let Whole { piece, blocks, senders } = whole;
        self.stores.next_job += 1;
        let job = JobId(self.stores.next_job);
        self.stores.jobs.insert(job, (piece, senders));
        let digests = self.stores.suspects.suspects(piece);
        self.outputs.push_back(Output::Store { job, piece, blocks, digests });
        job
    }

    pub(crate) fn stored(
        &mut self,
        now: Instant,
        job: JobId,
        result: StoreResult,
        digests: Vec<BlockDigest>,
    ) {
        let Some((piece, senders)) = self.stores.jobs.remove(&job) else { return };
        if self.stores.probe == Some(job) {
            self.probed(now, result == StoreResult::Stored);
        }
        match result {
            StoreResult::Stored => self.piece_passed(now, piece, &senders, &digests),
            StoreResult::HashMismatch => self.piece_failed(now, piece, senders, digests),
        }
        self.memory_came_free();
    }

    fn piece_passed(&mut self, now: Instant, piece: u32, senders: &Senders, digests: &[BlockDigest]) {
        let Some(picker) = &mut self.torrent else { return };
        picker.piece_passed(piece);
        let finished = picker.is_finished();
        self.event(Event::PieceFinished { piece });
        if !self.unsaved {
            self.unsaved = true;
            self.timers.set(Timer::Checkpoint, Some(now + CHECKPOINT_INTERVAL));
        }
        self.announce(piece);
        let verdict = self.stores.suspects.resolve(piece, digests);
        let mut cleared = verdict.cleared;
        if let [only] = senders.who[..] {
            cleared.push(only.connection);
        }
        for connection in cleared {
            if let Some(peer) = self.peers.get_mut(&connection) {
                peer.on_parole = false;
            }
        }
        for (sender, block) in verdict.guilty {
            self.ban(now, sender, BanReason::CorruptBlock(block));
        }
        if finished && !self.finished {
            self.set_finished(now, true);
        }
    }

    /// One who sent all of a bad piece is banned. Of several, it is not known yet who it was: the next copy comes from one peer
    /// alone, and until it is clear each of them gets pieces of its own (libtorrent's parole mode).
    fn piece_failed(&mut self, now: Instant, piece: u32, senders: Senders, digests: Vec<BlockDigest>) {
        let Some(picker) = &mut self.torrent else { return };
        picker.piece_failed(piece);
        self.wasted += u64::from(picker.piece_size(piece));
        let connections = senders.who.iter().map(|sender| sender.connection).collect();
        if let [only] = senders.who[..] {
            self.event(Event::HashFailed { piece, senders: connections });
            self.ban(now, only, BanReason::CorruptPiece(piece));
        } else {
            picker.distrust(piece);
            for connection in &connections {
                if let Some(peer) = self.peers.get_mut(connection) {
                    peer.on_parole = true;
                }
            }
            self.event(Event::HashFailed { piece, senders: connections });
            self.stores.suspects.remember(piece, senders, digests);
        }
        self.blocks_came_free();
    }

    /// A piece could not be written, and its blocks are back. On a full disk they are kept, and now and then one is tried
    /// again; any other failure needs the user.
    pub(crate) fn not_stored(&mut self, now: Instant, job: JobId, failure: DiskFailure, blocks: Vec<P>) {
        let Some((piece, senders)) = self.stores.jobs.remove(&job) else { return };
        if !failure.disk_full {
            if let Some(picker) = &mut self.torrent {
                picker.piece_failed(piece);
            }
            if self.stores.probe == Some(job) {
                self.stores.probe = None;
            }
            self.event(Event::DiskError(failure));
            return self.command(now, Command::Pause);
        }
        self.stores.held.push_back(Whole { piece, blocks, senders });
        if self.stores.probe == Some(job) {
            self.probed(now, false);
        } else if self.stores.full.is_none() {
            self.stores.full = Some(FIRST_DISK_PROBE);
            self.event(Event::DiskError(failure));
            self.wait_for_space(now);
        }
    }

    fn wait_for_space(&mut self, now: Instant) {
        let at = self.stores.full.filter(|_| !self.paused).map(|delay| now + delay);
        self.timers.set(Timer::DiskProbe, at);
    }

    /// Has one piece written that there was no space for.
    pub(crate) fn probe_disk(&mut self, now: Instant) {
        if self.stores.full.is_none() || self.stores.probe.is_some() || self.paused {
            return;
        }
        match self.stores.held.pop_front() {
            Some(whole) => self.stores.probe = Some(self.start_job(whole)),
            None => self.probed(now, true),
        }
    }

    fn probed(&mut self, now: Instant, has_space: bool) {
        self.stores.probe = None;
        if !has_space {
            self.stores.full = self.stores.full.map(|delay| (delay * 2).min(LAST_DISK_PROBE));
            return self.wait_for_space(now);
        }
        self.stores.full = None;
        self.timers.set(Timer::DiskProbe, None);
        self.event(Event::DiskHasSpace);
        for whole in std::mem::take(&mut self.stores.held) {
            self.start_job(whole);
        }
        self.blocks_came_free();
    }

    /// Has the pieces that were stored since the last time recorded.
    pub(crate) fn checkpoint(&mut self) {
        if std::mem::take(&mut self.unsaved) {
            self.timers.set(Timer::Checkpoint, None);
            self.outputs.push_back(Output::Checkpoint);
        }
    }

    /// Tells everybody who may want it that we have `piece`, and reconsiders who has something for us.
    fn announce(&mut self, piece: u32) {
        let everybody: Vec<ConnectionId> = self.peers.keys().copied().collect();
        for connection in everybody {
            let Some(peer) = self.peers.get(&connection) else { continue };
            let has_it = peer.pieces.contains(piece);
            if !peer.pieces.is_seed() {
                self.tell(connection, Message::Have(piece));
            }
            if has_it {
                self.update_interest(connection);
            }
        }
    }

    /// Who sent bad data is closed and not talked to again, though it may have left or come back meanwhile.
    fn ban(&mut self, now: Instant, sender: Sender, reason: BanReason) {
        let callback = self.peers.get(&sender.connection).and_then(|peer| peer.callback);
        let news = !self.candidates.is_banned(sender.endpoint);
        self.candidates.ban(sender.endpoint);
        callback.into_iter().for_each(|endpoint| self.candidates.ban(endpoint));
        let banned = self.peers.iter().filter(|(connection, peer)| {
            **connection == sender.connection || self.candidates.is_banned(peer.endpoint)
        });
        let mut banned: Vec<ConnectionId> = banned.map(|(connection, _)| *connection).collect();
        banned.sort_unstable();
        for connection in banned {
            self.close(now, connection, CloseReason::CorruptData);
        }
        if news {
            self.event(Event::PeerBanned { endpoint: sender.endpoint, reason });
        }
    }
}
