//! The world: nodes, their network, and time.

use core::time::Duration;
use std::collections::BTreeMap;

use downpour_base::{Bitfield, InfoHashV1, Instant, PeerEndpoint, Rng, Seed, TorrentId};
use downpour_session::{Input as SessionInput, Next, Settings};
use downpour_swarm::{Budget, Input, PeerSource, Swarm};

use crate::event::{Context, Event, Events, NodeNumber, Torrent};
use crate::node::Node;
use crate::trace::Trace;
use crate::{NodeConfig, Token};

/// Clients on a network, in virtual time. Everything random in it grows from one seed.
///
/// Make nodes and torrents, say who has what and who wants what, and let time pass with
/// [`run_until`](Self::run_until) or [`run_to_completion`](Self::run_to_completion).
#[derive(Debug)]
pub struct World {
    now: Instant,
    rng: Rng,
    nodes: Vec<Node>,
    delays: Vec<Duration>,
    addresses: BTreeMap<PeerEndpoint, NodeNumber>,
    torrents: BTreeMap<TorrentId, Torrent>,
    /// Who downloads what.
    downloads: Vec<(NodeNumber, TorrentId)>,
    events: Events,
    trace: Trace,
}

/// How a world is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// When it is.
    pub now: Instant,
    /// Whether every download of a node that is still there is finished.
    pub complete: bool,
    /// Each node, by its number.
    pub nodes: Vec<NodeOutcome>,
    /// A fingerprint of everything that happened: SipHash-1-3 over time, node and `Debug` form of each event of the
    /// network, each input of a session or swarm, and each effect.
    pub trace_hash: u64,
    /// How many entries the fingerprint is of.
    pub trace_entries: u64,
}

/// How a node is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeOutcome {
    /// When each download was finished.
    pub finished: BTreeMap<TorrentId, Instant>,
    /// Payload that went over its uplink, in bytes.
    pub sent_bytes: u64,
    /// Payload that it read, in bytes.
    pub received_bytes: u64,
    /// Whom it banned.
    pub banned: Vec<PeerEndpoint>,
    /// Connections that others opened to it.
    pub calls: u64,
}

impl World {
    /// An empty world at [`Instant::ORIGIN`].
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            now: Instant::ORIGIN,
            rng: Rng::new(Seed::from_u64(seed)),
            nodes: Vec::new(),
            delays: Vec::new(),
            addresses: BTreeMap::new(),
            torrents: BTreeMap::new(),
            downloads: Vec::new(),
            events: Events::default(),
            trace: Trace::new(),
        }
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Adds a client. It has no torrents and knows nobody.
    pub fn add_node(&mut self, config: NodeConfig) -> NodeNumber {
        let number = NodeNumber(self.nodes.len() as u32);
        self.delays.push(config.delay);
        let node = Node::new(self.now, number, config, self.rng.fork());
        self.addresses.insert(node.endpoint(), number);
        self.nodes.push(node);
        number
    }

    /// Thinks up a torrent of `total_length` bytes in pieces of `piece_length`. Its number is the same in all clients.
    pub fn add_torrent(&mut self, total_length: u64, piece_length: u32) -> TorrentId {
        let mut info_hash = InfoHashV1([0; 20]);
        self.rng.fill(&mut info_hash.0);
        let id = TorrentId(self.torrents.len() as u64 + 1);
        self.torrents.insert(id, Torrent { info_hash, total_length, piece_length });
        id
    }

    /// `node` has all of `torrent`, and serves it from now on.
    pub fn seed(&mut self, node: NodeNumber, torrent: TorrentId) {
        self.add(node, torrent, self.now, true, true);
    }

    /// `node` has all of `torrent`, which is dormant until somebody calls.
    pub fn seed_dormant(&mut self, node: NodeNumber, torrent: TorrentId) {
        self.add(node, torrent, self.now, true, false);
    }

    /// `node` downloads `torrent` from `at` on.
    pub fn join(&mut self, node: NodeNumber, torrent: TorrentId, at: Instant) {
        self.downloads.push((node, torrent));
        self.add(node, torrent, at, false, true);
    }

    fn add(&mut self, node: NodeNumber, torrent: TorrentId, at: Instant, full: bool, wake: bool) {
        self.nodes[node.index()].disk.prepare(torrent, &self.torrents[&torrent], full);
        self.events.schedule(at.max(self.now), node, Event::Add { torrent, wake });
    }

    /// Tells `node` of peers for `torrent`: at once if it is active there, else when it becomes so.
    pub fn introduce(&mut self, node: NodeNumber, torrent: TorrentId, peers: &[NodeNumber]) {
        let endpoints: Vec<_> = peers.iter().map(|peer| self.nodes[peer.index()].endpoint()).collect();
        self.nodes[node.index()].introduced.entry(torrent).or_default().extend(&endpoints);
        self.tell(node, Next::Swarm(torrent, Input::Peers { endpoints, source: PeerSource::Tracker }));
    }

    /// Tells each node of `count` random others for `torrent`, none of them twice.
    pub fn introduce_all(&mut self, torrent: TorrentId, count: usize) {
        let everybody: Vec<_> = (0..self.nodes.len() as u32).map(NodeNumber).collect();
        for &node in &everybody {
            let mut others: Vec<_> = everybody.iter().copied().filter(|other| *other != node).collect();
            for at in 0..count.min(others.len()) {
                let other = at + self.rng.index(others.len() - at);
                others.swap(at, other);
            }
            others.truncate(count);
            self.introduce(node, torrent, &others);
        }
    }

    /// Changes the limits of a node's session.
    pub fn apply_settings(&mut self, node: NodeNumber, settings: Settings) {
        self.tell(node, Next::Session(SessionInput::Settings(settings)));
    }

    /// Fills a node's disk, or makes space on it.
    pub fn fill_disk(&mut self, node: NodeNumber, full: bool) {
        self.nodes[node.index()].disk.full = full;
    }

    /// Switches a node off: its connections break, and nobody answers there.
    pub fn leave(&mut self, node: NodeNumber) {
        self.with_node(node, Node::leave);
    }

    fn tell(&mut self, node: NodeNumber, next: Next<Token>) {
        self.with_node(node, |node, cx| {
            node.todo.push_back(next);
            node.settle(cx);
        });
    }

    fn with_node(&mut self, number: NodeNumber, call: impl FnOnce(&mut Node, &mut Context<'_>)) {
        let mut cx = Context {
            now: self.now,
            events: &mut self.events,
            trace: &mut self.trace,
            torrents: &self.torrents,
            addresses: &self.addresses,
            delays: &self.delays,
        };
        call(&mut self.nodes[number.index()], &mut cx);
    }

    /// Lets one thing happen, unless nothing does until `deadline`.
    fn step(&mut self, deadline: Instant) -> bool {
        let Some((at, node, event)) = self.events.pop(deadline) else { return false };
        self.now = at;
        self.trace.record(at, node, &event);
        self.with_node(node, |node, cx| node.handle(cx, event));
        true
    }

    /// Lets time pass until `deadline`.
    pub fn run_until(&mut self, deadline: Instant) -> Outcome {
        while self.step(deadline) {}
        self.now = self.now.max(deadline);
        self.outcome()
    }

    /// Lets time pass until every download is finished, or until `deadline`.
    pub fn run_to_completion(&mut self, deadline: Instant) -> Outcome {
        while !self.is_complete() {
            if !self.step(deadline) {
                self.now = self.now.max(deadline);
                break;
            }
        }
        self.outcome()
    }

    /// Whether every download of a node that is still there is finished.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.downloads.iter().all(|(node, torrent)| {
            let node = &self.nodes[node.index()];
            node.gone || node.finished.contains_key(torrent)
        })
    }

    /// How everybody is doing.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let node = |node: &Node| NodeOutcome {
            finished: node.finished.clone(),
            sent_bytes: node.uplink.payload_bytes,
            received_bytes: node.payload_received,
            banned: node.banned.clone(),
            calls: node.calls,
        };
        Outcome {
            now: self.now,
            complete: self.is_complete(),
            nodes: self.nodes.iter().map(node).collect(),
            trace_hash: self.trace.hash(),
            trace_entries: self.trace.entries(),
        }
    }

    /// Where a node can be called.
    #[must_use]
    pub fn endpoint(&self, node: NodeNumber) -> PeerEndpoint {
        self.nodes[node.index()].endpoint()
    }

    /// What a node's disk holds of a torrent.
    #[must_use]
    pub fn pieces(&self, node: NodeNumber, torrent: TorrentId) -> Option<&Bitfield> {
        self.nodes[node.index()].disk.pieces(torrent)
    }

    /// A node's swarm, to look at; `None` while the torrent is not active there.
    #[must_use]
    pub fn swarm(&self, node: NodeNumber, torrent: TorrentId) -> Option<&Swarm<Token>> {
        self.nodes[node.index()].active.get(&torrent).map(|active| active.swarm.swarm())
    }

    /// What a node's session lets a torrent have.
    #[must_use]
    pub fn budget(&self, node: NodeNumber, torrent: TorrentId) -> Option<Budget> {
        self.nodes[node.index()].active.get(&torrent)?.budget
    }

    /// What was recorded of a node's swarm since the last call, for [`downpour_swarm::replay`]. Needs
    /// [`NodeConfig::record`].
    pub fn take_recording(&mut self, node: NodeNumber, torrent: TorrentId) -> Vec<u8> {
        let node = &mut self.nodes[node.index()];
        let mut lines = node.recordings.remove(&torrent).unwrap_or_default();
        if let Some(active) = node.active.get_mut(&torrent) {
            lines.extend(active.swarm.take_lines());
        }
        lines
    }
}
