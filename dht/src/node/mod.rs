//! The node: everything else, wired.

mod answer;
mod calls;
mod command;
mod home;
mod reply;
mod search;
mod upkeep;

use core::net::SocketAddr;
use std::collections::VecDeque;

use downpour_base::{Deadlines, Instant, Machine, Map, MapKey, NodeId, Rng, Seed};

use crate::address::{is_routable, is_usable};
use crate::items::ItemStore;
use crate::limits::{HOUSEKEEPING_INTERVAL, MAX_OUTPUTS, SAVE_INTERVAL};
use crate::message::{Body, Message};
use crate::peers::PeerStore;
use crate::routing::Entry;
use crate::sources::Sources;
use crate::tokens::Tokens;
use crate::{Input, Output, QueryId, SavedState, Settings, SocketId, Statistics, Stored};
use answer::SampleCache;
use calls::Calls;
use command::Active;
use home::Home;
use search::{Search, SearchId};

/// What our messages say of the sender (BEP 5: two characters, two for the version).
const VERSION: &[u8] = b"DP\x00\x01";

/// What a moment is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    /// A query without an answer.
    Call(u32),
    /// A look-up that begins later.
    Search(SearchId),
    /// A routing table wants to be looked after.
    Maintain(SocketId),
    /// Stores want to be looked through.
    Housekeeping,
    /// The state is to be saved.
    Save,
}

/// A node of the DHT: on each socket one of its own to the others, with shared stores (BEP 45).
///
/// Tell it of sockets with [`Input::Opened`], of datagrams with [`Input::Datagram`], and of wishes with [`Input::Start`];
/// do what [`poll_output`](Machine::poll_output) says. It begins to look for nodes when a socket is opened: among those of
/// the saved state, else with [`Settings::bootstrap`], and when [`Input::Nodes`] names some.
///
/// Memory is bounded by [`Settings`] and [`limits`](crate::limits). What others send wrongly is counted in
/// [`statistics`](Self::statistics), and told to them if it was a query.
pub struct Node {
    settings: Settings,
    rng: Rng,
    homes: Vec<Home>,
    /// What sockets that are not open yet remember.
    saved: Vec<crate::SavedSocket>,
    calls: Calls,
    searches: Map<SearchId, Search>,
    next_search: SearchId,
    active: Map<QueryId, Active>,
    tokens: Tokens,
    peers: PeerStore,
    items: ItemStore,
    samples: Option<SampleCache>,
    sources: Sources,
    timers: Deadlines<Timer>,
    outputs: VecDeque<Output>,
    statistics: Statistics,
}

impl Node {
    /// A node without sockets, with the state of its last run or the empty one.
    #[must_use]
    pub fn new(now: Instant, seed: Seed, settings: Settings, state: SavedState) -> Self {
        let mut rng = Rng::new(seed);
        let key = MapKey::new(&mut rng);
        let mut timers = Deadlines::new(key);
        timers.set(Timer::Housekeeping, Some(now + HOUSEKEEPING_INTERVAL));
        timers.set(Timer::Save, Some(now + SAVE_INTERVAL));
        Self {
            settings,
            homes: Vec::new(),
            saved: state.sockets,
            calls: Calls::new(key),
            searches: key.map(),
            next_search: SearchId(0),
            active: key.map(),
            tokens: Tokens::new(now, &mut rng),
            peers: PeerStore::new(key),
            items: ItemStore::new(key),
            samples: None,
            sources: Sources::new(key),
            timers,
            outputs: VecDeque::new(),
            statistics: Statistics::default(),
            rng,
        }
    }

    /// What was done so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// What is kept.
    #[must_use]
    pub fn stored(&self) -> Stored {
        Stored {
            nodes: self.homes.iter().map(|home| home.table.len()).sum(),
            torrents: self.peers.torrents(),
            peers: self.peers.len(),
            items: self.items.len(),
            sources: self.sources.len(),
            calls: self.calls.len(),
            lookups: self.searches.len(),
        }
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The id that the node has on a socket.
    #[must_use]
    pub fn id(&self, socket: SocketId) -> Option<NodeId> {
        Some(self.homes.iter().find(|home| home.socket == socket)?.table.own())
    }

    /// The routing table of a socket, the farthest bucket first.
    pub fn table(&self, socket: SocketId) -> impl Iterator<Item = &Entry> {
        self.homes.iter().filter(move |home| home.socket == socket).flat_map(|home| home.table.iter())
    }

    /// The state to be saved, as [`Output::Save`] gives it now and then.
    #[must_use]
    pub fn state(&self) -> SavedState {
        // What was never used is kept: that family may be back next time.
        let sockets = self.homes.iter().map(Home::saved).chain(self.saved.iter().cloned());
        SavedState { sockets: sockets.take(crate::limits::MAX_SOCKETS).collect() }
    }

    /// Takes a datagram without owning it; the same as [`Input::Datagram`].
    pub fn receive(&mut self, now: Instant, socket: SocketId, from: SocketAddr, payload: &[u8]) {
        self.statistics.received += 1;
        let family = crate::Family::of(&from.ip());
        let Some(home) = self.homes.iter().position(|home| home.socket == socket) else { return };
        if !is_usable(&from) || self.homes.get(home).is_none_or(|home| home.family != family) {
            return;
        }
        match Message::decode(payload) {
            Ok(message) => match &message.body {
                Body::Query(query) => self.queried(now, home, from, &message, query),
                Body::Response(response) => self.answered(now, home, from, &message, Ok(response)),
                Body::Error { code, .. } => self.answered(now, home, from, &message, Err(*code)),
            },
            Err(error) => {
                self.statistics.malformed += 1;
                if let Some(transaction) = error.query {
                    self.refuse_malformed(now, home, from, transaction, &error.fault);
                }
            }
        }
    }

    /// Whether a node can be at an address at all, and may be asked and told there.
    fn is_acceptable(&self, address: &SocketAddr) -> bool {
        is_usable(address) && (!self.settings.routable_only || is_routable(&address.ip()))
    }

    /// Sends; what a remote causes beyond the bound of the queue is not.
    fn send(&mut self, socket: SocketId, to: SocketAddr, payload: Vec<u8>) {
        if self.outputs.len() < MAX_OUTPUTS {
            self.outputs.push_back(Output::Datagram { socket, to, payload });
        }
    }

    fn housekeeping(&mut self, now: Instant) {
        self.peers.expire(now);
        self.items.expire(now);
        self.sources.sweep(now);
        self.timers.set(Timer::Housekeeping, Some(now + HOUSEKEEPING_INTERVAL));
    }

    fn save(&mut self, now: Instant) {
        if self.homes.iter().any(|home| !home.table.is_empty()) {
            self.outputs.push_back(Output::Save(self.state()));
        }
        self.timers.set(Timer::Save, Some(now + SAVE_INTERVAL));
    }
}

impl Machine for Node {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Opened { socket, local } => self.open(now, socket, local),
            Input::Closed(socket) => self.close(now, socket),
            Input::Datagram { socket, from, payload } => self.receive(now, socket, from, &payload),
            Input::Resolved(addresses) | Input::Nodes(addresses) => self.meet(now, &addresses),
            Input::Start { query, command } => self.start(now, query, command),
            Input::Cancel(query) => self.cancel(query),
            Input::Settings(settings) => self.settings = *settings,
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Call(transaction) => self.overdue(now, transaction),
                Timer::Search(search) => self.begin(now, search),
                Timer::Maintain(socket) => self.maintain(now, socket),
                Timer::Housekeeping => self.housekeeping(now),
                Timer::Save => self.save(now),
            }
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }
}

impl core::fmt::Debug for Node {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Node").field("stored", &self.stored()).finish_non_exhaustive()
    }
}
