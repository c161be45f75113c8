//! The blocks that peers ask for.

use downpour_base::{Block, ConnectionId, Instant};
use downpour_wire::Message;

use crate::limits::{MAX_CHOKED_REQUESTS, MAX_UPLOAD_QUEUE};
use crate::{CloseReason, Direction, Output, Swarm};

impl<P> Swarm<P> {
    pub(crate) fn requested(&mut self, now: Instant, connection: ConnectionId, block: Block) {
        let (Some(picker), Some(peer)) = (&self.torrent, self.peers.get_mut(&connection)) else { return };
        let size = picker.piece_size(block.piece);
        let inside = block.begin.checked_add(block.length).is_some_and(|end| end <= size);
        if !inside {
            return self.close(now, connection, CloseReason::InvalidRequest(block));
        }
        let free = peer.uploads.len() < MAX_UPLOAD_QUEUE && picker.have().contains(block.piece);
        if free && (!peer.choked || peer.take_offer(block)) {
            peer.uploads.push_back(block);
            return self.wake(connection);
        }
        peer.choked_requests += 1;
        if peer.choked_requests > MAX_CHOKED_REQUESTS {
            return self.close(now, connection, CloseReason::RequestFlood);
        }
        if peer.fast {
            self.tell(connection, Message::Reject(block));
        }
    }

    pub(crate) fn cancelled(&mut self, connection: ConnectionId, block: Block) {
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        let Some(position) = peer.uploads.iter().position(|queued| *queued == block) else { return };
        peer.uploads.remove(position);
        if peer.fast {
            self.tell(connection, Message::Reject(block));
        }
    }

    pub(crate) fn next_upload(&mut self, now: Instant, connection: ConnectionId) -> Option<Block> {
        let peer = self.peers.get_mut(&connection)?;
        let block = *peer.uploads.front()?;
        if let Some(left) = self.upload.left.as_mut() {
            if *left <= 0 {
                if self.upload.waiting.is_empty() {
                    self.outputs.push_back(Output::Starved { direction: Direction::Upload });
                }
                self.upload.waiting.insert(connection);
                return None;
            }
            *left = left.saturating_sub(i64::from(block.length));
        }
        peer.uploads.pop_front();
        peer.upload_rate.add(now, u64::from(block.length));
        self.upload.rate.add(now, u64::from(block.length));
        self.payload_flows(now);
        self.check_seed_ratio();
        Some(block)
    }
}
