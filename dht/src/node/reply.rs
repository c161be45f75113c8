//! Answers to our queries.

use core::net::SocketAddr;

use downpour_base::{InfoHashV1, Instant, NodeId};

use super::calls::{Call, Purpose};
use super::search::{Goal, SearchId};
use super::{Node, Timer};
use crate::item::{ImmutableItem, Item, MutableItem, immutable_target};
use crate::limits::{K, MAX_LEGACY_PEERS, MAX_PEERS_PER_REPLY, MAX_SAMPLES};
use crate::message::{Contact, Message, Nodes, Response};
use crate::routing::Kept;
use crate::{BloomFilter, Output, QueryId, Update};

impl Node {
    /// An answer came, or (`Err`) an error.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        home: usize,
        from: SocketAddr,
        message: &Message<'_>,
        result: Result<&Response<'_>, i64>,
    ) {
        let Some(socket) = self.homes.get(home).map(|home| home.socket) else { return };
        let Some((transaction, call)) = self.calls.take(message.transaction, socket, &from) else {
            self.statistics.unasked += 1;
            return;
        };
        self.timers.set(Timer::Call(transaction), None);
        self.sources.verify(now, &from.ip());
        if let Some(ip) = message.ip {
            self.vote(now, home, from, ip);
        }
        if let Ok(response) = result {
            self.keep(now, home, Contact { id: response.id, address: from });
        }
        self.call_ended(now, &call, Some(result));
    }

    /// A node answered: it is kept if there is a place.
    fn keep(&mut self, now: Instant, home: usize, contact: Contact) {
        if !self.is_acceptable(&contact.address) {
            return;
        }
        let Some(own) = self.homes.get_mut(home) else { return };
        let kept = own.table.replied(now, contact, &self.settings);
        if let Kept::Cached(Some(silent)) = kept {
            self.probe(now, home, silent.address, Some(silent.id));
        } else if kept == Kept::New && !own.joined && own.joining.is_none() {
            // BEP 5: "Upon inserting the first node … find the closest nodes in the DHT to itself".
            self.join(now, home, &[]);
        }
    }

    /// A query of ours is at its end: with an answer, an error, or (`None`) with nothing.
    pub(super) fn call_ended(
        &mut self,
        now: Instant,
        call: &Call,
        result: Option<Result<&Response<'_>, i64>>,
    ) {
        let contact = |response: &Response<'_>| Contact { id: response.id, address: call.to };
        match call.purpose {
            Purpose::Probe => {
                if let Some(home) = self.homes.iter_mut().find(|home| home.socket == call.socket) {
                    home.probes.retain(|address| *address != call.to);
                }
            }
            Purpose::Ping(query) => self.pinged(query, result.and_then(Result::ok).map(contact)),
            Purpose::Store(search) => {
                let query = self.searches.get(&search).and_then(|search| search.query);
                if let Some(active) = query.and_then(|query| self.active.get_mut(&query)) {
                    match result {
                        Some(Ok(_)) => active.report.stored += 1,
                        Some(Err(code)) => active.report.refused.push((call.to, code)),
                        None => {}
                    }
                }
                self.stored_one(now, search);
            }
            Purpose::Step(search) => {
                match result {
                    Some(Ok(response)) => self.step(now, search, call, response),
                    _ => {
                        if let Some(search) = self.searches.get_mut(&search) {
                            search.lookup.failed(&call.to);
                        }
                    }
                }
                self.advance(now, search);
            }
        }
    }

    /// A node on the way of a look-up answered.
    fn step(&mut self, now: Instant, id: SearchId, call: &Call, response: &Response<'_>) {
        let (nodes, others) = self.named_nodes(call, response);
        if let Some(other) = others {
            self.meet(now, &[other]);
        }
        let Some(search) = self.searches.get_mut(&id) else { return };
        let (query, target, goal) = (search.query, search.lookup.target(), search.goal.clone());
        let held = match query.zip(wanted_item(&goal, target)) {
            Some((query, wanted)) => self.take_item(query, &wanted, response),
            None => None,
        };
        let from = Contact { id: response.id, address: call.to };
        let Some(search) = self.searches.get_mut(&id) else { return };
        let replied = search.lookup.replied(from, response.token, &nodes, &self.settings);
        if let Some(candidate) = replied {
            candidate.held = held;
        }
        let Some(query) = query else { return };
        match goal {
            Goal::Peers { .. } | Goal::Announce { .. } => self.take_peers(query, call.to, response),
            Goal::Samples => self.take_samples(query, call.to, response),
            _ => {}
        }
    }

    /// The nodes that an answer names: those of its own family to go on with, and one of the other to meet if it lacks nodes.
    fn named_nodes(&self, call: &Call, response: &Response<'_>) -> (Vec<Contact>, Option<SocketAddr>) {
        let (own, other) = match call.to {
            SocketAddr::V4(_) => (response.nodes, response.nodes6),
            SocketAddr::V6(_) => (response.nodes6, response.nodes),
        };
        let acceptable = |nodes: Option<Nodes<'_>>| -> Vec<Contact> {
            let nodes = nodes.iter().flat_map(Nodes::iter).take(K);
            nodes.filter(|contact| self.is_acceptable(&contact.address)).collect()
        };
        let ours = |contact: &Contact| self.homes.iter().any(|home| home.table.own() == contact.id);
        let nodes = acceptable(own).into_iter().filter(|contact| !ours(contact)).collect();
        let family = self.home_of(call.socket).and_then(|home| self.homes.get(home)).map(|home| home.family);
        let lacking = self.homes.iter().any(|home| Some(home.family) != family && home.table.len() < K);
        let other = acceptable(other).first().filter(|_| lacking).map(|contact| contact.address);
        (nodes, other)
    }

    fn take_peers(&mut self, query: QueryId, from: SocketAddr, response: &Response<'_>) {
        let peers: Vec<SocketAddr> = match &response.values {
            Some(values) => values.iter().take(MAX_PEERS_PER_REPLY).collect(),
            None => Vec::new(),
        };
        let peers: Vec<SocketAddr> = peers.into_iter().filter(|peer| self.is_acceptable(peer)).collect();
        let Some(active) = self.active.get_mut(&query) else { return };
        if let Some(scrape) = &mut active.report.scrape {
            let filters = response.seeds.zip(response.peers);
            match filters {
                Some((seeds, others)) => {
                    scrape.seeds.unite(&BloomFilter::from_bytes(*seeds));
                    scrape.peers.unite(&BloomFilter::from_bytes(*others));
                }
                None => {
                    let room = MAX_LEGACY_PEERS.saturating_sub(active.legacy.len());
                    active.legacy.extend(peers.iter().take(room).map(SocketAddr::ip));
                }
            }
        }
        if !peers.is_empty() {
            self.outputs.push_back(Output::Update { query, update: Update::Peers { peers, from } });
        }
    }

    fn take_samples(&mut self, query: QueryId, from: SocketAddr, response: &Response<'_>) {
        let Some(samples) = response.samples else { return };
        let chunks = samples.info_hashes.chunks_exact(20).take(MAX_SAMPLES);
        let info_hashes = chunks.filter_map(|chunk| Some(InfoHashV1(chunk.try_into().ok()?))).collect();
        let (total, interval) = (samples.total, samples.interval);
        let update = Update::Samples { info_hashes, total, interval, from };
        self.outputs.push_back(Output::Update { query, update });
    }

    /// Takes the item of an answer, if it is one and newer. Returns the version that the node has.
    fn take_item(&mut self, query: QueryId, wanted: &Wanted<'_>, response: &Response<'_>) -> Option<i64> {
        let active = self.active.get_mut(&query)?;
        let Some(value) = response.value else {
            // It has one that is not newer than what was asked for.
            return response.seq.filter(|_| wanted.key.is_some());
        };
        let Some((key, salt)) = wanted.key else {
            if immutable_target(value) != wanted.target {
                return None;
            }
            if active.best.is_none() {
                let item = Item::Immutable(ImmutableItem::new(value).ok()?);
                active.best = Some(item.clone());
                self.outputs.push_back(Output::Update { query, update: Update::Item(item) });
            }
            return Some(0);
        };
        let seq = response.seq?;
        if response.key.as_ref() != Some(key) {
            return None;
        }
        let known = match &active.best {
            Some(Item::Mutable(best)) if best.seq() == seq => return (best.value() == value).then_some(seq),
            Some(Item::Mutable(best)) => Some(best.seq()),
            _ => wanted.after,
        };
        let item = MutableItem::verify(key, salt, seq, value, &response.signature?).ok()?;
        if known.is_none_or(|known| seq > known) {
            let item = Item::Mutable(item);
            active.best = Some(item.clone());
            self.outputs.push_back(Output::Update { query, update: Update::Item(item) });
        }
        Some(seq)
    }
}

/// Which item an answer should have.
struct Wanted<'a> {
    target: NodeId,
    key: Option<(&'a [u8; 32], &'a [u8])>,
    after: Option<i64>,
}

fn wanted_item(goal: &Goal, target: NodeId) -> Option<Wanted<'_>> {
    let (key, after) = match goal {
        Goal::Item { key, after } => (key.as_ref().map(|(key, salt)| (key, &salt[..])), *after),
        Goal::Put { item: Item::Mutable(item), .. } => (Some((item.key(), item.salt())), None),
        Goal::Put { item: Item::Immutable(_), .. } => (None, None),
        _ => return None,
    };
    Some(Wanted { target, key, after })
}
