//! Getting into the DHT and staying there.

use core::net::SocketAddr;

use downpour_base::{Instant, NodeId};

use super::search::{Goal, Phase, Search, SearchId};
use super::{Home, Node, Timer};
use crate::address::is_routable;
use crate::distance::random_id;
use crate::limits::{
    BOOTSTRAP_RETRY, K, MAINTENANCE_INTERVAL, MAX_BOOTSTRAP_RETRY, MAX_SAVED_NODES, MAX_SOCKETS,
    MIN_ID_LIFETIME,
};
use crate::message::Contact;
use crate::{Family, Output, SocketId, is_secure_id, secure_id};

impl Node {
    /// A socket is open: one more node, with the id of its last run if there was one.
    pub(super) fn open(&mut self, now: Instant, socket: SocketId, local: SocketAddr) {
        if self.homes.len() >= MAX_SOCKETS || self.homes.iter().any(|home| home.socket == socket) {
            return;
        }
        let family = Family::of(&local.ip());
        let saved = self.saved.iter().position(|saved| saved.family == family);
        let saved = saved.map(|place| self.saved.remove(place));
        let id = saved.as_ref().map_or_else(|| random_id(&mut self.rng), |saved| saved.id);
        let mut home = Home::new(now, socket, local, id);
        if let Some(external) = saved.as_ref().and_then(|saved| saved.external) {
            home.votes.assume(external);
        }
        if is_routable(&local.ip()) {
            home.votes.assume(local.ip());
        }
        home.remembered = saved.map(|saved| saved.nodes).unwrap_or_default();
        home.remembered.truncate(MAX_SAVED_NODES);
        self.homes.push(home);
        let place = self.homes.len() - 1;
        self.rename(now, place);
        self.maintain(now, socket);
    }

    pub(super) fn close(&mut self, now: Instant, socket: SocketId) {
        let Some(place) = self.home_of(socket) else { return };
        let home = self.homes.remove(place);
        self.saved.push(home.saved());
        self.timers.set(Timer::Maintain(socket), None);
        self.drop_calls(now, socket);
        let of_socket = self.searches.iter().filter(|(_, search)| search.socket == socket);
        let mut gone: Vec<SearchId> = of_socket.map(|(id, _)| *id).collect();
        gone.sort();
        gone.into_iter().for_each(|search| self.complete(now, search));
    }

    /// A node says where it sees us (BEP 42).
    pub(super) fn vote(&mut self, now: Instant, home: usize, voter: SocketAddr, address: SocketAddr) {
        let Some(own) = self.homes.get_mut(home) else { return };
        let fits = Family::of(&address.ip()) == own.family;
        if !fits || self.settings.routable_only && !is_routable(&address.ip()) {
            return;
        }
        if let Some(address) = own.votes.vote(&voter.ip(), address.ip()) {
            let socket = own.socket;
            self.outputs.push_back(Output::ExternalAddress { socket, address });
            if self.rename(now, home) {
                self.join(now, home, &[]);
            }
        }
    }

    /// Takes an id that fits the external address, unless the last change was a moment ago. Returns whether it did.
    fn rename(&mut self, now: Instant, place: usize) -> bool {
        let others: Vec<NodeId> = self
            .homes
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != place)
            .map(|(_, home)| home.table.own())
            .collect();
        let Some(home) = self.homes.get_mut(place) else { return false };
        let recent = home.renamed.is_some_and(|at| now.saturating_duration_since(at) < MIN_ID_LIFETIME);
        let Some(address) = home.external().filter(|_| self.settings.secure_ids && !recent) else {
            return false;
        };
        if is_secure_id(&home.table.own(), &address) {
            return false;
        }
        let mut id = secure_id(&address, &mut self.rng);
        for _ in 0..16 {
            // Two sockets behind one address may draw the same beginning, and should be far apart (BEP 45).
            if others.iter().all(|other| other.0.first() != id.0.first()) {
                break;
            }
            id = secure_id(&address, &mut self.rng);
        }
        let socket = home.socket;
        home.table.rebase(id, now, &self.settings);
        home.renamed = Some(now);
        self.outputs.push_back(Output::NodeIdChanged { socket, id });
        true
    }

    /// Nodes that may exist: the way in if there are too few, else to be seen whether they answer.
    pub(super) fn meet(&mut self, now: Instant, addresses: &[SocketAddr]) {
        for home in 0..self.homes.len() {
            let Some(own) = self.homes.get(home) else { return };
            let usable = |address: &&SocketAddr| {
                Family::of(&address.ip()) == own.family && self.is_acceptable(address)
            };
            let addresses: Vec<SocketAddr> =
                addresses.iter().filter(usable).take(MAX_SAVED_NODES).copied().collect();
            if addresses.is_empty() {
                continue;
            }
            if own.table.len() < K {
                self.join(now, home, &addresses);
            } else {
                addresses.into_iter().for_each(|address| self.probe(now, home, address, None));
            }
        }
    }

    /// Looks for our own id, beginning with what is known and with these.
    pub(super) fn join(&mut self, now: Instant, home: usize, addresses: &[SocketAddr]) {
        let Some(own) = self.homes.get_mut(home) else { return };
        let remembered = core::mem::take(&mut own.remembered);
        let (socket, target, joining) = (own.socket, own.table.own(), own.joining);
        let search = match joining.filter(|search| self.searches.contains_key(search)) {
            Some(search) => search,
            None => self.prepare(socket, target, Goal::Nodes, None),
        };
        if let Some(own) = self.homes.get_mut(home) {
            own.joining = Some(search);
        }
        let settings = &self.settings;
        if let Some(running) = self.searches.get_mut(&search) {
            remembered.iter().for_each(|contact| running.lookup.offer(*contact, None, 1, settings));
            addresses.iter().for_each(|address| running.lookup.offer_address(*address, settings));
        }
        if self.searches.get(&search).is_some_and(|running| running.phase == Phase::Waiting) {
            self.begin(now, search);
        } else {
            self.advance(now, search);
        }
    }

    /// A look-up of our own is at its end.
    pub(super) fn tended(&mut self, now: Instant, id: SearchId, search: &Search) {
        let Some(home) = self.homes.iter_mut().find(|home| home.socket == search.socket) else { return };
        if home.refreshing == Some(id) {
            home.refreshing = None;
        }
        if home.joining != Some(id) {
            return;
        }
        home.joining = None;
        if home.table.is_empty() {
            return;
        }
        (home.joined, home.bootstrap_wait) = (true, BOOTSTRAP_RETRY);
        let own = (home.socket, home.table.own());
        if search.lookup.target() != own.1 {
            // The id changed on the way, and what is near the new one is not known yet.
            if let Some(place) = self.home_of(own.0) {
                self.join(now, place, &[]);
            }
        }
        let waiting = self.searches.iter().filter(|(_, search)| {
            search.socket == own.0 && search.phase == Phase::Waiting && search.query.is_some()
        });
        let mut waiting: Vec<SearchId> = waiting.map(|(id, _)| *id).collect();
        waiting.sort();
        for search in waiting {
            self.timers.set(Timer::Search(search), None);
            self.begin(now, search);
        }
    }

    /// Looks after a routing table: finds nodes if there are few, refreshes a bucket, pings a node that was silent.
    pub(super) fn maintain(&mut self, now: Instant, socket: SocketId) {
        let Some(place) = self.home_of(socket) else { return };
        self.timers.set(Timer::Maintain(socket), Some(now + MAINTENANCE_INTERVAL));
        if self.rename(now, place) {
            self.join(now, place, &[]);
        }
        let Some(home) = self.homes.get_mut(place) else { return };
        let few = home.table.iter().filter(|entry| entry.failures == 0).take(K).count() < K;
        if few && home.joining.is_none() && now >= home.bootstrap_at {
            home.bootstrap_at = now + home.bootstrap_wait;
            home.bootstrap_wait = (home.bootstrap_wait * 2).min(MAX_BOOTSTRAP_RETRY);
            let known = !home.table.is_empty() || !home.remembered.is_empty();
            if !self.settings.bootstrap.is_empty() && (!known || home.joined) {
                self.outputs.push_back(Output::Resolve(self.settings.bootstrap.clone()));
            }
            if known {
                return self.join(now, place, &[]);
            }
        }
        let may_refresh = home.joined && home.refreshing.is_none();
        if let Some(target) = may_refresh.then(|| home.table.refresh(now, &mut self.rng)).flatten() {
            let search = self.prepare(socket, target, Goal::Nodes, None);
            if let Some(home) = self.homes.get_mut(place) {
                home.refreshing = Some(search);
            }
            self.begin(now, search);
        }
        let silent = self.homes.get(place).and_then(|home| home.table.most_questionable(now));
        if let Some(Contact { id, address }) = silent {
            self.probe(now, place, address, Some(id));
        }
    }
}
