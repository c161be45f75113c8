//! Peers that are known, and when to try them again.

use core::cmp::Reverse;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeSet;

use downpour_base::{Instant, Map, MapKey, PeerEndpoint, Rng};

use crate::bans::Bans;
use crate::limits::MAX_CANDIDATES;
use crate::{PeerSource, PeerSources, peer_priority};

const FIRST_RETRY: Duration = Duration::from_secs(2);
const LAST_RETRY: Duration = Duration::from_secs(30 * 60);
/// How long a peer is left alone that broke the protocol.
const MISBEHAVED_RETRY: Duration = Duration::from_secs(60 * 60);
/// How long a peer waits at whose address there are as many connections as may be.
const CROWDED_RETRY: Duration = Duration::from_secs(60);

/// Where peers can be reached. Whom we are connected to, or try to, is not offered again until it is released.
#[derive(Debug)]
pub(crate) struct Candidates {
    known: Map<PeerEndpoint, Candidate>,
    /// Who can be tried now: who failed least often first, then by canonical priority (BEP 40).
    ready: BTreeSet<(u32, Reverse<u32>, PeerEndpoint)>,
    /// Who is waiting, by when to try.
    waiting: BTreeSet<(Instant, PeerEndpoint)>,
    bans: Bans,
    /// Our own addresses as others see them; as long as nobody told, random ones, so that not all whose address is
    /// unknown call the same peers.
    us: (Ipv4Addr, Ipv6Addr),
    port: u16,
}

/// Why a peer is not connected any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// The attempt failed, or the connection ended.
    Ended,
    /// Neither side had anything for the other.
    BothSeeds,
    /// It broke the protocol.
    Misbehaved,
    /// It was not called, since others at its address are connected.
    Crowded,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    failures: u32,
    sources: PeerSources,
    priority: u32,
    place: Place,
    /// It was released as [`Release::BothSeeds`].
    seed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Connected, or being tried.
    Held,
    Ready,
    Waiting(Instant),
}

impl Candidates {
    pub(crate) fn new(key: MapKey, rng: &mut Rng, listen_port: Option<u16>) -> Self {
        let (mut v4, mut v6) = ([0; 4], [0; 16]);
        rng.fill(&mut v4);
        rng.fill(&mut v6);
        Self {
            known: key.map(),
            ready: BTreeSet::new(),
            waiting: BTreeSet::new(),
            bans: Bans::new(key),
            us: (v4.into(), v6.into()),
            port: listen_port.unwrap_or(0),
        }
    }

    /// The canonical priority of a peer.
    pub(crate) fn priority(&self, endpoint: PeerEndpoint) -> u32 {
        let Some(address) = endpoint.address() else { return 0 };
        let us: IpAddr = match address.ip().to_canonical() {
            IpAddr::V4(_) => self.us.0.into(),
            IpAddr::V6(_) => self.us.1.into(),
        };
        peer_priority(SocketAddr::new(us, self.port), address)
    }

    /// Others see us at `address`. O(candidates).
    pub(crate) fn set_own_address(&mut self, address: IpAddr) {
        match address.to_canonical() {
            IpAddr::V4(address) => self.us.0 = address,
            IpAddr::V6(address) => self.us.1 = address,
        }
        let all: Vec<PeerEndpoint> = self.known.keys().copied().collect();
        for endpoint in all {
            let priority = self.priority(endpoint);
            self.update(endpoint, |candidate| candidate.priority = priority);
        }
    }

    /// Changes a candidate, and puts it where it belongs.
    fn update(&mut self, endpoint: PeerEndpoint, change: impl FnOnce(&mut Candidate)) {
        let Some(candidate) = self.known.get_mut(&endpoint) else { return };
        match candidate.place {
            Place::Held => false,
            Place::Ready => self.ready.remove(&(candidate.failures, Reverse(candidate.priority), endpoint)),
            Place::Waiting(at) => self.waiting.remove(&(at, endpoint)),
        };
        change(candidate);
        match candidate.place {
            Place::Held => false,
            Place::Ready => self.ready.insert((candidate.failures, Reverse(candidate.priority), endpoint)),
            Place::Waiting(at) => self.waiting.insert((at, endpoint)),
        };
    }

    fn forget(&mut self, endpoint: PeerEndpoint) {
        self.hold(endpoint);
        self.known.remove(&endpoint);
    }

    /// Whether there is room for one more. Of a full list, who is to be tried last goes: it failed most.
    fn make_room(&mut self, now: Instant) -> bool {
        if self.known.len() < MAX_CANDIDATES {
            return true;
        }
        let last = self.waiting.last().copied().filter(|(at, _)| *at > now);
        last.into_iter().for_each(|(_, endpoint)| self.forget(endpoint));
        last.is_some()
    }

    /// A peer became known. A list full of peers that were never tried forgets it.
    pub(crate) fn add(&mut self, now: Instant, endpoint: PeerEndpoint, source: PeerSource) {
        if let Some(candidate) = self.known.get_mut(&endpoint) {
            return candidate.sources.insert(source);
        }
        let unusable = endpoint.address().is_some_and(|address| address.port() == 0);
        let refused = self.bans.is_banned(endpoint) || self.bans.is_own(endpoint);
        if unusable || refused || !self.make_room(now) {
            return;
        }
        let (priority, place) = (self.priority(endpoint), Place::Held);
        let candidate = Candidate { failures: 0, sources: source.into(), priority, place, seed: false };
        self.known.insert(endpoint, candidate);
        self.update(endpoint, |candidate| candidate.place = Place::Ready);
    }

    fn mature(&mut self, now: Instant) {
        while let Some((_, endpoint)) = self.waiting.first().copied().filter(|(at, _)| *at <= now) {
            self.update(endpoint, |candidate| candidate.place = Place::Ready);
        }
    }

    /// Takes the next peer whose time has come.
    pub(crate) fn take(&mut self, now: Instant) -> Option<PeerEndpoint> {
        self.mature(now);
        let (_, _, endpoint) = *self.ready.first()?;
        self.hold(endpoint);
        Some(endpoint)
    }

    /// Whether somebody could be called now.
    pub(crate) fn is_anybody_ready(&mut self, now: Instant) -> bool {
        self.mature(now);
        !self.ready.is_empty()
    }

    /// When the next peer's time comes, if nobody's has.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.waiting.first().map(|entry| entry.0)
    }

    /// There is a connection to this peer now, whoever opened it.
    pub(crate) fn hold(&mut self, endpoint: PeerEndpoint) {
        self.update(endpoint, |candidate| candidate.place = Place::Held);
    }

    /// The connection brought something.
    pub(crate) fn succeeded(&mut self, endpoint: PeerEndpoint) {
        self.update(endpoint, |candidate| candidate.failures = 0);
    }

    /// The connection, or the attempt, is over. Tried again later and later, until one brought something.
    pub(crate) fn release(&mut self, now: Instant, endpoint: PeerEndpoint, why: Release) {
        if self.known.get(&endpoint).is_none_or(|candidate| candidate.place != Place::Held) {
            return;
        }
        self.update(endpoint, |candidate| {
            let delay = match why {
                Release::Ended => FIRST_RETRY.saturating_mul(1 << candidate.failures.min(16)).min(LAST_RETRY),
                Release::BothSeeds => LAST_RETRY,
                Release::Misbehaved => MISBEHAVED_RETRY,
                Release::Crowded => CROWDED_RETRY,
            };
            candidate.seed = why == Release::BothSeeds;
            candidate.failures += u32::from(why != Release::Crowded);
            candidate.place = Place::Waiting(now + delay);
        });
    }

    /// The torrent wants something again: seeds that were let go as useless can be called. O(candidates).
    pub(crate) fn recall_seeds(&mut self) {
        let waits = |candidate: &Candidate| candidate.seed && candidate.place != Place::Held;
        let seeds: Vec<PeerEndpoint> =
            self.known.iter().filter(|(_, candidate)| waits(candidate)).map(|(known, _)| *known).collect();
        for endpoint in seeds {
            self.update(endpoint, |candidate| {
                (candidate.seed, candidate.failures) = (false, 0);
                candidate.place = Place::Ready;
            });
        }
    }

    /// Never again. O(candidates).
    pub(crate) fn ban(&mut self, endpoint: PeerEndpoint) {
        self.bans.ban(endpoint);
        let banned = self.known.keys().copied().filter(|known| self.bans.is_banned(*known));
        let banned: Vec<PeerEndpoint> = banned.collect();
        banned.into_iter().for_each(|endpoint| self.forget(endpoint));
    }

    pub(crate) fn is_banned(&self, endpoint: PeerEndpoint) -> bool {
        self.bans.is_banned(endpoint)
    }

    /// At `endpoint` we reach ourselves: it is not called again.
    pub(crate) fn add_own(&mut self, endpoint: PeerEndpoint) {
        self.bans.add_own(endpoint);
        self.forget(endpoint);
    }

    /// Who told us of `endpoint`.
    pub(crate) fn sources(&self, endpoint: PeerEndpoint) -> PeerSources {
        self.known.get(&endpoint).map_or_else(PeerSources::default, |candidate| candidate.sources)
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }
}
