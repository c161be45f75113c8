//! Endpoints on a simulated network in virtual time.

#![allow(dead_code, reason = "each test file uses a part")]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use downpour_base::{Instant, Machine as _, Rng, Seed};
use downpour_utp::{CloseReason, Datagram, Endpoint, Event, Read, Settings, StreamId};

pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The way from one endpoint to the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    /// Bytes a second; zero is without limit.
    pub(crate) rate: u64,
    pub(crate) delay: Duration,
    /// Each packet takes up to this longer, in order unless `reorder`.
    pub(crate) jitter: Duration,
    /// How much may wait for the bottleneck.
    pub(crate) queue_bytes: u64,
    /// Larger datagrams vanish.
    pub(crate) mtu: usize,
    /// In thousandths.
    pub(crate) loss: u64,
    pub(crate) duplicate: u64,
    /// In thousandths: these packets are overtaken by those of the next 20 ms.
    pub(crate) reorder: u64,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            rate: 0,
            delay: ms(10),
            jitter: Duration::ZERO,
            queue_bytes: 1 << 20,
            mtu: 1472,
            loss: 0,
            duplicate: 0,
            reorder: 0,
        }
    }
}

#[derive(Debug, Default)]
struct Way {
    link: Link,
    /// When the bottleneck has sent all that waits.
    free_at: Instant,
    /// Queueing delay of each packet.
    waits: Vec<Duration>,
    latest_arrival: Instant,
    delivered_bytes: u64,
}

/// A flow that fills the queue until it overflows, as TCP does: slow start, additive increase, multiplicative decrease.
#[derive(Debug)]
struct Greedy {
    window: f64,
    in_flight: u64,
    delivered: u64,
    halved_at: Instant,
    slow_start: bool,
    running: bool,
}

const GREEDY_PACKET: u64 = 1500;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Datagram { from: usize, to: usize, payload: Vec<u8> },
    GreedyAcknowledged,
}

pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) endpoint: Endpoint,
    pub(crate) events: Vec<Event>,
    pub(crate) accepted: Vec<StreamId>,
    /// What is still to be written, and whether it ends then.
    pub(crate) outgoing: BTreeMap<StreamId, Bytes>,
    /// What was read.
    pub(crate) incoming: BTreeMap<StreamId, Vec<u8>>,
    pub(crate) ended: Vec<StreamId>,
    /// Streams are read as soon as there is something.
    pub(crate) reads: bool,
    pub(crate) datagrams_sent: u64,
}

impl Node {
    pub(crate) fn closed(&self, id: StreamId) -> Option<CloseReason> {
        self.events.iter().find_map(|event| match event {
            Event::Closed(closed, reason) if *closed == id => Some(*reason),
            _ => None,
        })
    }

    /// Reads and writes what can be, shuts down what is written and done.
    pub(crate) fn serve(&mut self, now: Instant) {
        while let Some(event) = self.endpoint.poll_output() {
            self.events.push(event);
            if event == Event::Incoming {
                let (id, _) = self.endpoint.accept().expect("somebody to accept");
                self.accepted.push(id);
                self.incoming.insert(id, Vec::new());
            }
        }
        if self.reads {
            let ids: Vec<StreamId> = self.incoming.keys().copied().collect();
            for id in ids {
                self.read(now, id);
            }
        }
        let ids: Vec<StreamId> = self.outgoing.keys().copied().collect();
        for id in ids {
            let data = self.outgoing.get_mut(&id).expect("listed");
            if self.endpoint.write(now, id, data).is_err() || data.is_empty() {
                self.outgoing.remove(&id);
                let _ = self.endpoint.shutdown(now, id);
            }
        }
    }

    pub(crate) fn read(&mut self, now: Instant, id: StreamId) {
        loop {
            match self.endpoint.read(now, id) {
                Ok(Read::Data(data)) => self.incoming.get_mut(&id).expect("known").extend_from_slice(&data),
                Ok(Read::End) if !self.ended.contains(&id) => self.ended.push(id),
                _ => break,
            }
        }
    }
}

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) nodes: Vec<Node>,
    ways: BTreeMap<(usize, usize), Way>,
    agenda: BinaryHeap<Reverse<(Instant, u64, What)>>,
    sequence: u64,
    rng: Rng,
    greedy: Greedy,
    /// How far each node's clock is ahead of the world's, and by how many parts in a million it runs faster.
    pub(crate) clocks: Vec<(Duration, u64)>,
}

impl World {
    /// Nodes that all reach each other over links like `link`.
    pub(crate) fn new(seed: u64, nodes: usize, link: Link, settings: Settings) -> Self {
        let mut ways = BTreeMap::new();
        for from in 0..nodes {
            for to in 0..nodes {
                ways.insert((from, to), Way { link, ..Way::default() });
            }
        }
        let nodes = (0..nodes).map(|at| Node {
            address: SocketAddr::from(([10, 0, (at >> 8) as u8, at as u8], 6881)),
            endpoint: Endpoint::new(Seed::from_u64(seed + at as u64), settings),
            events: Vec::new(),
            accepted: Vec::new(),
            outgoing: BTreeMap::new(),
            incoming: BTreeMap::new(),
            ended: Vec::new(),
            reads: true,
            datagrams_sent: 0,
        });
        let nodes: Vec<Node> = nodes.collect();
        Self {
            now: Instant::ORIGIN + ms(1),
            clocks: vec![(Duration::ZERO, 0); nodes.len()],
            nodes,
            ways,
            agenda: BinaryHeap::new(),
            sequence: 0,
            rng: Rng::new(Seed::from_u64(seed)),
            greedy: Greedy {
                window: 2.0,
                in_flight: 0,
                delivered: 0,
                halved_at: Instant::ORIGIN,
                slow_start: true,
                running: false,
            },
        }
    }

    pub(crate) fn link(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.ways.get_mut(&(from, to)).expect("a way").link
    }

    /// Queueing delays on the way since the last call.
    pub(crate) fn take_waits(&mut self, from: usize, to: usize) -> Vec<Duration> {
        std::mem::take(&mut self.ways.get_mut(&(from, to)).expect("a way").waits)
    }

    pub(crate) fn delivered_bytes(&self, from: usize, to: usize) -> u64 {
        self.ways[&(from, to)].delivered_bytes
    }

    /// What node `at`'s clock shows.
    pub(crate) fn clock(&self, at: usize) -> Instant {
        let (ahead, faster) = self.clocks[at];
        let nanos = self.now.as_nanos();
        Instant::from_nanos(nanos + nanos / 1_000_000 * faster) + ahead
    }

    fn later(&mut self, at: Instant, what: What) {
        self.sequence += 1;
        self.agenda.push(Reverse((at, self.sequence, what)));
    }

    /// When `bytes` that are sent now arrive, `None` if the queue is full.
    fn carry(&mut self, from: usize, to: usize, bytes: usize) -> Option<Instant> {
        let jitter = self.rng.below(1_000_000);
        let late = self.rng.below(1000);
        let way = self.ways.get_mut(&(from, to)).expect("a way");
        let start = way.free_at.max(self.now);
        let wait = start.saturating_duration_since(self.now);
        let sent = match way.link.rate {
            0 => start,
            rate => {
                let waiting = wait.as_nanos() as u64 / 1000 * rate / 1_000_000;
                if waiting + bytes as u64 > way.link.queue_bytes {
                    return None;
                }
                way.waits.push(wait);
                start + Duration::from_nanos(bytes as u64 * 1_000_000_000 / rate)
            }
        };
        way.free_at = sent;
        let jitter = Duration::from_nanos(way.link.jitter.as_nanos() as u64 / 1000 * jitter / 1000);
        let mut arrival = sent + way.link.delay + jitter;
        if late < way.link.reorder {
            arrival += ms(20);
        } else {
            arrival = arrival.max(way.latest_arrival);
            way.latest_arrival = arrival;
        }
        Some(arrival)
    }

    fn send(&mut self, from: usize, to: usize, payload: &[u8]) {
        self.nodes[from].datagrams_sent += 1;
        let link = *self.link(from, to);
        if payload.len() > link.mtu {
            return;
        }
        let copies = 1 + u64::from(self.rng.below(1000) < link.duplicate);
        for _ in 0..copies {
            if self.rng.below(1000) < link.loss {
                continue;
            }
            if let Some(at) = self.carry(from, to, payload.len() + 28) {
                self.later(at, What::Datagram { from, to, payload: payload.to_vec() });
            }
        }
    }

    /// A greedy flow from node 0 to node 1 begins or ends.
    pub(crate) fn set_greedy(&mut self, running: bool) {
        self.greedy.running = running;
        self.run_greedy();
    }

    pub(crate) fn greedy_delivered(&self) -> u64 {
        self.greedy.delivered
    }

    fn run_greedy(&mut self) {
        while self.greedy.running && self.greedy.in_flight < self.greedy.window as u64 {
            match self.carry(0, 1, GREEDY_PACKET as usize) {
                Some(arrival) => {
                    self.greedy.in_flight += 1;
                    let back = self.link(1, 0).delay;
                    self.later(arrival + back, What::GreedyAcknowledged);
                }
                None => {
                    // At most once in a round trip.
                    self.greedy.slow_start = false;
                    if self.now.saturating_duration_since(self.greedy.halved_at) > ms(300) {
                        self.greedy.window = (self.greedy.window / 2.0).max(2.0);
                        self.greedy.halved_at = self.now;
                    }
                    break;
                }
            }
        }
    }

    /// Connects `from` to `to`; `data` is written, then the end.
    pub(crate) fn connect(&mut self, from: usize, to: usize, data: Bytes) -> StreamId {
        let (address, now) = (self.nodes[to].address, self.clock(from));
        let node = &mut self.nodes[from];
        let id = node.endpoint.connect(now, address).expect("room for a connection");
        node.incoming.insert(id, Vec::new());
        node.outgoing.insert(id, data);
        id
    }

    /// Lets all nodes say what they have to say.
    pub(crate) fn flush(&mut self) {
        for at in 0..self.nodes.len() {
            self.flush_node(at);
        }
    }

    fn flush_node(&mut self, at: usize) {
        let now = self.clock(at);
        self.nodes[at].serve(now);
        let mut buffer = Vec::new();
        while let Some(transmit) = self.nodes[at].endpoint.poll_transmit(now, 10, &mut buffer) {
            assert!(transmit.segment_size > 0 && buffer.len() <= 10 * transmit.segment_size);
            let to = self.nodes.iter().position(|node| node.address == transmit.to);
            for datagram in buffer.chunks(transmit.segment_size) {
                if let Some(to) = to {
                    self.send(at, to, datagram);
                }
            }
            self.nodes[at].serve(now);
        }
    }

    /// Goes on until `until` holds or `limit` has passed; returns whether it held.
    pub(crate) fn run(&mut self, limit: Duration, mut until: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + limit;
        self.flush();
        loop {
            if until(self) {
                return true;
            }
            // Clocks run nearly alike; what comes too early is done again.
            let timer = self.nodes.iter().enumerate().filter_map(|(at, node)| {
                let ahead = self.clock(at).saturating_duration_since(self.now);
                node.endpoint.poll_timeout().map(|due| (due - ahead).max(self.now))
            });
            let timer = timer.min();
            let arrival = self.agenda.peek().map(|Reverse((at, _, _))| *at);
            let Some(next) = [timer, arrival].into_iter().flatten().min().filter(|next| *next <= end) else {
                self.now = end;
                return until(self);
            };
            self.now = next.max(self.now);
            if arrival == Some(next) {
                let Reverse((_, _, what)) = self.agenda.pop().expect("peeked");
                match what {
                    What::Datagram { from, to, payload } => {
                        self.ways.get_mut(&(from, to)).expect("a way").delivered_bytes +=
                            payload.len() as u64;
                        let (now, from) = (self.clock(to), self.nodes[from].address);
                        let payload = Bytes::from(payload);
                        self.nodes[to].endpoint.handle_input(now, Datagram { from, payload });
                        self.flush_node(to);
                    }
                    What::GreedyAcknowledged => {
                        self.greedy.in_flight -= 1;
                        self.greedy.delivered += GREEDY_PACKET;
                        self.greedy.window +=
                            if self.greedy.slow_start { 1.0 } else { 1.0 / self.greedy.window };
                        self.run_greedy();
                    }
                }
            } else {
                self.now += Duration::from_micros(1);
                for at in 0..self.nodes.len() {
                    let now = self.clock(at);
                    if self.nodes[at].endpoint.poll_timeout().is_some_and(|due| due <= now) {
                        self.nodes[at].endpoint.handle_timeout(now);
                        self.flush_node(at);
                    }
                }
            }
        }
    }
}

/// Bytes that differ from place to place.
pub(crate) fn content(length: usize, seed: u64) -> Bytes {
    let mut bytes = vec![0; length];
    Rng::new(Seed::from_u64(seed)).fill(&mut bytes);
    bytes.into()
}

pub(crate) fn median(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
