//! Our client and our tracker in virtual time, over a network that loses datagrams.

mod common;

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeSet;

use common::{hash, seconds};
use downpour_base::{Instant, Machine, PeerEndpoint, PeerId, Rng, Seed, TorrentId};
use downpour_tracker::client::{self, Client, Event, HttpResponse, Totals};
use downpour_tracker::server::{self, RequestId, Server};

const TRACKER: &str = "203.0.113.5:80";
/// One way through the network.
const DELAY: Duration = Duration::from_millis(30);

struct Node {
    client: Client,
    address: SocketAddr,
    left: u64,
    found: BTreeSet<PeerEndpoint>,
    announced: u32,
    stopped: bool,
}

enum Packet {
    ToServer { node: usize, payload: Vec<u8> },
    ToNode { node: usize, payload: Vec<u8> },
    HttpDone { node: usize, job: client::JobId, response: HttpResponse },
}

struct World {
    now: Instant,
    rng: Rng,
    loss_percent: u64,
    server: Server,
    nodes: Vec<Node>,
    flying: Vec<(Instant, Packet)>,
    lost: u32,
}

impl World {
    fn new(seed: u64, nodes: usize, loss_percent: u64) -> Self {
        let mut rng = Rng::new(Seed::from_u64(seed));
        let settings = server::Settings { interval: seconds(600), ..server::Settings::default() };
        let server = Server::new(rng.fork(), settings);
        let mut world = Self {
            now: Instant::ORIGIN,
            rng,
            loss_percent,
            server,
            nodes: Vec::new(),
            flying: Vec::new(),
            lost: 0,
        };
        for number in 0..nodes {
            let mut client = Client::new(world.rng.fork(), client::Settings::default());
            let peer_id = PeerId([number as u8; 20]);
            client.handle_input(world.now, client::Input::Identity { peer_id, port: 6881 });
            let address = SocketAddr::from(([198, 51, 100, number as u8], 40_000));
            let (left, found) = (u64::from(number > 0), BTreeSet::new());
            world.nodes.push(Node { client, address, left, found, announced: 0, stopped: false });
        }
        world
    }

    fn input(&mut self, node: usize, input: client::Input) {
        self.nodes[node].client.handle_input(self.now, input);
        self.drain(node);
    }

    fn fly(&mut self, packet: Packet) {
        let datagram = !matches!(packet, Packet::HttpDone { .. });
        if datagram && self.rng.below(100) < self.loss_percent {
            self.lost += 1;
        } else {
            self.flying.push((self.now + DELAY, packet));
        }
    }

    fn drain(&mut self, number: usize) {
        while let Some(output) = self.nodes[number].client.poll_output() {
            let node = &mut self.nodes[number];
            match output {
                client::Output::Totals { torrent } => {
                    let totals = Totals { left: node.left, want: 50, ..Totals::default() };
                    node.client.handle_input(self.now, client::Input::Totals { torrent, totals });
                }
                client::Output::Datagram { payload, .. } => {
                    self.fly(Packet::ToServer { node: number, payload })
                }
                client::Output::Http { job, url, .. } => {
                    let target = url.strip_prefix("http://203.0.113.5:80").expect("our tracker").to_owned();
                    let (request, from) = (RequestId(0), node.address);
                    self.server.handle_input(self.now, server::Input::Http { request, from, target });
                    let Some(server::Output::Http { status, body, .. }) = self.server.poll_output() else {
                        panic!("no answer")
                    };
                    let response = HttpResponse { status, body };
                    self.fly(Packet::HttpDone { node: number, job, response });
                }
                client::Output::Peers { endpoints, .. } => node.found.extend(endpoints),
                client::Output::Event(Event::Announced { .. }) => node.announced += 1,
                client::Output::Stopped { .. } => node.stopped = true,
                _ => {}
            }
        }
    }

    fn arrive(&mut self, packet: Packet) {
        match packet {
            Packet::ToServer { node, payload } => {
                let from = self.nodes[node].address;
                self.server.handle_input(self.now, server::Input::Datagram { from, payload });
                while let Some(server::Output::Datagram { to, payload }) = self.server.poll_output() {
                    assert_eq!(to, from);
                    self.fly(Packet::ToNode { node, payload });
                }
            }
            Packet::ToNode { node, payload } => {
                let from = TRACKER.parse().expect("an address");
                self.input(node, client::Input::Datagram { from, payload });
            }
            Packet::HttpDone { node, job, response } => {
                self.input(node, client::Input::HttpDone { job, result: Ok(response) });
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next_packet = self.flying.iter().map(|(at, _)| *at).min();
            let timers = self.nodes.iter().filter_map(|node| node.client.poll_timeout());
            let timers = timers.chain(self.server.poll_timeout());
            let Some(at) = timers.chain(next_packet).min().filter(|at| *at <= end) else { break };
            self.now = self.now.max(at);
            self.server.handle_timeout(self.now);
            while let Some(due) = self.flying.iter().position(|(at, _)| *at <= self.now) {
                let (_, packet) = self.flying.remove(due);
                self.arrive(packet);
            }
            for node in 0..self.nodes.len() {
                self.nodes[node].client.handle_timeout(self.now);
                self.drain(node);
            }
        }
        self.now = end;
    }
}

fn everybody_finds_everybody(url: &str, seed: u64, loss_percent: u64) -> u32 {
    let torrent = TorrentId(1);
    let mut world = World::new(seed, 5, loss_percent);
    for node in 0..5 {
        let tiers = vec![vec![url.to_owned()]];
        world.input(node, client::Input::Add { torrent, info_hash: hash(torrent), tiers });
        world.input(node, client::Input::Start { torrent });
        world.pass(seconds(1));
    }
    world.pass(seconds(if loss_percent == 0 { 1000 } else { 20_000 }));
    for node in &world.nodes {
        assert!(node.announced >= 2, "seed {seed}: {} announces", node.announced);
        assert_eq!(node.found.len(), 4, "seed {seed}");
        let own = PeerEndpoint::Tcp(SocketAddr::new(node.address.ip(), 6881));
        assert!(!node.found.contains(&own));
    }
    world.nodes[1].left = 0;
    world.input(1, client::Input::Completed { torrent });
    if loss_percent == 0 {
        let numbers = |world: &World| {
            let swarm = world.server.swarm(hash(torrent).into()).expect("a swarm");
            (swarm.seeds, swarm.leechers, swarm.downloads)
        };
        assert_eq!(numbers(&world), if url.starts_with("http") { (2, 3, 1) } else { (1, 4, 0) });
        world.pass(seconds(2));
        assert_eq!(numbers(&world), (2, 3, 1));
    }
    for node in 0..5 {
        world.input(node, client::Input::Remove { torrent });
    }
    world.pass(seconds(20));
    assert!(world.nodes.iter().all(|node| node.stopped));
    // Whose `stopped` was lost is forgotten in time.
    world.pass(seconds(if loss_percent == 0 { 0 } else { 1300 }));
    assert_eq!(world.server.statistics().peers, 0, "seed {seed}");
    world.lost
}

#[test]
fn peers_find_each_other_over_http() {
    everybody_finds_everybody("http://203.0.113.5:80/announce", 1, 0);
}

#[test]
fn peers_find_each_other_over_udp() {
    assert_eq!(everybody_finds_everybody("udp://203.0.113.5:80/announce", 1, 0), 0);
}

#[test]
fn peers_find_each_other_though_a_fifth_of_the_datagrams_is_lost() {
    let lost: u32 =
        (1..=30).map(|seed| everybody_finds_everybody("udp://203.0.113.5:80/announce", seed, 20)).sum();
    assert!(lost > 200, "{lost}");
}
