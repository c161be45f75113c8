//! Commands: from a wish to look-ups, and from their ends to a report.

use core::net::{IpAddr, SocketAddr};

use downpour_base::{Instant, NodeId};

use super::calls::Purpose;
use super::search::{Goal, Search};
use super::{Node, Timer};
use crate::limits::{JOIN_TIMEOUT, K, MAX_LOOKUPS, SOCKET_STAGGER};
use crate::message::{Contact, Method};
use crate::{Command, Family, Item, Output, QueryId, Rejection, Report, Scrape, SocketId, mutable_target};

/// A command that runs.
#[derive(Default)]
pub(super) struct Active {
    /// Look-ups that have not ended.
    searches: usize,
    pub(super) report: Report,
    /// The newest item so far.
    pub(super) best: Option<Item>,
    /// Peers of nodes that know no filters (BEP 33).
    pub(super) legacy: Vec<IpAddr>,
    /// The versions that nodes have.
    copies: Vec<i64>,
    /// The versions that the closest nodes have.
    closest: Vec<Option<i64>>,
}

impl Node {
    pub(super) fn start(&mut self, now: Instant, query: QueryId, command: Command) {
        if self.active.contains_key(&query) {
            return self.reject(query, Rejection::InUse);
        }
        let (target, goal) = match command {
            Command::Ping(address) => return self.ping(now, query, address),
            Command::FindNode(target) => (target, Goal::Nodes),
            Command::GetPeers { info_hash, noseed } => {
                (NodeId(info_hash.0), Goal::Peers { noseed, scrape: false })
            }
            Command::Announce { info_hash, port, seed } => {
                (NodeId(info_hash.0), Goal::Announce { port, seed })
            }
            Command::Scrape(info_hash) => (NodeId(info_hash.0), Goal::Peers { noseed: false, scrape: true }),
            Command::GetImmutable(target) => (target, Goal::Item { key: None, after: None }),
            Command::GetMutable { key, salt, after } => {
                (mutable_target(&key, &salt), Goal::Item { key: Some((key, salt.into())), after })
            }
            Command::PutImmutable(item) => {
                (item.target(), Goal::Put { item: Item::Immutable(item), cas: None })
            }
            Command::PutMutable { item, cas } => {
                (item.target(), Goal::Put { item: Item::Mutable(item), cas })
            }
            Command::Sample(target) => (target, Goal::Samples),
        };
        let sockets = self.sockets_for(&goal);
        if sockets.is_empty() {
            return self.reject(query, Rejection::NoSocket);
        }
        if self.searches.len() + sockets.len() > MAX_LOOKUPS {
            return self.reject(query, Rejection::Busy);
        }
        let mut active = Active { searches: sockets.len(), ..Active::default() };
        if matches!(goal, Goal::Peers { scrape: true, .. }) {
            active.report.scrape = Some(Scrape::default());
        }
        self.active.insert(query, active);
        let mut begin = Vec::new();
        for (socket, turn) in sockets {
            let search = self.prepare(socket, target, goal.clone(), Some(query));
            let joined = self.homes.iter().any(|home| home.socket == socket && home.joined);
            match (turn, joined) {
                (0, true) => begin.push(search),
                // Begins when the first nodes are found.
                (0, false) => self.timers.set(Timer::Search(search), Some(now + JOIN_TIMEOUT)),
                _ => self.timers.set(Timer::Search(search), Some(now + SOCKET_STAGGER * turn)),
            }
        }
        begin.into_iter().for_each(|search| self.begin(now, search));
    }

    /// The sockets to look up on, with their turns within their family: all to announce, else one of each family, by chance
    /// (BEP 45).
    fn sockets_for(&mut self, goal: &Goal) -> Vec<(SocketId, u32)> {
        let mut chosen = Vec::new();
        for family in [Family::V4, Family::V6] {
            let of_family = self.homes.iter().filter(|home| home.family == family);
            let sockets: Vec<SocketId> = of_family.map(|home| home.socket).collect();
            if matches!(goal, Goal::Announce { .. }) {
                chosen.extend(sockets.into_iter().zip(0..));
            } else {
                let one = self.rng.index(sockets.len());
                chosen.extend(sockets.get(one).map(|socket| (*socket, 0)));
            }
        }
        chosen
    }

    fn ping(&mut self, now: Instant, query: QueryId, address: SocketAddr) {
        let family = Family::of(&address.ip());
        let Some(home) = self.homes.iter().position(|home| home.family == family) else {
            return self.reject(query, Rejection::NoSocket);
        };
        self.active.insert(query, Active::default());
        if !self.call(now, home, address, None, Purpose::Ping(query), Method::Ping) {
            self.active.remove(&query);
            self.reject(query, Rejection::Busy);
        }
    }

    /// A ping of a command was answered, or was not.
    pub(super) fn pinged(&mut self, query: QueryId, contact: Option<Contact>) {
        if let Some(active) = self.active.get_mut(&query) {
            active.report.nodes.extend(contact);
            self.done(query);
        }
    }

    fn reject(&mut self, query: QueryId, rejection: Rejection) {
        let report = Box::new(Report { rejected: Some(rejection), ..Report::default() });
        self.outputs.push_back(Output::Done { query, report });
    }

    pub(super) fn cancel(&mut self, query: QueryId) {
        if self.active.remove(&query).is_some() {
            self.searches.retain(|_, search| search.query != Some(query));
        }
    }

    /// A look-up of a command is at its end.
    pub(super) fn searched(&mut self, query: QueryId, search: &Search) {
        let Some(active) = self.active.get_mut(&query) else { return };
        let report = &mut active.report;
        report.messages += search.messages;
        for result in search.lookup.results() {
            report.nodes.push(result.contact);
            report.hops = report.hops.max(result.hops);
        }
        if matches!(search.goal, Goal::Item { .. } | Goal::Put { .. }) {
            active.copies.extend(search.lookup.answered().filter_map(|node| node.held));
            active.closest.extend(search.lookup.results().map(|node| node.held));
        }
        active.searches = active.searches.saturating_sub(1);
        if active.searches == 0 {
            self.done(query);
        }
    }

    fn done(&mut self, query: QueryId) {
        let Some(mut active) = self.active.remove(&query) else { return };
        if let Some(scrape) = &mut active.report.scrape {
            // Whom a filter counts as a seed is not counted as a peer too (BEP 33).
            let peers = active.legacy.iter().filter(|ip| !scrape.seeds.may_contain(ip));
            peers.for_each(|ip| scrape.peers.insert(ip));
        }
        if let Some(newest) = active.copies.iter().copied().max() {
            let copies = active.copies.iter().filter(|seq| **seq == newest).count();
            active.report.copies = copies as u32;
            let complete = active.closest.iter().all(|held| *held == Some(newest));
            active.report.needs_put = copies <= K || !complete;
        }
        self.outputs.push_back(Output::Done { query, report: Box::new(active.report) });
    }
}
