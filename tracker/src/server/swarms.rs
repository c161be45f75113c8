//! Who is in which swarm.

use core::net::SocketAddr;
use std::collections::BTreeSet;

use downpour_base::{Instant, Map, MapKey, Rng};

use super::interface::SwarmStatistics;
use super::lru::Lru;
use crate::SwarmHash;

/// All swarms and their peers. A peer is known by its address and port, so that nobody can take another one off.
#[derive(Debug)]
pub(super) struct Swarms {
    swarms: Lru<Swarm>,
    by_hash: Map<SwarmHash, u32>,
    /// Ordered by when they last announced.
    peers: Lru<Peer>,
    by_address: Map<(u32, SocketAddr), u32>,
    seeds: u64,
}

#[derive(Debug)]
struct Swarm {
    info_hash: SwarmHash,
    /// Peers by family (IPv4, IPv6) and by whether they have everything.
    members: [[Vec<u32>; 2]; 2],
    downloads: u32,
}

#[derive(Debug)]
struct Peer {
    swarm: u32,
    address: SocketAddr,
    seed: bool,
    /// Its position among the members of its kind.
    position: u32,
    heard_at: Instant,
}

fn family(address: SocketAddr) -> usize {
    usize::from(address.is_ipv6())
}

impl Swarm {
    fn count(&self, seed: bool) -> u32 {
        self.members.iter().map(|kinds| kinds[usize::from(seed)].len() as u32).sum()
    }

    fn statistics(&self) -> SwarmStatistics {
        SwarmStatistics {
            info_hash: self.info_hash,
            seeds: self.count(true),
            leechers: self.count(false),
            downloads: self.downloads,
        }
    }
}

impl Swarms {
    pub(super) fn new(key: MapKey) -> Self {
        Self { swarms: Lru::new(), by_hash: key.map(), peers: Lru::new(), by_address: key.map(), seeds: 0 }
    }

    pub(super) fn swarm_count(&self) -> u64 {
        self.swarms.len() as u64
    }

    pub(super) fn peer_count(&self) -> u64 {
        self.peers.len() as u64
    }

    pub(super) fn seed_count(&self) -> u64 {
        self.seeds
    }

    pub(super) fn swarm(&self, info_hash: SwarmHash) -> Option<SwarmStatistics> {
        self.swarms.get(*self.by_hash.get(&info_hash)?).map(Swarm::statistics)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = SwarmStatistics> + '_ {
        self.swarms.iter().map(Swarm::statistics)
    }

    /// Notes that a peer announced; makes the swarm if there is none.
    pub(super) fn announce(&mut self, now: Instant, info_hash: SwarmHash, address: SocketAddr, seed: bool) {
        let swarm = match self.by_hash.get(&info_hash) {
            Some(swarm) => *swarm,
            None => {
                let swarm =
                    self.swarms.insert(Swarm { info_hash, members: Default::default(), downloads: 0 });
                self.by_hash.insert(info_hash, swarm);
                swarm
            }
        };
        self.swarms.touch(swarm);
        let known = self.by_address.get(&(swarm, address)).copied();
        if let Some((at, peer)) = known.and_then(|at| Some((at, self.peers.get_mut(at)?)))
            && peer.seed == seed
        {
            peer.heard_at = now;
            return self.peers.touch(at);
        }
        if let Some(at) = known {
            self.drop_peer(at);
        }
        let at = self.peers.insert(Peer { swarm, address, seed, position: 0, heard_at: now });
        self.by_address.insert((swarm, address), at);
        self.seeds += u64::from(seed);
        let members =
            self.swarms.get_mut(swarm).map(|swarm| &mut swarm.members[family(address)][usize::from(seed)]);
        if let Some(members) = members {
            members.push(at);
            let position = members.len() as u32 - 1;
            if let Some(peer) = self.peers.get_mut(at) {
                peer.position = position;
            }
        }
    }

    /// Counts a download that was completed, by a peer that is in the swarm and was not complete.
    pub(super) fn completed(&mut self, info_hash: SwarmHash, address: SocketAddr) {
        let Some(swarm) = self.by_hash.get(&info_hash).copied() else { return };
        let peer = self.by_address.get(&(swarm, address)).and_then(|at| self.peers.get(*at));
        if peer.is_some_and(|peer| !peer.seed)
            && let Some(swarm) = self.swarms.get_mut(swarm)
        {
            swarm.downloads = swarm.downloads.saturating_add(1);
        }
    }

    pub(super) fn leave(&mut self, info_hash: SwarmHash, address: SocketAddr) {
        let Some(swarm) = self.by_hash.get(&info_hash) else { return };
        if let Some(at) = self.by_address.get(&(*swarm, address)).copied() {
            self.drop_peer(at);
        }
    }

    /// Takes a peer out of everything.
    fn drop_peer(&mut self, at: u32) {
        let Some(peer) = self.peers.remove(at) else { return };
        self.by_address.remove(&(peer.swarm, peer.address));
        self.seeds -= u64::from(peer.seed);
        let Some(swarm) = self.swarms.get_mut(peer.swarm) else { return };
        let members = &mut swarm.members[family(peer.address)][usize::from(peer.seed)];
        members.swap_remove(peer.position as usize);
        if let Some(moved) = members.get(peer.position as usize).and_then(|moved| self.peers.get_mut(*moved))
        {
            moved.position = peer.position;
        }
    }

    pub(super) fn forget(&mut self, info_hash: SwarmHash) -> u64 {
        self.by_hash.get(&info_hash).copied().map_or(0, |swarm| self.drop_swarm(swarm))
    }

    /// Returns how many peers it had.
    fn drop_swarm(&mut self, at: u32) -> u64 {
        let Some(swarm) = self.swarms.get(at) else { return 0 };
        let peers: Vec<u32> = swarm.members.iter().flatten().flatten().copied().collect();
        peers.iter().for_each(|peer| self.drop_peer(*peer));
        if let Some(swarm) = self.swarms.remove(at) {
            self.by_hash.remove(&swarm.info_hash);
        }
        peers.len() as u64
    }

    /// Drops peers that were last heard of before `since`. Returns how many there were.
    pub(super) fn expire(&mut self, since: Instant) -> u64 {
        let mut dropped = 0;
        while let Some(at) = self.peers.oldest()
            && self.peers.get(at).is_some_and(|peer| peer.heard_at < since)
        {
            self.drop_peer(at);
            dropped += 1;
        }
        dropped
    }

    /// When the peer that was silent longest was last heard of.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.peers.get(self.peers.oldest()?).map(|peer| peer.heard_at)
    }

    /// Drops who was silent longest, until there is no more than may be. Returns how many peers had to go.
    pub(super) fn evict(&mut self, max_peers: u32, max_swarms: u32) -> u64 {
        let mut dropped = 0;
        while self.swarms.len() > max_swarms.max(1) as usize
            && let Some(at) = self.swarms.oldest()
        {
            dropped += self.drop_swarm(at);
        }
        while self.peers.len() > max_peers.max(1) as usize
            && let Some(at) = self.peers.oldest()
        {
            self.drop_peer(at);
            dropped += 1;
        }
        dropped
    }

    /// Up to `most` peers of a swarm drawn at random, without the one who asks; a seed gets no seeds. `families` says
    /// whether IPv4 and IPv6 are wanted. O(`most` · log `most`).
    pub(super) fn draw(
        &self,
        rng: &mut Rng,
        info_hash: SwarmHash,
        who: SocketAddr,
        seed: bool,
        families: [bool; 2],
        most: usize,
    ) -> Vec<SocketAddr> {
        let swarm = self.by_hash.get(&info_hash).and_then(|swarm| self.swarms.get(*swarm));
        let Some(swarm) = swarm else { return Vec::new() };
        let kinds = if seed { 1 } else { 2 };
        let wanted = swarm.members.iter().zip(families).filter(|(_, wanted)| *wanted);
        let lists: Vec<&[u32]> =
            wanted.flat_map(|(kinds_of, _)| &kinds_of[..kinds]).map(Vec::as_slice).collect();
        let total: usize = lists.iter().map(|list| list.len()).sum();
        // One more than wanted, in case that the one who asks is drawn.
        let mut drawn = BTreeSet::new();
        for last in total.saturating_sub(most + 1)..total {
            // Floyd's way to draw without repetition.
            let choice = rng.index(last + 1);
            if !drawn.insert(choice) {
                drawn.insert(last);
            }
        }
        let address = |mut number: usize| {
            for list in &lists {
                match list.get(number) {
                    Some(at) => return self.peers.get(*at).map(|peer| peer.address),
                    None => number -= list.len(),
                }
            }
            None
        };
        drawn.into_iter().filter_map(address).filter(|address| *address != who).take(most).collect()
    }
}
