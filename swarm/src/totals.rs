//! What passed between us and a peer over all its connections.

use core::net::IpAddr;
use std::collections::BTreeMap;

use downpour_base::{Instant, Map, MapKey, PeerEndpoint, PeerId};

use crate::limits::MAX_REMEMBERED;

/// Payload in both directions, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Totals {
    /// To us.
    pub downloaded_bytes: u64,
    /// From us.
    pub uploaded_bytes: u64,
}

/// What is remembered of a peer that left, so that its return makes it no newcomer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Past {
    pub(crate) totals: Totals,
    /// When it connected first.
    pub(crate) connected: Instant,
    pub(crate) served_until: Option<Instant>,
}

/// Both: a peer chooses its id, so its address must agree.
type Key = (Option<IpAddr>, PeerId);

/// The peers that left and with whom payload passed. Of a full list, who left the longest ago is forgotten.
#[derive(Debug)]
pub(crate) struct Memory {
    past: Map<Key, (Past, u64)>,
    order: BTreeMap<u64, Key>,
    next: u64,
}

impl Memory {
    pub(crate) fn new(key: MapKey) -> Self {
        Self { past: key.map(), order: BTreeMap::new(), next: 0 }
    }

    pub(crate) fn remember(&mut self, endpoint: PeerEndpoint, peer_id: PeerId, past: Past) {
        self.recall(endpoint, peer_id);
        let key = (endpoint.address().map(|address| address.ip()), peer_id);
        self.next += 1;
        self.past.insert(key, (past, self.next));
        self.order.insert(self.next, key);
        if self.past.len() > MAX_REMEMBERED
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.past.remove(&oldest);
        }
    }

    /// Takes what is remembered of a peer that is back.
    pub(crate) fn recall(&mut self, endpoint: PeerEndpoint, peer_id: PeerId) -> Option<Past> {
        let key = (endpoint.address().map(|address| address.ip()), peer_id);
        let (past, number) = self.past.remove(&key)?;
        self.order.remove(&number);
        Some(past)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_left_the_longest_ago_is_forgotten_first() {
        let mut memory =
            Memory::new(MapKey::new(&mut downpour_base::Rng::new(downpour_base::Seed::from_u64(1))));
        let endpoint = PeerEndpoint::Tcp(([10, 0, 0, 1], 1).into());
        let id = |number: usize| {
            let mut id = PeerId([0; 20]);
            id.0[..8].copy_from_slice(&(number as u64).to_be_bytes());
            id
        };
        let past = Past { totals: Totals::default(), connected: Instant::ORIGIN, served_until: None };
        (0..=MAX_REMEMBERED).for_each(|number| memory.remember(endpoint, id(number), past));
        assert_eq!((memory.past.len(), memory.order.len()), (MAX_REMEMBERED, MAX_REMEMBERED));
        assert!(memory.recall(endpoint, id(0)).is_none());
        let elsewhere = PeerEndpoint::Tcp(([10, 0, 0, 2], 1).into());
        assert!(memory.recall(elsewhere, id(1)).is_none(), "an id proves nothing");
        assert!(memory.recall(endpoint, id(1)).is_some());
        assert!(memory.recall(endpoint, id(1)).is_none(), "it is connected now");
    }
}
