//! Queries answered: decoding, deciding, encoding.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use downpour_base::{Instant, Machine, NodeId, Rng, Seed};
use downpour_dht::message::{Body, Message, Method, Query, Response, Want};
use downpour_dht::{Input, Node, Output, SavedState, Settings, SocketId};

const SOCKET: SocketId = SocketId(0);
const NOW: Instant = Instant::from_nanos(1_000_000_000);

fn address(number: u32) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::from_bits(0x1400_0000 + number * 256)), 6881)
}

fn random_id(rng: &mut Rng) -> NodeId {
    let mut id = NodeId([0; 20]);
    rng.fill(&mut id.0);
    id
}

/// A node that answers without limits, with as many nodes in its table as answer it.
fn node() -> Node {
    let settings = Settings {
        queries_per_second_per_source: 0,
        unverified_bytes_per_second: 0,
        secure_ids: false,
        ..Settings::default()
    };
    let mut rng = Rng::new(Seed::from_u64(2));
    let mut node = Node::new(NOW, Seed::from_u64(1), settings, SavedState::default());
    let local = "0.0.0.0:6881".parse().expect("an address");
    node.handle_input(NOW, Input::Opened { socket: SOCKET, local });
    for number in 0..2000 {
        node.handle_input(NOW, Input::Nodes(vec![address(number)]));
        while let Some(output) = node.poll_output() {
            let Output::Datagram { to, payload, .. } = output else { continue };
            let transaction = Message::decode(&payload).expect("a message").transaction;
            let mut answer = Vec::new();
            Message::new(transaction, Body::Response(Response::new(random_id(&mut rng)))).encode(&mut answer);
            node.receive(NOW, SOCKET, to, &answer);
        }
    }
    assert!(node.stored().nodes > 50);
    node
}

fn queries(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("queries");
    group.throughput(Throughput::Elements(1));
    let mut rng = Rng::new(Seed::from_u64(3));
    let names = ["ping", "find_node", "get_peers", "get"];
    for (kind, name) in names.into_iter().enumerate() {
        let mut node = node();
        let payloads: Vec<Vec<u8>> = (0..1024)
            .map(|_| {
                let target = random_id(&mut rng);
                let method = match kind {
                    0 => Method::Ping,
                    1 => Method::FindNode { target },
                    2 => Method::GetPeers { info_hash: target, noseed: false, scrape: false },
                    _ => Method::Get { target, seq: None },
                };
                let body = Body::Query(Query { id: random_id(&mut rng), want: Want::default(), method });
                let (mut out, mut message) = (Vec::new(), Message::new(b"aa", body));
                message.read_only = true;
                message.encode(&mut out);
                out
            })
            .collect();
        let mut number = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                number += 1;
                node.receive(NOW + Duration::from_secs(1), SOCKET, address(7), &payloads[number % 1024]);
                black_box(node.poll_output().expect("an answer"))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, queries);
criterion_main!(benches);
