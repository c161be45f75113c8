//! Peers that are known, and when to try them again.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeSet;

use downpour_base::{Instant, Map, MapKey, PeerEndpoint, Set};

use crate::limits::MAX_CANDIDATES;
use crate::{PeerSource, PeerSources};

const FIRST_RETRY: Duration = Duration::from_secs(2);
const LAST_RETRY: Duration = Duration::from_secs(30 * 60);
/// How long a peer is left alone that broke the protocol.
const MISBEHAVED_RETRY: Duration = Duration::from_secs(60 * 60);

/// Where peers can be reached. Whom we are connected to, or try to, is not offered again until it is released.
#[derive(Debug)]
pub(crate) struct Candidates {
    known: Map<PeerEndpoint, Candidate>,
    /// Who is waiting, by when to try.
    waiting: BTreeSet<(Instant, PeerEndpoint)>,
    /// Address and port; port 0 stands for all.
    banned: Set<(IpAddr, u16)>,
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
}

#[derive(Clone, Copy, Debug, Default)]
struct Candidate {
    failures: u32,
    sources: PeerSources,
    /// The place in `waiting`, `None` while connected or trying.
    waiting: Option<Instant>,
}

impl Candidates {
    pub(crate) fn new(key: MapKey) -> Self {
        Self { known: key.map(), waiting: BTreeSet::new(), banned: key.set() }
    }

    /// Whether there is room for one more. Of a full list, who is to be tried last goes: it failed most.
    fn make_room(&mut self, now: Instant) -> bool {
        if self.known.len() < MAX_CANDIDATES {
            return true;
        }
        match self.waiting.last().copied().filter(|(at, _)| *at > now) {
            Some((_, endpoint)) => {
                self.hold(endpoint);
                self.known.remove(&endpoint);
                true
            }
            None => false,
        }
    }

    /// A peer became known. A list full of peers that were never tried forgets it.
    pub(crate) fn add(&mut self, now: Instant, endpoint: PeerEndpoint, source: PeerSource) {
        if let Some(candidate) = self.known.get_mut(&endpoint) {
            return candidate.sources.insert(source);
        }
        let unusable = endpoint.address().is_some_and(|address| address.port() == 0);
        if unusable || self.is_banned(endpoint) || !self.make_room(now) {
            return;
        }
        self.known.insert(endpoint, Candidate { failures: 0, sources: source.into(), waiting: Some(now) });
        self.waiting.insert((now, endpoint));
    }

    /// Takes the next peer whose time has come.
    pub(crate) fn take(&mut self, now: Instant) -> Option<PeerEndpoint> {
        let (at, endpoint) = *self.waiting.first()?;
        if at > now {
            return None;
        }
        self.hold(endpoint);
        Some(endpoint)
    }

    /// When the next peer's time comes.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.waiting.first().map(|entry| entry.0)
    }

    /// There is a connection to this peer now, whoever opened it.
    pub(crate) fn hold(&mut self, endpoint: PeerEndpoint) {
        if let Some(candidate) = self.known.get_mut(&endpoint)
            && let Some(at) = candidate.waiting.take()
        {
            self.waiting.remove(&(at, endpoint));
        }
    }

    /// The connection brought something.
    pub(crate) fn succeeded(&mut self, endpoint: PeerEndpoint) {
        if let Some(candidate) = self.known.get_mut(&endpoint) {
            candidate.failures = 0;
        }
    }

    /// The connection, or the attempt, is over. Tried again later and later, until one brought something.
    pub(crate) fn release(&mut self, now: Instant, endpoint: PeerEndpoint, why: Release) {
        let Some(candidate) = self.known.get_mut(&endpoint) else { return };
        if candidate.waiting.is_some() {
            return;
        }
        let delay = FIRST_RETRY.saturating_mul(1 << candidate.failures.min(16)).min(LAST_RETRY);
        let at = now
            + match why {
                Release::Ended => delay,
                Release::BothSeeds => LAST_RETRY,
                Release::Misbehaved => MISBEHAVED_RETRY,
            };
        candidate.failures += 1;
        candidate.waiting = Some(at);
        self.waiting.insert((at, endpoint));
    }

    /// Never again, on whatever port; but on this machine, many peers share an address.
    pub(crate) fn ban(&mut self, endpoint: PeerEndpoint) {
        let Some(address) = endpoint.address() else { return };
        self.banned.insert((address.ip(), if address.ip().is_loopback() { address.port() } else { 0 }));
        let banned: Vec<PeerEndpoint> =
            self.known.keys().copied().filter(|known| self.is_banned(*known)).collect();
        for endpoint in banned {
            self.hold(endpoint);
            self.known.remove(&endpoint);
        }
    }

    pub(crate) fn is_banned(&self, endpoint: PeerEndpoint) -> bool {
        let ports = |address: core::net::SocketAddr| [0, address.port()].map(|port| (address.ip(), port));
        endpoint.address().is_some_and(|address| ports(address).iter().any(|key| self.banned.contains(key)))
    }

    /// Who told us of `endpoint`.
    pub(crate) fn sources(&self, endpoint: PeerEndpoint) -> PeerSources {
        self.known.get(&endpoint).map_or_else(PeerSources::default, |candidate| candidate.sources)
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }
}
