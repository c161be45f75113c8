//! Who gives way when the places are taken.

use core::net::IpAddr;

use downpour_base::{ConnectionId, Instant, PeerEndpoint};

use crate::Swarm;
use crate::limits::{IDLE_GRACE, TURNOVER_CUTOFF_PERCENT, TURNOVER_INTERVAL, TURNOVER_PERCENT};
use crate::peer::Peer;
use crate::swarm::Timer;

/// How many peers are looked at before a newcomer is refused.
const LOOKS: usize = 8;

/// It neither gives nor wants anything, and had time to.
fn is_idle(peer: &Peer, now: Instant) -> bool {
    !peer.interests_us && !peer.interested && peer.connected + IDLE_GRACE <= now
}

/// It gives us something now, or we give to it.
fn is_busy(peer: &Peer) -> bool {
    !peer.requests.is_empty() || !peer.choked
}

impl<P> Swarm<P> {
    /// Puts a peer where it belongs in the order of who gives way.
    pub(crate) fn rank(&mut self, connection: ConnectionId) {
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        let useful = peer.interests_us || peer.interested;
        if useful != peer.ranked_useful {
            self.ranks.remove(&(peer.ranked_useful, peer.priority, connection));
            self.ranks.insert((useful, peer.priority, connection));
            peer.ranked_useful = useful;
        }
    }

    /// Others see us at `address`: that changes whom we are to keep.
    pub(crate) fn set_own_address(&mut self, address: IpAddr) {
        self.candidates.set_own_address(address);
        self.ranks.clear();
        for (connection, peer) in &mut self.peers {
            peer.priority = self.candidates.priority(peer.endpoint);
            self.ranks.insert((peer.ranked_useful, peer.priority, *connection));
        }
    }

    /// All places are taken: closes an idle peer, or one with a lower canonical priority that nothing flows to or from, in
    /// favour of a newcomer. Returns whether there was one.
    pub(crate) fn make_room_for(&mut self, now: Instant, endpoint: PeerEndpoint) -> bool {
        let priority = self.candidates.priority(endpoint);
        let gives_way = |connection: &ConnectionId| {
            self.peers
                .get(connection)
                .is_some_and(|peer| is_idle(peer, now) || (peer.priority < priority && !is_busy(peer)))
        };
        let victim = self.ranks.iter().take(LOOKS).map(|rank| rank.2).find(gives_way);
        victim.into_iter().for_each(|victim| self.close_for_another(now, victim));
        victim.is_some()
    }

    fn is_nearly_full(&self) -> bool {
        self.peers.len() * 100 >= self.budget.connections as usize * TURNOVER_CUTOFF_PERCENT
    }

    /// While a torrent is nearly full, some peers are let go now and then.
    pub(crate) fn watch_turnover(&mut self, now: Instant) {
        if self.is_nearly_full() && !self.turning_over {
            self.turning_over = true;
            self.timers.set(Timer::Turnover, Some(now + TURNOVER_INTERVAL));
        }
    }

    /// Lets a few of the least useful peers go, if others are known.
    pub(crate) fn turn_over(&mut self, now: Instant) {
        self.turning_over = false;
        if self.is_nearly_full() && self.candidates.is_anybody_ready(now) {
            let count = (self.peers.len() * TURNOVER_PERCENT / 100).max(1);
            let can_go = |connection: &ConnectionId| {
                self.peers
                    .get(connection)
                    .is_some_and(|peer| !is_busy(peer) && peer.connected + IDLE_GRACE <= now)
            };
            let victims = self.ranks.iter().map(|rank| rank.2).filter(can_go).take(count);
            let victims: Vec<ConnectionId> = victims.collect();
            victims.into_iter().for_each(|victim| self.close_for_another(now, victim));
            self.fill_slots(now);
            self.dial(now);
        }
        self.watch_turnover(now);
    }
}
