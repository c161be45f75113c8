//! A world of nodes on one thread in virtual time: datagrams that take a while or are lost, and nodes that lie.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use downpour_base::{InfoHashV1, Instant, Machine, Map, MapKey, Rng, Seed};
use downpour_dht::message::{Body, Contact, Message, Method, Nodes, Response, Values};
use downpour_dht::{
    Command, Family, Input, Node, Output, QueryId, Report, SavedState, Settings, SocketId, Update,
};

const SOCKET: SocketId = SocketId(0);
const PORT: u16 = 6881;

/// What to simulate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) nodes: usize,
    pub(crate) liars_percent: u64,
    pub(crate) loss_percent: u64,
    pub(crate) torrents: usize,
    pub(crate) seed: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) lookups: usize,
    /// Look-ups that returned a peer that was truly announced.
    pub(crate) found: usize,
    /// Queries of all look-ups.
    pub(crate) messages: u64,
    pub(crate) most_messages: u32,
    /// Hops of all look-ups.
    pub(crate) hops: u64,
    pub(crate) most_hops: u8,
    /// Nodes that confirmed an announce.
    pub(crate) stored: u64,
    /// Nodes in all routing tables.
    pub(crate) kept: usize,
    /// Datagrams.
    pub(crate) datagrams: u64,
    /// Virtual time in milliseconds.
    pub(crate) milliseconds: u64,
    /// Over every datagram and when it came.
    pub(crate) trace: u64,
}

enum Event {
    Timer(usize),
    Datagram { to: usize, from: SocketAddr, payload: Vec<u8> },
}

struct Sim {
    node: Node,
    address: SocketAddr,
    lie: Option<Lie>,
    timer: Option<Instant>,
}

/// How a node lies when it is asked for nodes or peers. To pings it answers truly, so that it is kept.
#[derive(Clone, Copy)]
enum Lie {
    Silence,
    WrongNodes,
    WrongPeers,
}

pub(crate) struct World {
    plan: Plan,
    now: Instant,
    rng: Rng,
    events: BinaryHeap<Reverse<(Instant, u64)>>,
    /// By sequence number, since events have no order of their own.
    bodies: Map<u64, Event>,
    sequence: u64,
    sims: Vec<Sim>,
    addresses: Map<SocketAddr, usize>,
    reports: BTreeMap<QueryId, Report>,
    peers: BTreeMap<QueryId, BTreeSet<SocketAddr>>,
    datagrams: u64,
    trace: u64,
}

impl World {
    /// A world whose nodes have all joined, one after another, each by way of three that were there.
    pub(crate) fn new(plan: Plan) -> Self {
        let mut rng = Rng::new(Seed::from_u64(plan.seed));
        let key = MapKey::new(&mut rng);
        let mut world = Self {
            plan,
            now: Instant::ORIGIN,
            events: BinaryHeap::new(),
            bodies: key.map(),
            sequence: 0,
            sims: Vec::new(),
            addresses: key.map(),
            reports: BTreeMap::new(),
            peers: BTreeMap::new(),
            datagrams: 0,
            trace: 0xcbf2_9ce4_8422_2325,
            rng,
        };
        for _ in 0..plan.nodes {
            world.add();
            world.run(Duration::from_millis(10));
        }
        world.run(Duration::from_secs(120));
        world
    }

    fn add(&mut self) {
        let address = loop {
            let address = self.any_address();
            if !self.addresses.contains_key(&address) {
                break address;
            }
        };
        let index = self.sims.len();
        // The first nodes are honest: somebody has to be there.
        let lies = index >= 8 && self.rng.below(100) < self.plan.liars_percent;
        let lie = lies.then(|| [Lie::Silence, Lie::WrongNodes, Lie::WrongPeers][index % 3]);
        let node = Node::new(self.now, self.rng.fork(), Settings::default(), SavedState::default());
        self.sims.push(Sim { node, address, lie, timer: None });
        self.addresses.insert(address, index);
        let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT);
        self.input(index, Input::Opened { socket: SOCKET, local });
        if index > 0 {
            let known = (0..3).map(|_| self.rng.index(index)).collect::<Vec<_>>();
            let known = known.into_iter().map(|other| self.sims[other].address).collect();
            self.input(index, Input::Nodes(known));
        }
    }

    /// An address of the internet.
    fn any_address(&mut self) -> SocketAddr {
        let host = self.rng.next_u32() & 0x00ff_ffff;
        let first = 20 + self.rng.below(70) as u32;
        SocketAddr::new(IpAddr::V4(Ipv4Addr::from_bits(first << 24 | host)), PORT)
    }

    pub(crate) fn input(&mut self, index: usize, input: Input) {
        self.sims[index].node.handle_input(self.now, input);
        self.drain(index);
    }

    /// Lets so much time pass.
    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(Reverse((at, _))) = self.events.peek() {
            if *at > end {
                break;
            }
            self.step();
        }
        self.now = end;
    }

    fn step(&mut self) {
        let Some(Reverse((at, sequence))) = self.events.pop() else { return };
        self.now = at;
        match self.bodies.remove(&sequence) {
            // A timer that was moved leaves its event behind.
            Some(Event::Timer(index)) if self.sims[index].timer == Some(at) => {
                self.sims[index].timer = None;
                self.sims[index].node.handle_timeout(at);
                self.drain(index);
            }
            Some(Event::Datagram { to, from, payload }) => {
                self.datagrams += 1;
                self.note(&at.as_nanos().to_le_bytes());
                self.note(&payload);
                match self.sims[to].lie.and_then(|lie| self.lie(to, lie, &payload)) {
                    Some(Some(answer)) => self.send(self.sims[to].address, from, answer),
                    Some(None) => {}
                    None => {
                        let payload = Bytes::from(payload);
                        self.input(to, Input::Datagram { socket: SOCKET, from, payload });
                    }
                }
            }
            _ => {}
        }
    }

    /// FNV-1a: enough to tell two runs apart.
    fn note(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.trace = (self.trace ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn schedule(&mut self, at: Instant, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((at, self.sequence)));
        self.bodies.insert(self.sequence, event);
    }

    fn drain(&mut self, index: usize) {
        while let Some(output) = self.sims[index].node.poll_output() {
            match output {
                Output::Datagram { to, payload, .. } => self.send(self.sims[index].address, to, payload),
                Output::Update { query, update: Update::Peers { peers, .. } } => {
                    self.peers.entry(query).or_default().extend(peers);
                }
                Output::Done { query, report } => drop(self.reports.insert(query, *report)),
                _ => {}
            }
        }
        let sim = &mut self.sims[index];
        let next = sim.node.poll_timeout();
        if let Some(at) = next.filter(|at| sim.timer.is_none_or(|timer| *at < timer)) {
            sim.timer = Some(at);
            self.schedule(at.max(self.now), Event::Timer(index));
        }
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, payload: Vec<u8>) {
        assert!(payload.len() <= 1500, "a datagram of {} bytes", payload.len());
        let lost = self.rng.below(100) < self.plan.loss_percent;
        let delay = Duration::from_millis(20 + self.rng.below(130));
        if let Some(to) = self.addresses.get(&to).copied().filter(|_| !lost) {
            self.schedule(self.now + delay, Event::Datagram { to, from, payload });
        }
    }

    /// What a liar does with a datagram: `None` is what everybody does, `Some(None)` nothing.
    fn lie(&mut self, liar: usize, lie: Lie, payload: &[u8]) -> Option<Option<Vec<u8>>> {
        let message = Message::decode(payload).ok()?;
        let Body::Query(query) = &message.body else { return None };
        // Liars have true ids, or nobody would listen.
        let own = self.sims[liar].node.id(SOCKET)?;
        let target = match query.method {
            Method::FindNode { target } | Method::GetPeers { info_hash: target, .. } => target,
            Method::AnnouncePeer { .. } => {
                // Says yes, and stores nothing.
                let body = Body::Response(Response::new(own));
                let mut out = Vec::new();
                Message::new(message.transaction, body).encode(&mut out);
                return Some(Some(out));
            }
            _ => return None,
        };
        let (mut nodes, mut values) = (Vec::new(), Vec::new());
        match lie {
            Lie::Silence => return Some(None),
            Lie::WrongNodes => {
                for at in 0..8 {
                    // Half do not exist, right beside the target; half are other nodes under false names.
                    let mut id = target;
                    id.0[19 - at] ^= 1 + self.rng.below(255) as u8;
                    let any = self.any_address();
                    let other = self.rng.index(self.sims.len());
                    let address = if at % 2 == 0 { any } else { self.sims[other].address };
                    push(&Contact { id, address }, &mut nodes);
                }
            }
            Lie::WrongPeers => {
                for _ in 0..20 {
                    values.extend_from_slice(b"6:");
                    let SocketAddr::V4(any) = self.any_address() else { return None };
                    values.extend_from_slice(&any.ip().octets());
                    values.extend_from_slice(&7u16.to_be_bytes());
                }
            }
        }
        let mut response = Response::new(own);
        response.token = Some(b"whatever");
        response.nodes = Some(Nodes::new(Family::V4, &nodes));
        response.values = (!values.is_empty()).then(|| Values::from_items(&values));
        let mut out = Vec::new();
        Message::new(message.transaction, Body::Response(response)).encode(&mut out);
        Some(Some(out))
    }
}

fn push(contact: &Contact, out: &mut Vec<u8>) {
    out.extend_from_slice(&contact.id.0);
    let SocketAddr::V4(address) = contact.address else { return };
    out.extend_from_slice(&address.ip().octets());
    out.extend_from_slice(&address.port().to_be_bytes());
}

fn info_hash(number: usize, rng: &mut Rng) -> InfoHashV1 {
    let mut hash = [0; 20];
    rng.fill(&mut hash);
    hash[19] = number as u8;
    InfoHashV1(hash)
}

/// Runs a plan: builds the world, announces each torrent from one honest node, and looks for it from another.
pub(crate) fn run(plan: Plan) -> Outcome {
    let mut world = World::new(plan);
    let honest: Vec<usize> = (0..plan.nodes).filter(|index| world.sims[*index].lie.is_none()).collect();
    let mut torrents = Vec::new();
    let mut outcome = Outcome::default();
    for number in 0..plan.torrents {
        let announcer = honest[world.rng.index(honest.len())];
        let info_hash = info_hash(number, &mut world.rng);
        let command = Command::Announce { info_hash, port: Some(1 + number as u16), seed: false };
        world.input(announcer, Input::Start { query: QueryId(number as u64), command });
        torrents.push((info_hash, announcer));
        world.run(Duration::from_millis(200));
    }
    world.run(Duration::from_secs(120));
    outcome.stored = world.reports.values().map(|report| u64::from(report.stored)).sum();
    world.peers.clear();
    world.reports.clear();
    for (number, (info_hash, announcer)) in torrents.iter().enumerate() {
        let asker = loop {
            let asker = honest[world.rng.index(honest.len())];
            if asker != *announcer {
                break asker;
            }
        };
        let command = Command::GetPeers { info_hash: *info_hash, noseed: false };
        world.input(asker, Input::Start { query: QueryId(number as u64), command });
        world.run(Duration::from_millis(200));
    }
    world.run(Duration::from_secs(180));
    for (number, (_, announcer)) in torrents.iter().enumerate() {
        let query = QueryId(number as u64);
        let truth = SocketAddr::new(world.sims[*announcer].address.ip(), 1 + number as u16);
        let report = world.reports.get(&query).expect("every look-up ends");
        outcome.lookups += 1;
        outcome.found += usize::from(world.peers.get(&query).is_some_and(|peers| peers.contains(&truth)));
        outcome.messages += u64::from(report.messages);
        outcome.most_messages = outcome.most_messages.max(report.messages);
        outcome.hops += u64::from(report.hops);
        outcome.most_hops = outcome.most_hops.max(report.hops);
    }
    outcome.kept = world.sims.iter().map(|sim| sim.node.stored().nodes).sum();
    outcome.datagrams = world.datagrams;
    outcome.milliseconds = world.now.as_nanos() / 1_000_000;
    outcome.trace = world.trace;
    outcome
}
