//! What 100,000 stored peers weigh: of 10,000 torrents, and each of a torrent of its own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use downpour_base::{Instant, Machine, NodeId, Seed};
use downpour_dht::message::{Body, Message, Method, Query, Want};
use downpour_dht::{Input, Node, Output, SavedState, Settings, SocketId};
use peak_alloc::PeakAlloc;

/// Counts the bytes in use.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const PEERS: u32 = 100_000;
const SOCKET: SocketId = SocketId(0);

fn main() {
    for torrents in [10_000, PEERS] {
        let before = ALLOCATOR.current_usage();
        let settings =
            Settings { max_torrents: PEERS, unverified_bytes_per_second: 0, ..Settings::default() };
        let mut now = Instant::ORIGIN;
        let mut node = Node::new(now, Seed::from_u64(1), settings, SavedState::default());
        node.handle_input(
            now,
            Input::Opened { socket: SOCKET, local: "8.8.8.8:6881".parse().expect("an address") },
        );
        for number in 0..PEERS {
            now += Duration::from_millis(5);
            announce(&mut node, now, number, torrents);
        }
        let stored = node.stored();
        assert_eq!((stored.peers, stored.torrents), (PEERS as usize, torrents as usize));
        let bytes = ALLOCATOR.current_usage() - before;
        println!("{PEERS} peers of {torrents} torrents: {bytes} bytes, all of the node");
        assert!(bytes <= 20_000_000);
    }
}

/// Gets a token and announces with it.
fn announce(node: &mut Node, now: Instant, number: u32, torrents: u32) {
    let from = SocketAddr::new(IpAddr::V4(Ipv4Addr::from_bits(0x1400_0000 + number * 16)), 6881);
    let mut info_hash = NodeId([0; 20]);
    info_hash.0[..4].copy_from_slice(&(number % torrents).to_be_bytes());
    let get = Method::GetPeers { info_hash, noseed: false, scrape: false };
    let answer = ask(node, now, from, get).expect("an answer");
    let Ok(Message { body: Body::Response(response), .. }) = Message::decode(&answer) else {
        panic!("refused")
    };
    let token = response.token.expect("a token");
    let method = Method::AnnouncePeer { info_hash, port: 1, implied_port: false, token, seed: false };
    ask(node, now, from, method).expect("an answer");
}

fn ask(node: &mut Node, now: Instant, from: SocketAddr, method: Method<'_>) -> Option<Vec<u8>> {
    let body = Body::Query(Query { id: NodeId([1; 20]), want: Want::default(), method });
    let mut query = Message::new(b"aa", body);
    query.read_only = true;
    let mut payload = Vec::new();
    query.encode(&mut payload);
    node.receive(now, SOCKET, from, &payload);
    node.handle_timeout(now);
    let outputs = std::iter::from_fn(|| node.poll_output());
    let datagrams = outputs.filter_map(|output| match output {
        Output::Datagram { to, payload, .. } if to == from => Some(payload),
        _ => None,
    });
    datagrams.last()
}
