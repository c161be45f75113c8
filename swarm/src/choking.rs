//! Who may ask us for blocks.

use downpour_base::{Block, ConnectionId, Instant};
use downpour_picker::Candidate;
use downpour_wire::Message;

use crate::Swarm;
use crate::limits::RECHOKE_INTERVAL;
use crate::swarm::Timer;

impl<P> Swarm<P> {
    pub(crate) fn set_interested(&mut self, now: Instant, connection: ConnectionId, interested: bool) {
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        if peer.interested == interested {
            return;
        }
        peer.interested = interested;
        self.rank(connection);
        if interested {
            if self.interested.is_empty() {
                self.timers.set(Timer::Rechoke, Some(now + RECHOKE_INTERVAL));
            }
            self.interested.insert(connection);
        } else {
            self.interested.remove(&connection);
            self.choke(now, connection);
        }
        self.fill_slots(now);
    }

    /// Gives free slots away at once; who is unchoked stays so until the next full round.
    pub(crate) fn fill_slots(&mut self, now: Instant) {
        let free = self.budget.upload_slots.saturating_sub(self.unchoked) as usize;
        if free == 0 || self.interested.len() <= self.unchoked as usize {
            return;
        }
        let chosen = self.choose(now);
        let choked = |connection: &ConnectionId| self.peers.get(connection).is_some_and(|peer| peer.choked);
        let new: Vec<ConnectionId> = chosen.into_iter().filter(choked).take(free).collect();
        new.into_iter().for_each(|connection| self.unchoke(now, connection));
    }

    pub(crate) fn rechoke(&mut self, now: Instant) {
        if self.interested.is_empty() {
            return;
        }
        self.timers.set(Timer::Rechoke, Some(now + RECHOKE_INTERVAL));
        let chosen = self.choose(now);
        let everybody: Vec<ConnectionId> = self.interested.iter().copied().collect();
        for connection in everybody {
            if chosen.contains(&connection) {
                self.unchoke(now, connection);
            } else {
                self.choke(now, connection);
            }
        }
    }

    fn choose(&mut self, now: Instant) -> Vec<ConnectionId> {
        let candidates: Vec<Candidate> = self
            .interested
            .iter()
            .filter_map(|connection| Some(self.peers.get(connection)?.candidate(*connection, now)))
            .collect();
        self.choker.choose(now, self.budget.upload_slots as usize, self.finished, &candidates)
    }

    fn unchoke(&mut self, now: Instant, connection: ConnectionId) {
        let Some(peer) = self.peers.get_mut(&connection).filter(|peer| peer.choked) else { return };
        peer.choked = false;
        peer.choked_requests = 0;
        peer.unchoked_since = Some(now);
        self.unchoked += 1;
        self.tell(connection, Message::Unchoke);
    }

    /// Chokes, then rejects what was asked for, but for the pieces offered regardless (BEP 6).
    fn choke(&mut self, now: Instant, connection: ConnectionId) {
        let Some(peer) = self.peers.get_mut(&connection).filter(|peer| !peer.choked) else { return };
        peer.choked = true;
        peer.unchoked_since = None;
        peer.served_until = Some(now);
        self.unchoked -= 1;
        let offered = std::mem::take(&mut peer.offered_fast);
        let dropped: Vec<Block> =
            peer.uploads.iter().filter(|block| !is_offered(&offered, block)).copied().collect();
        peer.uploads.retain(|block| is_offered(&offered, block));
        peer.offered_fast = offered;
        let fast = peer.fast;
        self.tell(connection, Message::Choke);
        if fast {
            dropped.into_iter().for_each(|block| self.tell(connection, Message::Reject(block)));
        }
    }
}

fn is_offered(offered: &[(u32, u32)], block: &Block) -> bool {
    offered.iter().any(|offer| offer.0 == block.piece)
}
