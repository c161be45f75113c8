//! The peers that others announced here (BEP 5, BEP 33).

use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;

use downpour_base::{Instant, Map, MapKey, NodeId, Rng};

use crate::address::Source;
use crate::bloom::BloomFilter;
use crate::limits::PEER_LIFETIME;
use crate::message::push_value;
use crate::{Family, Settings};

/// Peers by torrent and family. When full, the peer that was announced longest ago goes.
pub(crate) struct PeerStore {
    /// Ordered by address, of which a torrent has each once (BEP 33).
    torrents: Map<(Family, NodeId), Vec<Peer>>,
    /// In the order of announces, which is that of expiry. An announce that was renewed is stale and passed over.
    announces: VecDeque<Announce>,
    /// How many torrents each source is stored for.
    sources: Map<Source, u32>,
    len: usize,
}

/// Small, for there are many.
struct Peer {
    ip: IpAddr,
    seed: bool,
    port: u16,
    /// In seconds.
    announced: u32,
}

struct Announce {
    info_hash: NodeId,
    ip: IpAddr,
    at: u32,
}

fn seconds(now: Instant) -> u32 {
    u32::try_from(now.as_nanos() / 1_000_000_000).unwrap_or(u32::MAX)
}

impl PeerStore {
    pub(crate) fn new(key: MapKey) -> Self {
        Self { torrents: key.map(), announces: VecDeque::new(), sources: key.map(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn torrents(&self) -> usize {
        self.torrents.len()
    }

    fn torrent(&self, info_hash: NodeId, family: Family) -> &[Peer] {
        self.torrents.get(&(family, info_hash)).map_or(&[], Vec::as_slice)
    }

    /// Whether an announce from there would be taken.
    pub(crate) fn has_room(&self, info_hash: NodeId, from: &IpAddr, settings: &Settings) -> bool {
        let torrent = self.torrent(info_hash, Family::of(from));
        if torrent.binary_search_by(|peer| peer.ip.cmp(from)).is_ok() {
            return true;
        }
        let held = self.sources.get(&Source::of(from)).copied().unwrap_or(0);
        torrent.len() < settings.max_peers_per_torrent as usize && held < settings.max_torrents_per_source
    }

    /// Stores a peer or renews it. Returns whether there was room.
    pub(crate) fn announce(
        &mut self,
        now: Instant,
        info_hash: NodeId,
        peer: SocketAddr,
        seed: bool,
        settings: &Settings,
    ) -> bool {
        let (ip, key) = (peer.ip(), (Family::of(&peer.ip()), info_hash));
        if !self.has_room(info_hash, &ip, settings) {
            return false;
        }
        let at = seconds(now);
        let stored = Peer { ip, seed, port: peer.port(), announced: at };
        let known = self.torrents.get_mut(&key).and_then(|torrent| {
            let place = torrent.binary_search_by(|peer| peer.ip.cmp(&ip)).ok()?;
            torrent.get_mut(place)
        });
        match known {
            Some(known) => *known = stored,
            None => {
                let torrents = settings.max_torrents.max(1) as usize;
                while self.len >= settings.max_peers.max(1) as usize
                    || self.torrents.len() >= torrents && !self.torrents.contains_key(&key)
                {
                    if !self.drop_oldest() {
                        return false;
                    }
                }
                let torrent = self.torrents.entry(key).or_default();
                if let Err(place) = torrent.binary_search_by(|peer| peer.ip.cmp(&ip)) {
                    // Most torrents have one peer, for whom doubling from four would be waste.
                    torrent.reserve_exact(if torrent.len() == torrent.capacity() {
                        torrent.len() / 4 + 1
                    } else {
                        0
                    });
                    torrent.insert(place, stored);
                    self.len += 1;
                    *self.sources.entry(Source::of(&ip)).or_default() += 1;
                }
            }
        }
        self.announces.push_back(Announce { info_hash, ip, at });
        if self.announces.len() > self.len + self.len / 4 + 64 {
            let torrents = &self.torrents;
            self.announces.retain(|announce| is_current(torrents, announce));
        }
        true
    }

    /// Drops what was announced too long ago.
    pub(crate) fn expire(&mut self, now: Instant) {
        let now = seconds(now);
        let lifetime = PEER_LIFETIME.as_secs() as u32;
        while self.announces.front().is_some_and(|announce| announce.at.saturating_add(lifetime) <= now) {
            self.drop_oldest();
        }
    }

    /// Takes the first announce out, and its peer if it was not renewed since. Returns whether there was one.
    fn drop_oldest(&mut self) -> bool {
        let Some(announce) = self.announces.pop_front() else { return false };
        if !is_current(&self.torrents, &announce) {
            return true;
        }
        let key = (Family::of(&announce.ip), announce.info_hash);
        let Some(torrent) = self.torrents.get_mut(&key) else { return true };
        torrent.retain(|peer| peer.ip != announce.ip);
        if torrent.is_empty() {
            self.torrents.remove(&key);
        }
        self.len -= 1;
        let source = Source::of(&announce.ip);
        if let Some(held) = self.sources.get_mut(&source) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                self.sources.remove(&source);
            }
        }
        true
    }

    /// Writes up to `count` peers as items of `values`, a random choice of them.
    pub(crate) fn choose(
        &self,
        info_hash: NodeId,
        family: Family,
        count: usize,
        noseed: bool,
        rng: &mut Rng,
        out: &mut Vec<u8>,
    ) {
        let torrent = self.torrent(info_hash, family);
        if torrent.is_empty() || count == 0 {
            return;
        }
        // Steps that share no divisor with the length visit each peer once.
        let (mut at, mut step) = (rng.index(torrent.len()), 1 + rng.index(torrent.len()));
        while greatest_divisor(step, torrent.len()) != 1 {
            step += 1;
        }
        let mut written = 0;
        for _ in 0..torrent.len() {
            at = (at + step) % torrent.len();
            let Some(peer) = torrent.get(at).filter(|peer| !(noseed && peer.seed)) else { continue };
            push_value(&SocketAddr::new(peer.ip, peer.port), out);
            written += 1;
            if written == count {
                break;
            }
        }
    }

    /// The filters over seeds and over other peers, if the torrent is known.
    pub(crate) fn filters(&self, info_hash: NodeId, family: Family) -> Option<(BloomFilter, BloomFilter)> {
        let torrent = self.torrents.get(&(family, info_hash))?;
        let (mut seeds, mut peers) = (BloomFilter::default(), BloomFilter::default());
        for peer in torrent {
            if peer.seed { &mut seeds } else { &mut peers }.insert(&peer.ip);
        }
        Some((seeds, peers))
    }

    /// Up to `count` torrents, a random choice of them. O(torrents).
    pub(crate) fn sample(&self, count: usize, rng: &mut Rng) -> Vec<NodeId> {
        let mut chosen: Vec<NodeId> = Vec::with_capacity(count);
        for (seen, (_, info_hash)) in self.torrents.keys().enumerate() {
            if chosen.contains(info_hash) {
                continue;
            }
            if chosen.len() < count {
                chosen.push(*info_hash);
            } else if let Some(place) = chosen.get_mut(rng.index(seen + 1)) {
                *place = *info_hash;
            }
        }
        chosen
    }
}

fn is_current(torrents: &Map<(Family, NodeId), Vec<Peer>>, announce: &Announce) -> bool {
    let Some(torrent) = torrents.get(&(Family::of(&announce.ip), announce.info_hash)) else { return false };
    let place = torrent.binary_search_by(|peer| peer.ip.cmp(&announce.ip));
    place.ok().and_then(|place| torrent.get(place)).is_some_and(|peer| peer.announced == announce.at)
}

fn greatest_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;
    use core::time::Duration;

    use downpour_base::Seed;

    use super::*;
    use crate::message::Values;

    fn address(number: u32) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::from_bits(0x0800_0000 + number)), 1000)
    }

    fn hash(number: u32) -> NodeId {
        let mut id = NodeId([0; 20]);
        id.0[..4].copy_from_slice(&number.to_be_bytes());
        id
    }

    fn at(seconds: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(seconds)
    }

    fn store() -> PeerStore {
        PeerStore::new(MapKey::new(&mut Rng::new(Seed::from_u64(1))))
    }

    fn peers(store: &PeerStore, torrent: u32, noseed: bool) -> Vec<SocketAddr> {
        let (mut rng, mut out) = (Rng::new(Seed::from_u64(2)), Vec::new());
        store.choose(hash(torrent), Family::V4, 100, noseed, &mut rng, &mut out);
        let mut peers: Vec<SocketAddr> = Values::from_items(&out).iter().collect();
        peers.sort();
        peers
    }

    #[test]
    fn a_peer_is_there_once_until_an_hour_after_its_last_announce() {
        let (mut store, settings) = (store(), Settings::default());
        for time in [0, 1800] {
            assert!(store.announce(at(time), hash(1), address(1), false, &settings));
        }
        assert!(store.announce(at(1800), hash(1), address(2), true, &settings));
        assert_eq!((store.len(), peers(&store, 1, false)), (2, vec![address(1), address(2)]));
        assert_eq!(peers(&store, 1, true), [address(1)], "seeds are left out");
        store.expire(at(3600));
        assert_eq!(store.len(), 2, "it was renewed");
        store.expire(at(5400));
        assert_eq!((store.len(), store.torrents(), store.sources.len()), (0, 0, 0));
        assert!(store.announces.is_empty());
    }

    #[test]
    fn when_full_the_oldest_announce_goes() {
        let mut store = store();
        let settings = Settings { max_peers: 3, max_torrents: 2, ..Settings::default() };
        store.announce(at(0), hash(1), address(1), false, &settings);
        store.announce(at(1), hash(2), address(2), false, &settings);
        store.announce(at(2), hash(2), address(3), false, &settings);
        store.announce(at(3), hash(1), address(1), false, &settings);
        store.announce(at(4), hash(1), address(4), false, &settings);
        assert_eq!(peers(&store, 1, false), [address(1), address(4)], "renewed, so it is not the oldest");
        assert_eq!(peers(&store, 2, false), [address(3)]);
        store.announce(at(5), hash(3), address(5), false, &settings);
        assert_eq!(store.torrents(), 2);
        assert_eq!(peers(&store, 3, false), [address(5)]);
    }

    #[test]
    fn a_full_torrent_and_a_greedy_source_are_refused() {
        let mut store = store();
        let settings =
            Settings { max_peers_per_torrent: 2, max_torrents_per_source: 2, ..Settings::default() };
        for number in 0..3 {
            assert_eq!(store.announce(at(0), hash(1), address(number), false, &settings), number < 2);
            assert_eq!(store.announce(at(0), hash(10 + number), address(9), false, &settings), number < 2);
        }
        assert!(store.announce(at(1), hash(1), address(0), false, &settings), "renewing is no new one");
    }

    #[test]
    fn a_small_answer_is_a_choice_among_all() {
        let (mut store, settings) = (store(), Settings::default());
        (0..200)
            .for_each(|number| assert!(store.announce(at(0), hash(1), address(number), false, &settings)));
        let mut rng = Rng::new(Seed::from_u64(2));
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let mut out = Vec::new();
            store.choose(hash(1), Family::V4, 10, false, &mut rng, &mut out);
            let peers: std::collections::BTreeSet<SocketAddr> = Values::from_items(&out).iter().collect();
            assert_eq!(peers.len(), 10);
            seen.extend(peers);
        }
        assert_eq!(seen.len(), 200);
    }
}
