//! Look-ups that run: what they are for, whom they ask, and the storing at their end.

use core::net::SocketAddr;

use downpour_base::{Instant, NodeId};

use super::Node;
use super::calls::Purpose;
use crate::item::{Item, MutableItem};
use crate::limits::K;
use crate::lookup::Lookup;
use crate::message::{Contact, Method, MutablePut};
use crate::{QueryId, SocketId};

/// A look-up in the life of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SearchId(pub(super) u32);

/// A look-up on one socket.
pub(super) struct Search {
    pub(super) lookup: Lookup,
    pub(super) socket: SocketId,
    /// The command that it is for; nobody's if it looks after the routing table.
    pub(super) query: Option<QueryId>,
    pub(super) goal: Goal,
    pub(super) phase: Phase,
    pub(super) messages: u32,
}

/// How far a look-up has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It begins when its timer says, or when the node has found others.
    Waiting,
    /// It asks.
    Asking,
    /// It has found the places, and so many have not said whether they stored.
    Storing(usize),
}

/// What a look-up is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    Nodes,
    Peers {
        noseed: bool,
        scrape: bool,
    },
    Announce {
        port: Option<u16>,
        seed: bool,
    },
    /// `key` and salt if the item is mutable.
    Item {
        key: Option<([u8; 32], Box<[u8]>)>,
        after: Option<i64>,
    },
    Put {
        item: Item,
        cas: Option<i64>,
    },
    Samples,
}

impl Goal {
    /// What the nodes on the way are asked.
    fn method(&self, target: NodeId) -> Method<'static> {
        match self {
            Self::Nodes => Method::FindNode { target },
            Self::Peers { noseed, scrape } => {
                Method::GetPeers { info_hash: target, noseed: *noseed, scrape: *scrape }
            }
            Self::Announce { .. } => Method::GetPeers { info_hash: target, noseed: false, scrape: false },
            Self::Item { after, .. } => Method::Get { target, seq: *after },
            Self::Put { .. } => Method::Get { target, seq: None },
            Self::Samples => Method::SampleInfohashes { target },
        }
    }
}

impl Node {
    /// Where a socket's node stands in the list.
    pub(super) fn home_of(&self, socket: SocketId) -> Option<usize> {
        self.homes.iter().position(|home| home.socket == socket)
    }

    /// Makes a look-up, which waits to [`begin`](Self::begin).
    pub(super) fn prepare(
        &mut self,
        socket: SocketId,
        target: NodeId,
        goal: Goal,
        query: Option<QueryId>,
    ) -> SearchId {
        let id = self.next_search;
        self.next_search = SearchId(id.0.wrapping_add(1));
        let lookup = Lookup::new(target, &[], &self.settings);
        let search = Search { lookup, socket, query, goal, phase: Phase::Waiting, messages: 0 };
        self.searches.insert(id, search);
        id
    }

    /// Begins a look-up with the closest nodes of the routing table.
    pub(super) fn begin(&mut self, now: Instant, id: SearchId) {
        let Some(search) = self.searches.get_mut(&id).filter(|search| search.phase == Phase::Waiting) else {
            return;
        };
        search.phase = Phase::Asking;
        if let Some(home) = self.homes.iter().find(|home| home.socket == search.socket) {
            let target = search.lookup.target();
            for contact in home.table.closest_where(&target, 2 * K, |_| true) {
                search.lookup.offer(contact, None, 1, &self.settings);
            }
        }
        self.advance(now, id);
    }

    /// Asks whom there is to ask, and goes on when all that matter have answered.
    pub(super) fn advance(&mut self, now: Instant, id: SearchId) {
        loop {
            let Some(search) = self.searches.get_mut(&id).filter(|search| search.phase == Phase::Asking)
            else {
                return;
            };
            let Some(contact) = search.lookup.next(&self.settings) else { break };
            let target = search.lookup.target();
            let method = search.goal.method(target);
            let Some(home) = self.homes.iter().position(|home| home.socket == search.socket) else { return };
            // Where only the address is known, the target stands for the id.
            let known = Some(contact.id).filter(|id| *id != target);
            let sent = self.call(now, home, contact.address, known, Purpose::Step(id), method);
            if let Some(search) = self.searches.get_mut(&id).filter(|_| !sent) {
                search.lookup.failed(&contact.address);
            }
        }
        if self.searches.get(&id).is_some_and(|search| search.lookup.is_done()) {
            self.store(now, id);
        }
    }

    pub(super) fn slow(&mut self, now: Instant, id: SearchId, address: &SocketAddr) {
        if let Some(search) = self.searches.get_mut(&id) {
            search.lookup.slow(address);
        }
        self.advance(now, id);
    }

    /// The closest nodes are found: stores there, if that is the goal.
    fn store(&mut self, now: Instant, id: SearchId) {
        let Some(search) = self.searches.get_mut(&id) else { return };
        search.phase = Phase::Storing(0);
        if !matches!(search.goal, Goal::Announce { .. } | Goal::Put { .. }) {
            return self.complete(now, id);
        }
        let Some(home) = self.homes.iter().position(|home| home.socket == search.socket) else {
            return self.complete(now, id);
        };
        let (target, goal) = (search.lookup.target(), search.goal.clone());
        type Place = (Contact, Box<[u8]>, bool);
        let place = |token: Option<&Box<[u8]>>, contact, held| Some::<Place>((contact, token?.clone(), held));
        let stores = search.lookup.stores();
        let places: Vec<Place> =
            stores.filter_map(|node| place(node.token.as_ref(), node.contact, node.held.is_some())).collect();
        let own_port = self.homes.get(home).map_or(0, |home| home.port);
        let mut waiting = 0;
        for (contact, token, holds) in &places {
            let method = match &goal {
                Goal::Announce { port, seed } => Method::AnnouncePeer {
                    info_hash: target,
                    port: port.unwrap_or(own_port),
                    implied_port: port.is_none(),
                    token,
                    seed: *seed,
                },
                Goal::Put { item: Item::Immutable(item), .. } => {
                    Method::Put { token, value: item.value(), mutable: None }
                }
                Goal::Put { item: Item::Mutable(item), cas } => {
                    // BEP 44: not where there is nothing to compare with.
                    let mutable = Some(mutable_put(item, cas.filter(|_| *holds)));
                    Method::Put { token, value: item.value(), mutable }
                }
                _ => continue,
            };
            if self.call(now, home, contact.address, Some(contact.id), Purpose::Store(id), method) {
                waiting += 1;
            }
        }
        match self.searches.get_mut(&id) {
            Some(search) if waiting > 0 => search.phase = Phase::Storing(waiting),
            _ => self.complete(now, id),
        }
    }

    /// One of the places has answered, or will not.
    pub(super) fn stored_one(&mut self, now: Instant, id: SearchId) {
        let Some(search) = self.searches.get_mut(&id) else { return };
        let Phase::Storing(waiting) = search.phase else { return };
        search.phase = Phase::Storing(waiting.saturating_sub(1));
        if waiting <= 1 {
            self.complete(now, id);
        }
    }

    /// A look-up is at its end.
    pub(super) fn complete(&mut self, now: Instant, id: SearchId) {
        let Some(search) = self.searches.remove(&id) else { return };
        match search.query {
            Some(query) => self.searched(query, &search),
            None => self.tended(now, id, &search),
        }
    }
}

fn mutable_put(item: &MutableItem, cas: Option<i64>) -> MutablePut<'_> {
    MutablePut { key: *item.key(), seq: item.seq(), signature: *item.signature(), salt: item.salt(), cas }
}
