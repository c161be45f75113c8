//! Our queries that have no answer yet. An answer is taken only from whom it was asked of (transaction and address).

use core::net::SocketAddr;

use downpour_base::{Instant, Map, MapKey, NodeId, Rng};

use super::search::SearchId;
use super::{Node, Timer, VERSION};
use crate::limits::{CALL_TIMEOUT, MAX_CALLS, MAX_TRIES, SLOW_TIMEOUT};
use crate::message::{Body, Contact, Message, Method, Query, Want};
use crate::{QueryId, SocketId};

/// A query of ours.
pub(super) struct Call {
    pub(super) socket: SocketId,
    pub(super) to: SocketAddr,
    /// Who should be there, if that is known.
    pub(super) id: Option<NodeId>,
    pub(super) purpose: Purpose,
    /// What to send again if there is no answer soon.
    again: Option<Vec<u8>>,
    /// How often it was sent.
    tries: u32,
    sent: Instant,
}

/// What a query of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To see whether a node answers.
    Probe,
    /// A command to ping.
    Ping(QueryId),
    /// A step of a look-up.
    Step(SearchId),
    /// To store what a look-up found the place for.
    Store(SearchId),
}

/// The queries by transaction.
pub(super) struct Calls(Map<u32, Call>);

impl Calls {
    pub(super) fn new(key: MapKey) -> Self {
        Self(key.map())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// A transaction that nobody can guess, and that is not in use.
    fn transaction(&self, rng: &mut Rng) -> u32 {
        loop {
            let transaction = rng.next_u32();
            if !self.0.contains_key(&transaction) {
                return transaction;
            }
        }
    }

    /// Takes out the query that is answered.
    pub(super) fn take(
        &mut self,
        transaction: &[u8],
        socket: SocketId,
        from: &SocketAddr,
    ) -> Option<(u32, Call)> {
        let transaction = u32::from_be_bytes(transaction.try_into().ok()?);
        let call = self.0.get(&transaction)?;
        if call.to != *from || call.socket != socket {
            return None;
        }
        Some((transaction, self.0.remove(&transaction)?))
    }
}

impl Node {
    /// Sends a query. Returns whether there was room for one more.
    pub(super) fn call(
        &mut self,
        now: Instant,
        home: usize,
        to: SocketAddr,
        id: Option<NodeId>,
        purpose: Purpose,
        method: Method<'_>,
    ) -> bool {
        let want = self.want(home, &method);
        let Some(home) = self.homes.get(home) else { return false };
        if self.calls.len() >= MAX_CALLS {
            return false;
        }
        let transaction = self.calls.transaction(&mut self.rng);
        let body = Body::Query(Query { id: home.table.own(), want, method });
        let bytes = transaction.to_be_bytes();
        let read_only = self.settings.read_only;
        let message = Message { version: Some(VERSION), read_only, ..Message::new(&bytes, body) };
        let mut payload = Vec::with_capacity(128);
        message.encode(&mut payload);
        let socket = home.socket;
        let again = (purpose != Purpose::Probe).then(|| payload.clone());
        let wait = if again.is_some() { SLOW_TIMEOUT } else { CALL_TIMEOUT };
        self.timers.set(Timer::Call(transaction), Some(now + wait));
        self.calls.0.insert(transaction, Call { socket, to, id, purpose, again, tries: 1, sent: now });
        self.statistics.sent += 1;
        self.count_message(purpose);
        self.send(socket, to, payload);
        true
    }

    /// Dual-stack nodes that lack nodes of the other family ask for both (BEP 32).
    fn want(&self, home: usize, method: &Method<'_>) -> Want {
        let lookup = matches!(method, Method::FindNode { .. } | Method::GetPeers { .. });
        let family = self.homes.get(home).map(|home| home.family);
        let lacks =
            |other: &super::Home| Some(other.family) != family && other.table.len() < crate::limits::K;
        let both = lookup && self.homes.iter().any(lacks);
        Want { n4: both, n6: both }
    }

    fn count_message(&mut self, purpose: Purpose) {
        match purpose {
            Purpose::Probe => {}
            Purpose::Ping(query) => {
                if let Some(active) = self.active.get_mut(&query) {
                    active.report.messages += 1;
                }
            }
            Purpose::Step(search) | Purpose::Store(search) => {
                if let Some(search) = self.searches.get_mut(&search) {
                    search.messages += 1;
                }
            }
        }
    }

    /// A query had no answer for a while: it is sent again, and in the end it has failed.
    pub(super) fn overdue(&mut self, now: Instant, transaction: u32) {
        let Some(call) = self.calls.0.get_mut(&transaction) else { return };
        let (socket, to, purpose) = (call.socket, call.to, call.purpose);
        if let Some(payload) = call.again.clone() {
            call.tries += 1;
            if call.tries == MAX_TRIES {
                call.again = None;
            }
            let wait = if call.again.is_some() { SLOW_TIMEOUT * call.tries } else { CALL_TIMEOUT };
            let deadline = call.sent + wait;
            self.timers.set(Timer::Call(transaction), Some(deadline));
            self.statistics.sent += 1;
            self.count_message(purpose);
            self.send(socket, to, payload);
            if let Purpose::Step(search) = purpose {
                self.slow(now, search, &to);
            }
            return;
        }
        let Some(call) = self.calls.0.remove(&transaction) else { return };
        self.statistics.timed_out += 1;
        let home = self.homes.iter_mut().find(|home| home.socket == call.socket);
        if let (Some(home), Some(id)) = (home, call.id) {
            home.table.failed(now, &Contact { id, address: to }, &self.settings);
        }
        self.call_ended(now, &call, None);
    }

    /// Forgets the queries of a socket that is gone; they count as failed.
    pub(super) fn drop_calls(&mut self, now: Instant, socket: SocketId) {
        let of_socket = self.calls.0.iter().filter(|(_, call)| call.socket == socket);
        let gone: Vec<u32> = of_socket.map(|(transaction, _)| *transaction).collect();
        for transaction in gone {
            self.timers.set(Timer::Call(transaction), None);
            if let Some(call) = self.calls.0.remove(&transaction) {
                self.call_ended(now, &call, None);
            }
        }
    }
}
