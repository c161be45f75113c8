//! Pieces on their way to the disk, and what becomes of those that fail.

use downpour_base::{BLOCK_SIZE, Block, ConnectionId, Instant, Map, MapKey, block_count};
use downpour_wire::Message;

use crate::limits::CHECKPOINT_INTERVAL;
use crate::swarm::Timer;
use crate::{CloseReason, Command, Event, JobId, Output, StoreResult, Swarm};

/// A peer with so many more failed than passed pieces is banned, though others took part in each.
const MAX_STRIKES: i32 = 3;

/// The blocks that have come, until their piece is stored.
#[derive(Debug)]
pub(crate) struct Stores<P> {
    assembling: Map<u32, Vec<Option<P>>>,
    jobs: Map<JobId, u32>,
    next_job: u64,
}

impl<P> Stores<P> {
    pub(crate) fn new(key: MapKey) -> Self {
        Self { assembling: key.map(), jobs: key.map(), next_job: 0 }
    }

    /// What has come of `piece` is not kept.
    pub(crate) fn forget(&mut self, piece: u32) {
        self.assembling.remove(&piece);
    }

    /// `block` has come and is kept until its piece is stored.
    pub(crate) fn insert(&mut self, block: Block, piece_size: u32, payload: P) {
        let blocks = self.assembling.entry(block.piece).or_insert_with(|| {
            std::iter::repeat_with(|| None).take(block_count(piece_size) as usize).collect()
        });
        blocks[(block.begin / BLOCK_SIZE) as usize] = Some(payload);
    }
}

impl<P> Swarm<P> {
    /// All blocks of `piece` are here: it goes to be hashed and written.
    pub(crate) fn store(&mut self, piece: u32) {
        let blocks = self.stores.assembling.remove(&piece).into_iter().flatten().flatten().collect();
        self.stores.next_job += 1;
        let job = JobId(self.stores.next_job);
        self.stores.jobs.insert(job, piece);
        self.outputs.push_back(Output::Store { job, piece, blocks });
    }

    pub(crate) fn stored(&mut self, now: Instant, job: JobId, result: StoreResult) {
        let (Some(picker), Some(piece)) = (&mut self.torrent, self.stores.jobs.remove(&job)) else { return };
        match result {
            StoreResult::Stored => {
                let senders = picker.senders(piece);
                picker.piece_passed(piece);
                let finished = picker.is_finished();
                for connection in senders {
                    if let Some(peer) = self.peers.get_mut(&connection) {
                        peer.strikes = (peer.strikes - 1).max(0);
                    }
                }
                self.event(Event::PieceFinished { piece });
                if !self.unsaved {
                    self.unsaved = true;
                    self.timers.set(Timer::Checkpoint, Some(now + CHECKPOINT_INTERVAL));
                }
                self.announce(piece);
                if finished && !self.finished {
                    self.finish(now);
                }
            }
            StoreResult::HashMismatch => {
                let senders = picker.senders(piece);
                picker.piece_failed(piece);
                self.wasted += u64::from(picker.piece_size(piece));
                self.event(Event::HashFailed { piece, senders: senders.clone() });
                self.blame(now, &senders);
                self.blocks_came_free();
            }
            StoreResult::Failed(failure) => {
                picker.piece_failed(piece);
                self.event(Event::DiskError(failure));
                self.command(now, Command::Pause);
            }
        }
        self.memory_came_free();
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

    /// Who sent a bad piece alone is banned; of several, each gets a strike.
    fn blame(&mut self, now: Instant, senders: &[ConnectionId]) {
        for connection in senders {
            let Some(peer) = self.peers.get_mut(connection) else { continue };
            peer.strikes += 1;
            if senders.len() == 1 || peer.strikes >= MAX_STRIKES {
                let endpoint = peer.endpoint;
                self.candidates.ban(endpoint);
                self.close(now, *connection, CloseReason::CorruptData);
                self.event(Event::PeerBanned { endpoint });
            }
        }
    }
}
