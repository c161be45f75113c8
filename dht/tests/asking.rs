//! What a node does of its own: commands, joining, its id, several sockets, what it saves.

#[path = "common/pair.rs"]
#[allow(dead_code, reason = "each test file uses a part")]
mod pair;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use downpour_base::{InfoHashV1, Instant, Machine, NodeId, Seed};
use downpour_dht::message::{Body, Message, Method, Response};
use downpour_dht::{
    Command, ImmutableItem, Input, Item, MutableItem, Node, Output, QueryId, Rejection, Report, SavedState,
    SecretKey, Settings, SocketId, Update, is_secure_id, limits,
};
use pair::{SOCKET, address, at, datagrams, outputs};

/// Some nodes that all reach each other at once; time passes when nothing is on the way.
struct Net {
    now: Instant,
    nodes: Vec<Node>,
    places: BTreeMap<SocketAddr, (usize, SocketId)>,
    updates: Vec<(usize, QueryId, Update)>,
    reports: BTreeMap<(usize, QueryId), Report>,
    others: Vec<(usize, Output)>,
}

impl Net {
    /// Nodes, each with an address for each of the patterns, in which `*` is its number.
    fn new(count: usize, patterns: &[&str], settings: &Settings) -> Self {
        let mut net = Self {
            now: at(100),
            nodes: Vec::new(),
            places: BTreeMap::new(),
            updates: Vec::new(),
            reports: BTreeMap::new(),
            others: Vec::new(),
        };
        for number in 0..count {
            let seed = Seed::from_u64(number as u64);
            net.nodes.push(Node::new(net.now, seed, settings.clone(), SavedState::default()));
            for (socket, pattern) in (0..).map(SocketId).zip(patterns) {
                let place = address(&pattern.replace('*', &format!("{}", number + 1)));
                net.places.insert(place, (number, socket));
                // It does not know its address: others tell.
                let local = address(if place.is_ipv4() { "0.0.0.0:6881" } else { "[::]:6881" });
                net.input(number, Input::Opened { socket, local });
            }
            let first: Vec<SocketAddr> =
                net.places.iter().filter(|place| place.1.0 == 0).map(|place| *place.0).collect();
            if number > 0 {
                net.input(number, Input::Nodes(first));
            }
            net.run(3);
        }
        net.run(60);
        net
    }

    fn input(&mut self, node: usize, input: Input) {
        self.nodes[node].handle_input(self.now, input);
        self.carry();
    }

    fn carry(&mut self) {
        for round in 0.. {
            assert!(round < 1000, "they never stop");
            let mut quiet = true;
            for node in 0..self.nodes.len() {
                for output in outputs(&mut self.nodes[node]) {
                    quiet = false;
                    match output {
                        Output::Datagram { socket, to, payload } => {
                            let from = *self
                                .places
                                .iter()
                                .find(|place| *place.1 == (node, socket))
                                .expect("a place")
                                .0;
                            if let Some((other, socket)) = self.places.get(&to) {
                                self.nodes[*other].receive(self.now, *socket, from, &payload);
                            }
                        }
                        Output::Update { query, update } => self.updates.push((node, query, update)),
                        Output::Done { query, report } => drop(self.reports.insert((node, query), *report)),
                        other => self.others.push((node, other)),
                    }
                }
            }
            if quiet {
                break;
            }
        }
    }

    fn run(&mut self, seconds: u64) {
        for _ in 0..4 * seconds {
            self.now += Duration::from_millis(250);
            self.nodes.iter_mut().for_each(|node| node.handle_timeout(self.now));
            self.carry();
        }
    }

    /// Runs a command to its end.
    fn command(&mut self, node: usize, command: Command) -> (Vec<Update>, Report) {
        let query = QueryId(7);
        self.updates.clear();
        self.input(node, Input::Start { query, command });
        self.run(40);
        let updates = self.updates.iter().filter(|update| (update.0, update.1) == (node, query));
        let updates = updates.map(|update| update.2.clone()).collect();
        (updates, self.reports.remove(&(node, query)).expect("it ended"))
    }
}

const V4: &str = "20.1.*.1:6881";
const V6: &str = "[2a00:1:2:*::1]:6881";

fn peers(updates: &[Update]) -> Vec<SocketAddr> {
    let mut all: Vec<SocketAddr> = Vec::new();
    for update in updates {
        if let Update::Peers { peers, .. } = update {
            all.extend(peers);
        }
    }
    all.sort();
    all.dedup();
    all
}

#[test]
fn an_announce_is_found_counted_and_sampled() {
    let mut net = Net::new(30, &[V4], &Settings::default());
    let info_hash = InfoHashV1([9; 20]);
    let (_, report) = net.command(3, Command::Announce { info_hash, port: Some(77), seed: true });
    assert_eq!((report.stored, report.nodes.len()), (8, 8));
    net.command(4, Command::Announce { info_hash, port: None, seed: false });
    let found = |noseed| Command::GetPeers { info_hash, noseed };
    let (updates, report) = net.command(20, found(false));
    assert_eq!(peers(&updates), [address("20.1.4.1:77"), address("20.1.5.1:6881")]);
    assert!(report.messages >= 8 && report.hops >= 1);
    assert_eq!(peers(&net.command(20, found(true)).0), [address("20.1.5.1:6881")]);
    let (_, report) = net.command(21, Command::Scrape(info_hash));
    let scrape = report.scrape.expect("counts");
    assert!(scrape.seeds.may_contain(&address("20.1.4.1:1").ip()));
    assert!(scrape.peers.may_contain(&address("20.1.5.1:1").ip()));
    assert!(scrape.seeds.estimate() < 1.5 && scrape.peers.estimate() < 1.5);
    let (updates, _) = net.command(22, Command::Sample(NodeId(info_hash.0)));
    let seen = updates.iter().any(|update| {
        matches!(update, Update::Samples { info_hashes, total: 1, .. } if info_hashes[..] == [info_hash])
    });
    assert!(seen);
}

#[test]
fn items_are_put_got_and_changed_by_their_key_only() {
    let mut net = Net::new(30, &[V4], &Settings::default());
    let item = ImmutableItem::new(b"5:hello").unwrap();
    let (_, report) = net.command(1, Command::PutImmutable(item.clone()));
    assert_eq!(report.stored, 8);
    let (updates, report) = net.command(20, Command::GetImmutable(item.target()));
    assert_eq!(updates, [Update::Item(Item::Immutable(item))]);
    assert_eq!((report.copies, report.needs_put), (8, true), "8 copies are not more than 8");

    let secret = SecretKey::from_seed(&[5; 32]);
    let version = |seq: i64| MutableItem::sign(&secret, b"salt", seq, format!("i{seq}e").as_bytes()).unwrap();
    let put = |seq, cas| Command::PutMutable { item: version(seq), cas };
    let get = |after| Command::GetMutable { key: secret.public_key(), salt: b"salt".to_vec(), after };
    assert_eq!(net.command(1, put(1, None)).1.stored, 8);
    assert_eq!(net.command(20, get(None)).0, [Update::Item(Item::Mutable(version(1)))]);
    let (_, report) = net.command(1, put(2, Some(9)));
    assert_eq!((report.stored, report.refused.len()), (0, 8));
    assert!(report.refused.iter().all(|refused| refused.1 == 301));
    assert_eq!(net.command(1, put(2, Some(1))).1.stored, 8);
    let (_, report) = net.command(1, put(1, None));
    assert!(report.refused.len() == 8 && report.refused.iter().all(|refused| refused.1 == 302));
    assert_eq!(net.command(21, get(Some(1))).0, [Update::Item(Item::Mutable(version(2)))]);
    assert_eq!(net.command(21, get(Some(2))).0, []);
}

#[test]
fn both_families_are_looked_up_and_each_finds_the_others_nodes() {
    let mut net = Net::new(20, &[V4, V6], &Settings::default());
    let info_hash = InfoHashV1([9; 20]);
    assert_eq!(net.command(3, Command::Announce { info_hash, port: Some(77), seed: false }).1.stored, 16);
    let (updates, report) = net.command(12, Command::GetPeers { info_hash, noseed: false });
    assert_eq!(peers(&updates), [address("20.1.4.1:77"), address("[2a00:1:2:4::1]:77")]);
    assert_eq!(report.nodes.len(), 16);
}

#[test]
fn a_family_with_one_known_node_of_the_other_is_joined_too() {
    let mut net = Net::new(20, &[V4, V6], &Settings::default());
    net.nodes.push(Node::new(net.now, Seed::from_u64(99), Settings::default(), SavedState::default()));
    for (socket, place) in [(SocketId(0), "20.1.200.1:6881"), (SocketId(1), "[2a00:1:2:200::1]:6881")] {
        net.places.insert(address(place), (20, socket));
        net.input(20, Input::Opened { socket, local: address(place) });
    }
    net.input(20, Input::Nodes(vec![address("20.1.1.1:6881")]));
    net.run(60);
    assert!(net.nodes[20].table(SocketId(1)).count() >= 8);
}

#[test]
fn a_node_with_two_sockets_has_two_ids_and_announces_from_both() {
    let mut net = Net::new(20, &[V4, "30.1.*.1:6881"], &Settings::default());
    assert_ne!(net.nodes[3].id(SocketId(0)), net.nodes[3].id(SocketId(1)));
    let info_hash = InfoHashV1([9; 20]);
    net.command(3, Command::Announce { info_hash, port: Some(77), seed: false });
    let (updates, _) = net.command(12, Command::GetPeers { info_hash, noseed: false });
    assert_eq!(peers(&updates), [address("20.1.4.1:77"), address("30.1.4.1:77")]);
    net.input(3, Input::Closed(SocketId(1)));
    assert_eq!(net.nodes[3].id(SocketId(1)), None);
    assert_eq!(net.nodes[3].state().sockets.len(), 2, "the socket may be back");
}

#[test]
fn the_external_address_is_voted_and_the_id_follows_it() {
    let net = Net::new(20, &[V4], &Settings::default());
    for node in 8..20 {
        let here = address(&V4.replace('*', &format!("{}", node + 1))).ip();
        let id = net.nodes[node].id(SOCKET).unwrap();
        assert!(is_secure_id(&id, &here));
        let told = |wanted: Output| net.others.contains(&(node, wanted));
        assert!(told(Output::ExternalAddress { socket: SOCKET, address: here }));
        assert!(told(Output::NodeIdChanged { socket: SOCKET, id }));
    }
    let loose = Settings { secure_ids: false, ..Settings::default() };
    let net = Net::new(10, &[V4], &loose);
    assert!(!net.others.iter().any(|other| matches!(other.1, Output::NodeIdChanged { .. })));
}

#[test]
fn what_is_saved_brings_a_node_back_with_its_id() {
    let mut net = Net::new(20, &[V4], &Settings::default());
    net.run(limits::SAVE_INTERVAL.as_secs());
    assert!(
        net.others
            .iter()
            .any(|other| matches!(&other.1, Output::Save(state) if !state.sockets[0].nodes.is_empty()))
    );
    let (id, state) = (net.nodes[7].id(SOCKET), net.nodes[7].state().encode());
    let state = SavedState::decode(&state).expect("what was saved");
    net.nodes[7] = Node::new(net.now, Seed::from_u64(77), Settings::default(), state);
    net.input(7, Input::Opened { socket: SOCKET, local: address("0.0.0.0:6881") });
    net.run(20);
    assert_eq!(net.nodes[7].id(SOCKET), id);
    assert!(net.nodes[7].stored().nodes >= 8);
}

#[test]
fn a_cold_start_asks_for_names_and_commands_wait_for_it() {
    let bootstrap = vec![("router.test".to_owned(), 6881)];
    let mut net = Net::new(20, &[V4], &Settings::default());
    let settings = Settings { bootstrap: bootstrap.clone(), ..Settings::default() };
    net.nodes.push(Node::new(net.now, Seed::from_u64(99), settings, SavedState::default()));
    net.places.insert(address("20.1.200.1:6881"), (20, SOCKET));
    net.input(20, Input::Opened { socket: SOCKET, local: address("20.1.200.1:6881") });
    assert!(net.others.contains(&(20, Output::Resolve(bootstrap))));
    let query = QueryId(1);
    net.input(20, Input::Start { query, command: Command::FindNode(NodeId([3; 20])) });
    net.run(2);
    assert!(!net.reports.contains_key(&(20, query)));
    net.input(20, Input::Resolved(vec![address("20.1.1.1:6881")]));
    net.run(10);
    assert_eq!(net.reports[&(20, query)].nodes.len(), 8);
}

#[test]
fn a_command_that_cannot_be_done_ends_with_the_reason() {
    let mut node = Node::new(at(100), Seed::from_u64(1), Settings::default(), SavedState::default());
    let start = |query, command| Input::Start { query: QueryId(query), command };
    let rejection = |node: &mut Node, input| {
        node.handle_input(at(100), input);
        outputs(node).into_iter().find_map(|output| match output {
            Output::Done { report, .. } => report.rejected,
            _ => None,
        })
    };
    let find = || Command::FindNode(NodeId([3; 20]));
    assert_eq!(rejection(&mut node, start(1, find())), Some(Rejection::NoSocket));
    node.handle_input(at(100), Input::Opened { socket: SOCKET, local: address("20.1.1.1:6881") });
    assert_eq!(rejection(&mut node, start(1, find())), None);
    assert_eq!(rejection(&mut node, start(1, find())), Some(Rejection::InUse));
    for query in 2..=limits::MAX_LOOKUPS as u64 {
        assert_eq!(rejection(&mut node, start(query, find())), None);
    }
    assert_eq!(rejection(&mut node, start(999, find())), Some(Rejection::Busy));
    node.handle_input(at(100), Input::Cancel(QueryId(1)));
    assert_eq!(rejection(&mut node, start(999, find())), None, "room again");
    node.handle_timeout(at(100) + limits::JOIN_TIMEOUT);
    assert_eq!(node.stored().lookups, 0, "nobody came");
    let done = outputs(&mut node).iter().filter(|output| matches!(output, Output::Done { .. })).count();
    assert_eq!(done, limits::MAX_LOOKUPS);
}

#[test]
fn a_query_without_an_answer_is_sent_again_and_fails() {
    let mut node = pair::node("20.1.1.1:6881", Settings::default());
    let command = Command::Ping(address("20.1.2.1:6881"));
    node.handle_input(at(100), Input::Start { query: QueryId(1), command });
    let first = datagrams(&outputs(&mut node));
    let (mut sent, mut done) = (first.clone(), None);
    while done.is_none() {
        let next = node.poll_timeout().expect("it waits for something");
        assert!(next <= at(107));
        node.handle_timeout(next);
        for output in outputs(&mut node) {
            match output {
                Output::Datagram { to, payload, .. } => sent.push((to, payload)),
                Output::Done { report, .. } => done = Some((next, report)),
                _ => {}
            }
        }
    }
    let (when, report) = done.expect("an end");
    assert_eq!(when, at(100) + limits::CALL_TIMEOUT);
    assert_eq!((report.messages, report.nodes.len()), (3, 0));
    assert_eq!(sent, [first.clone(), first.clone(), first].concat());
}

#[test]
fn addresses_of_no_use_are_neither_asked_nor_kept() {
    let mut node = pair::node("20.1.1.1:6881", Settings::default());
    let useless = ["10.0.0.1:6881", "127.0.0.1:6881", "20.1.2.1:0", "224.0.0.1:6881", "[2a00::1]:6881"];
    node.handle_input(at(100), Input::Nodes(useless.map(address).to_vec()));
    assert_eq!(datagrams(&outputs(&mut node)), []);
    node.handle_input(at(100), Input::Nodes(vec![address("20.1.2.1:6881")]));
    let sent = datagrams(&outputs(&mut node));
    let query = Message::decode(&sent[0].1).unwrap();
    assert!(matches!(&query.body, Body::Query(query) if matches!(query.method, Method::FindNode { .. })));
    // An answer that names such addresses, and the same node many times under many ids.
    let mut nodes = Vec::new();
    for (number, host) in
        [[10, 0, 0, 1], [127, 0, 0, 1], [20, 1, 3, 1], [20, 1, 3, 1]].into_iter().enumerate()
    {
        nodes.extend_from_slice(&[number as u8; 20]);
        nodes.extend_from_slice(&host);
        nodes.extend_from_slice(&6881u16.to_be_bytes());
    }
    let mut response = Response::new(NodeId([8; 20]));
    response.nodes = Some(downpour_dht::message::Nodes::new(downpour_dht::Family::V4, &nodes));
    let mut out = Vec::new();
    Message::new(query.transaction, Body::Response(response)).encode(&mut out);
    node.receive(at(100), SOCKET, address("20.1.2.1:6881"), &out);
    let asked: Vec<SocketAddr> = datagrams(&outputs(&mut node)).iter().map(|sent| sent.0).collect();
    assert_eq!(asked, [address("20.1.3.1:6881")]);
}
