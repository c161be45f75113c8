//! Answering queries.

use core::net::SocketAddr;

use downpour_base::{Instant, NodeId};

use super::calls::Purpose;
use super::{Home, Node, VERSION};
use crate::Family;
use crate::address::{Source, is_routable};
use crate::item::Item;
use crate::items::target_of;
use crate::limits::{
    K, MAX_DATAGRAM_BYTES, MAX_ITEM_DATAGRAM_BYTES, MAX_PROBES, MAX_SAMPLES, SAMPLE_INTERVAL,
};
use crate::message::{
    Body, Contact, ErrorCode, Fault, Message, Method, MutablePut, Nodes, Query, Response, Samples, Values,
    Want, push_node,
};

/// Bytes of an answer without nodes, values, filters, samples and item, at most.
const BASE: usize = 150;
/// Bytes around the list of values, around nodes, and of the two filters.
const VALUES_BASE: usize = 12;
const NODES_BASE: usize = 16;
const FILTERS: usize = 2 * (6 + 4 + 256);
/// Bytes of the signature's parts of an item, and around its value.
const ITEM_BASE: usize = 150;

/// The subset of our info-hashes that is shown for a while (BEP 51).
pub(super) struct SampleCache {
    info_hashes: Vec<u8>,
    until: Instant,
}

/// What an answer says, with what it borrows.
#[derive(Default)]
struct Answer {
    nodes: Option<Vec<u8>>,
    nodes6: Option<Vec<u8>>,
    token: Option<[u8; 8]>,
    values: Vec<u8>,
    filters: Option<Box<(crate::BloomFilter, crate::BloomFilter)>>,
    samples: Option<Vec<u8>>,
    /// Show the item at this place; its value only if it is newer than that.
    item: Option<(NodeId, Option<i64>)>,
}

impl Node {
    /// A query came.
    pub(super) fn queried(
        &mut self,
        now: Instant,
        home: usize,
        from: SocketAddr,
        message: &Message<'_>,
        query: &Query<'_>,
    ) {
        self.statistics.queries += 1;
        if self.settings.read_only {
            return;
        }
        if !self.sources.admit(now, &from.ip(), &self.settings) {
            self.statistics.over_rate += 1;
            return;
        }
        self.tokens.rotate(now, &mut self.rng);
        let result = self.answer(now, home, from, query);
        self.reply(now, home, from, message.transaction, result);
        if !message.read_only {
            self.notice(now, home, Contact { id: query.id, address: from });
        }
    }

    /// A query is wrong: the asker is told what is.
    pub(super) fn refuse_malformed(
        &mut self,
        now: Instant,
        home: usize,
        from: SocketAddr,
        transaction: &[u8],
        fault: &Fault,
    ) {
        self.statistics.queries += 1;
        if self.settings.read_only {
            return;
        }
        if !self.sources.admit(now, &from.ip(), &self.settings) {
            self.statistics.over_rate += 1;
            return;
        }
        let text = fault.to_string();
        self.reply_with(
            now,
            home,
            from,
            transaction,
            Body::Error { code: ErrorCode::Protocol.number(), text: text.as_bytes() },
        );
    }

    fn answer(
        &mut self,
        now: Instant,
        home: usize,
        from: SocketAddr,
        query: &Query<'_>,
    ) -> Result<Answer, (ErrorCode, &'static str)> {
        let mut answer = Answer::default();
        let mut room = MAX_DATAGRAM_BYTES - BASE;
        match &query.method {
            Method::Ping => {}
            Method::FindNode { target } | Method::Unknown { target: Some(target), .. } => {
                self.add_nodes(&mut answer, home, target, query.want, room);
            }
            Method::GetPeers { info_hash, noseed, scrape } => {
                let family = Family::of(&from.ip());
                if *scrape {
                    answer.filters = self.peers.filters(*info_hash, family).map(Box::new);
                    room -= if answer.filters.is_some() { FILTERS } else { 0 };
                }
                if self.may_announce(&from) && self.peers.has_room(*info_hash, &from.ip(), &self.settings) {
                    answer.token = Some(self.tokens.issue(&from.ip(), info_hash));
                }
                room = self.add_nodes(&mut answer, home, info_hash, query.want, room);
                let size = if family == Family::V4 { 8 } else { 21 };
                let count = room.saturating_sub(VALUES_BASE) / size;
                self.peers.choose(*info_hash, family, count, *noseed, &mut self.rng, &mut answer.values);
            }
            Method::AnnouncePeer { info_hash, port, implied_port, token, seed } => {
                if !self.tokens.is_valid(token, &from.ip(), info_hash) {
                    return Err((ErrorCode::Protocol, "bad token"));
                }
                self.sources.verify(now, &from.ip());
                let port = if *implied_port { from.port() } else { *port };
                if port == 0 || !self.may_announce(&from) {
                    return Err((ErrorCode::Protocol, "an address that nobody can reach"));
                }
                let peer = SocketAddr::new(from.ip(), port);
                if !self.peers.announce(now, *info_hash, peer, *seed, &self.settings) {
                    return Err((ErrorCode::Server, "no room for more"));
                }
            }
            Method::Get { target, seq } => {
                room = MAX_ITEM_DATAGRAM_BYTES - BASE;
                if let Some(item) = self.items.get(target) {
                    answer.item = Some((*target, *seq));
                    room -= item.value().len() + ITEM_BASE;
                } else {
                    room = MAX_DATAGRAM_BYTES - BASE;
                }
                answer.token = Some(self.tokens.issue(&from.ip(), target));
                // BEP 44: always both families.
                let want = Want { n4: true, n6: true };
                self.add_nodes(&mut answer, home, target, want, room);
            }
            Method::Put { token, value, mutable } => {
                self.put(now, from, token, value, mutable.as_ref())?;
            }
            Method::SampleInfohashes { target } => {
                let samples = self.samples(now);
                room -= samples.len() + 70;
                answer.samples = Some(samples);
                self.add_nodes(&mut answer, home, target, query.want, room);
            }
            Method::Unknown { target: None, .. } => {
                return Err((ErrorCode::MethodUnknown, "unknown method"));
            }
        }
        Ok(answer)
    }

    fn put(
        &mut self,
        now: Instant,
        from: SocketAddr,
        token: &[u8],
        value: &[u8],
        mutable: Option<&MutablePut<'_>>,
    ) -> Result<(), (ErrorCode, &'static str)> {
        if !self.tokens.is_valid(token, &from.ip(), &target_of(value, mutable)) {
            return Err((ErrorCode::Protocol, "bad token"));
        }
        self.sources.verify(now, &from.ip());
        let by = Source::of(&from.ip());
        self.items.put(now, by, value, mutable, &self.settings).map_err(|code| {
            let text = match code {
                ErrorCode::ValueTooBig => "value too big",
                ErrorCode::InvalidSignature => "invalid signature",
                ErrorCode::SaltTooBig => "salt too big",
                ErrorCode::CasMismatch => "another version is stored",
                ErrorCode::SequenceTooLow => "a later version is stored",
                ErrorCode::Server => "no room for more",
                _ => "not a valid item",
            };
            (code, text)
        })
    }

    fn may_announce(&self, from: &SocketAddr) -> bool {
        !self.settings.routable_only || is_routable(&from.ip())
    }

    /// Puts the closest nodes in, of the asked family or families, the asker's first, as far as there is room. Returns the
    /// room that is left.
    fn add_nodes(&self, answer: &mut Answer, home: usize, target: &NodeId, want: Want, room: usize) -> usize {
        let Some(own) = self.homes.get(home) else { return room };
        let mut room = room;
        let families = match own.family {
            Family::V4 => [Family::V4, Family::V6],
            Family::V6 => [Family::V6, Family::V4],
        };
        for family in families {
            let asked = if family == Family::V4 { want.n4 } else { want.n6 };
            let implied = family == own.family && want == Want::default();
            if !(asked || implied) {
                continue;
            }
            let of_family = |home: &&Home| home.family == family;
            let home = Some(own).filter(of_family).or_else(|| self.homes.iter().find(of_family));
            let count = room.saturating_sub(NODES_BASE) / Nodes::size(family);
            let mut bytes = Vec::new();
            if let Some(home) = home {
                let closest = home.table.closest(target, count.min(K));
                bytes.reserve(closest.len() * Nodes::size(family));
                closest.iter().for_each(|contact| push_node(contact, &mut bytes));
            }
            room = room.saturating_sub(NODES_BASE + bytes.len());
            match family {
                Family::V4 => answer.nodes = Some(bytes),
                Family::V6 => answer.nodes6 = Some(bytes),
            }
        }
        room
    }

    /// The subset of our info-hashes, a new one when the old one was shown long enough.
    fn samples(&mut self, now: Instant) -> Vec<u8> {
        if let Some(cache) = self.samples.as_ref().filter(|cache| cache.until > now) {
            return cache.info_hashes.clone();
        }
        let chosen = self.peers.sample(MAX_SAMPLES, &mut self.rng);
        let info_hashes: Vec<u8> = chosen.iter().flat_map(|info_hash| info_hash.0).collect();
        self.samples = Some(SampleCache { info_hashes: info_hashes.clone(), until: now + SAMPLE_INTERVAL });
        info_hashes
    }

    fn reply(
        &mut self,
        now: Instant,
        home: usize,
        from: SocketAddr,
        transaction: &[u8],
        result: Result<Answer, (ErrorCode, &'static str)>,
    ) {
        let answer = match result {
            Ok(answer) => answer,
            Err((code, text)) => {
                let body = Body::Error { code: code.number(), text: text.as_bytes() };
                return self.reply_with(now, home, from, transaction, body);
            }
        };
        let Some(own) = self.homes.get(home) else { return };
        let mut response = Response::new(own.table.own());
        response.nodes = answer.nodes.as_deref().map(|bytes| Nodes::new(Family::V4, bytes));
        response.nodes6 = answer.nodes6.as_deref().map(|bytes| Nodes::new(Family::V6, bytes));
        response.token = answer.token.as_ref().map(<[u8; 8]>::as_slice);
        if !answer.values.is_empty() {
            response.values = Some(Values::from_items(&answer.values));
        }
        if let Some((seeds, peers)) = answer.filters.as_deref() {
            (response.seeds, response.peers) = (Some(seeds.as_bytes()), Some(peers.as_bytes()));
        }
        response.samples = answer.samples.as_deref().map(|info_hashes| Samples {
            info_hashes,
            interval: SAMPLE_INTERVAL.as_secs() as u32,
            total: self.peers.torrents() as u64,
        });
        // The item stays in the store while it is written.
        let payload = {
            if let Some((target, newer_than)) = answer.item {
                match self.items.get(&target) {
                    Some(Item::Immutable(item)) => response.value = Some(item.value()),
                    Some(Item::Mutable(item)) => {
                        response.seq = Some(item.seq());
                        if newer_than.is_none_or(|seq| item.seq() > seq) {
                            response.value = Some(item.value());
                            response.key = Some(*item.key());
                            response.signature = Some(*item.signature());
                        }
                    }
                    None => {}
                }
            }
            encode(from, transaction, Body::Response(response))
        };
        self.deliver(now, home, from, payload);
    }

    fn reply_with(
        &mut self,
        now: Instant,
        home: usize,
        from: SocketAddr,
        transaction: &[u8],
        body: Body<'_>,
    ) {
        let payload = encode(from, transaction, body);
        self.deliver(now, home, from, payload);
    }

    /// Sends an answer, if the asker may have so many bytes.
    fn deliver(&mut self, now: Instant, home: usize, to: SocketAddr, payload: Vec<u8>) {
        let Some(socket) = self.homes.get(home).map(|home| home.socket) else { return };
        if !self.sources.may_send(now, &to.ip(), payload.len(), &self.settings) {
            self.statistics.over_bytes += 1;
            return;
        }
        self.statistics.answered += 1;
        self.send(socket, to, payload);
    }

    /// Somebody asked who may be worth keeping: it is pinged, since only who answers is (BEP 5).
    fn notice(&mut self, now: Instant, home: usize, contact: Contact) {
        if !self.is_acceptable(&contact.address) {
            return;
        }
        let Some(own) = self.homes.get_mut(home) else { return };
        if !own.table.asked(now, &contact) && own.table.has_place(&contact, &self.settings) {
            self.probe(now, home, contact.address, None);
        }
    }

    /// Pings a node to see whether it answers, unless many are being pinged.
    pub(super) fn probe(&mut self, now: Instant, home: usize, address: SocketAddr, id: Option<NodeId>) {
        let Some(own) = self.homes.get_mut(home) else { return };
        if own.probes.len() >= MAX_PROBES || own.probes.contains(&address) {
            return;
        }
        own.probes.push(address);
        let sent = self.call(now, home, address, id, Purpose::Probe, Method::Ping);
        if let Some(own) = self.homes.get_mut(home).filter(|_| !sent) {
            own.probes.retain(|other| *other != address);
        }
    }
}

fn encode(to: SocketAddr, transaction: &[u8], body: Body<'_>) -> Vec<u8> {
    let mut payload = Vec::with_capacity(512);
    let message = Message { version: Some(VERSION), ip: Some(to), ..Message::new(transaction, body) };
    message.encode(&mut payload);
    payload
}
