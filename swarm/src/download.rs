//! The blocks that we ask for.

use downpour_base::{BLOCK_SIZE, Block, ConnectionId, Instant, block_length};
use downpour_picker::Receipt;
use downpour_wire::Message;

use crate::blame::Sender;
use crate::limits::{MAX_UNREQUESTED, REJECT_PAUSE, REQUEST_TIMEOUT, SNUB_TIMEOUT};
use crate::peer::Request;
use crate::swarm::Timer;
use crate::{CloseReason, Swarm};

impl<P> Swarm<P> {
    /// Asks `connection` for as many blocks as keep it busy and memory allows.
    pub(crate) fn request_more(&mut self, now: Instant, connection: ConnectionId) {
        let (Some(picker), Some(peer)) = (&mut self.torrent, self.peers.get_mut(&connection)) else { return };
        let pausing = peer.paused_until.is_some_and(|until| until > now);
        if self.paused || self.finished || !peer.interests_us || pausing {
            return;
        }
        if self.stores.is_disk_full() {
            self.short_of_memory.insert(connection);
            return;
        }
        let (target, in_flight) = (peer.pipeline.target() as usize, peer.in_flight().count());
        // A batch at a time: an eighth of the target is missing before more is asked for.
        if in_flight + (target / 8).max(1) > target {
            return;
        }
        let room = target - in_flight;
        // What is started must come to its end, so memory bounds the pieces that are begun. One always may be.
        let fresh_bytes = match picker.started_bytes() {
            0 => self.budget.memory_bytes.max(u64::from(picker.piece_length())),
            started => self.budget.memory_bytes.saturating_sub(started),
        };
        let mut blocks = Vec::new();
        if !peer.chokes_us {
            let pieces = &peer.pieces;
            let mut short = match peer.on_parole {
                true => picker.pick_alone(now, connection, pieces, room, fresh_bytes, &mut blocks),
                false => picker.pick(now, connection, pieces, room, fresh_bytes, &mut blocks),
            };
            if short && blocks.is_empty() {
                // Memory is taken by pieces that nobody delivers: one of them gives way.
                if let Some((piece, received)) = picker.drop_orphan() {
                    self.stores.forget(piece);
                    self.wasted += u64::from(received);
                    let fresh_bytes = u64::from(picker.piece_length());
                    short = picker.pick(now, connection, pieces, room, fresh_bytes, &mut blocks);
                }
            }
            if short {
                self.short_of_memory.insert(connection);
            }
        } else if peer.fast {
            let started_before = picker.started_bytes();
            for piece in peer.allowed_fast.iter().filter(|piece| peer.pieces.contains(**piece)) {
                let left = fresh_bytes.saturating_sub(picker.started_bytes() - started_before);
                picker.pick_piece(now, connection, *piece, room - blocks.len(), left, &mut blocks);
            }
        }
        if blocks.is_empty() {
            if !peer.chokes_us {
                self.short_of_blocks.insert(connection);
            }
            return;
        }
        if in_flight == 0 {
            peer.last_block = now;
        }
        for block in blocks {
            peer.requests.push_back(Request { block, sent: now, released: false });
            peer.control.push_back(Message::Request(block));
        }
        if in_flight == 0 {
            let deadline = peer.deadline();
            self.timers.set(Timer::Peer(connection), deadline);
        }
    }

    /// A block came.
    pub(crate) fn block(&mut self, now: Instant, connection: ConnectionId, block: Block, payload: P) {
        let (Some(picker), Some(peer)) = (&mut self.torrent, self.peers.get_mut(&connection)) else { return };
        let Some(position) = peer.requests.iter().position(|request| request.block == block) else {
            // Neither late nor asked for twice: nobody can have been asked for that.
            let size = picker.piece_size(block.piece);
            let index = block.begin / BLOCK_SIZE;
            let asked_for = block.begin.is_multiple_of(BLOCK_SIZE) && block.begin < size;
            if !asked_for || block.length != block_length(size, index) {
                return self.close(now, connection, CloseReason::InvalidBlock(block));
            }
            // Without the Fast extension, what was asked for before a choke may still come.
            peer.unrequested += 1;
            if peer.fast || peer.unrequested > MAX_UNREQUESTED {
                return self.close(now, connection, CloseReason::UnrequestedBlock);
            }
            self.wasted += u64::from(block.length);
            return;
        };
        let Some(request) = peer.requests.remove(position) else { return };
        let bytes = u64::from(block.length);
        peer.pipeline.received(now, bytes, now.saturating_duration_since(request.sent));
        peer.last_block = now;
        peer.snubbed = false;
        self.download.rate.add(now, bytes);
        let sender = Sender { connection, endpoint: peer.endpoint };
        match picker.received(now, connection, block) {
            Receipt::Unwanted => self.wasted += bytes,
            Receipt::Accepted { complete, others } => {
                self.stores.insert(block, picker.piece_size(block.piece), sender, payload);
                for other in others {
                    self.cancel(other, block);
                }
                if complete {
                    self.store(block.piece);
                }
            }
        }
        self.payload_flows(now);
    }

    /// Somebody else delivered what `connection` was asked for too.
    fn cancel(&mut self, connection: ConnectionId, block: Block) {
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        let Some(position) = peer.requests.iter().position(|request| request.block == block) else { return };
        peer.requests[position].released = true;
        let never_sent = peer.control.iter().position(|message| *message == Message::Request(block));
        if let Some(at) = never_sent {
            peer.control.remove(at);
        }
        // With the Fast extension there will be an answer, block or reject; without, perhaps none.
        if never_sent.is_some() || !peer.fast {
            peer.requests.remove(position);
        }
        if never_sent.is_none() {
            self.tell(connection, Message::Cancel(block));
        }
    }

    /// Gives the picker back what `connection` was asked for, since the answers will not come.
    pub(crate) fn release_requests(&mut self, connection: ConnectionId) {
        let (Some(picker), Some(peer)) = (&mut self.torrent, self.peers.get_mut(&connection)) else { return };
        peer.control.retain(|message| !matches!(message, Message::Request(_)));
        let requests = std::mem::take(&mut peer.requests);
        picker.share_all_of(connection);
        if requests.is_empty() {
            return;
        }
        for request in requests {
            if !request.released {
                picker.abandon(connection, request.block);
            }
        }
        self.blocks_came_free();
    }

    pub(crate) fn blocks_came_free(&mut self) {
        let waiting = std::mem::take(&mut self.short_of_blocks);
        self.wake_all(waiting);
        self.memory_came_free();
    }

    pub(crate) fn memory_came_free(&mut self) {
        let waiting = std::mem::take(&mut self.short_of_memory);
        self.wake_all(waiting);
    }

    pub(crate) fn choked_by(&mut self, connection: ConnectionId) {
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        peer.chokes_us = true;
        if !peer.fast {
            return self.release_requests(connection);
        }
        // With the Fast extension, each request that was sent is still answered; those in the queue need not go.
        let unsent: Vec<Block> = peer
            .control
            .iter()
            .filter_map(|message| if let Message::Request(block) = message { Some(*block) } else { None })
            .collect();
        peer.control.retain(|message| !matches!(message, Message::Request(_)));
        for block in unsent {
            self.drop_request(connection, block);
        }
    }

    /// Forgets one request. Returns whether there was one.
    fn drop_request(&mut self, connection: ConnectionId, block: Block) -> bool {
        let (Some(picker), Some(peer)) = (&mut self.torrent, self.peers.get_mut(&connection)) else {
            return false;
        };
        let Some(position) = peer.requests.iter().position(|request| request.block == block) else {
            return false;
        };
        let released = peer.requests.remove(position).is_some_and(|request| request.released);
        if !released {
            picker.abandon(connection, block);
        }
        self.blocks_came_free();
        true
    }

    pub(crate) fn rejected(&mut self, now: Instant, connection: ConnectionId, block: Block) {
        if !self.drop_request(connection, block) {
            return self.close(now, connection, CloseReason::UnrequestedReject);
        }
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        peer.allowed_fast.retain(|piece| *piece != block.piece);
        if !peer.chokes_us {
            // It will not be better at once; asking again and again would be a busy loop between two programs.
            peer.paused_until = Some(now + REJECT_PAUSE);
            let deadline = peer.deadline();
            self.timers.set(Timer::Peer(connection), deadline);
        }
    }

    /// A peer's deadline has come: it may be snubbed, or its pause over.
    pub(crate) fn look_at(&mut self, now: Instant, connection: ConnectionId) {
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        if peer.paused_until.is_some_and(|until| until <= now) {
            peer.paused_until = None;
            self.wake(connection);
        }
        let (Some(picker), Some(peer)) = (&mut self.torrent, self.peers.get_mut(&connection)) else { return };
        let silent = peer.last_block + SNUB_TIMEOUT <= now;
        let lost = |request: &Request| !request.released && (silent || request.sent + REQUEST_TIMEOUT <= now);
        if peer.requests.iter().any(lost) {
            if silent {
                peer.snubbed = true;
                peer.pipeline.snubbed();
            }
            // Others may have these blocks now; should it deliver after all, so much the better.
            for request in peer.requests.iter_mut().filter(|request| lost(request)) {
                request.released = true;
                picker.abandon(connection, request.block);
            }
            self.blocks_came_free();
            self.wake(connection);
        }
        let deadline = self.peers.get(&connection).and_then(|peer| peer.deadline());
        self.timers.set(Timer::Peer(connection), deadline);
    }
}
