//! Whatever comes from wherever: nothing panics, nothing is too long, and memory stays within the limits.
//!
//! The input is a list of events: a byte that says what, one that says from whom, and for a datagram its length in two
//! bytes and its content. Each datagram is given twice: as it is, and with the transaction or the token that makes it count.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use downpour_base::{InfoHashV1, Instant, Machine as _, NodeId, Seed};
use downpour_dht::message::{Body, Message, Method, Response};
use downpour_dht::{Command, Input, Node, Output, QueryId, SavedState, Settings, SocketId, limits};
use libfuzzer_sys::fuzz_target;

fn address(host: u8) -> SocketAddr {
    let ip = match host % 4 {
        0 => IpAddr::V6(Ipv6Addr::new(0x2a00, 1, 2, u16::from(host), 0, 0, 0, 1)),
        _ => IpAddr::V4(Ipv4Addr::new(20, 1, host, 1)),
    };
    SocketAddr::new(ip, 6881)
}

fn socket(address: &SocketAddr) -> SocketId {
    SocketId(u32::from(address.is_ipv6()))
}

fuzz_target!(|input: &[u8]| {
    let mut now = Instant::ORIGIN + Duration::from_secs(10);
    let settings = Settings { max_peers: 50, max_torrents: 20, max_items: 10, ..Settings::default() };
    let mut node = Node::new(now, Seed::from_u64(1), settings, SavedState::default());
    for local in ["20.0.0.1:6881", "[2a00::1]:6881"] {
        let local = local.parse().expect("an address");
        node.handle_input(now, Input::Opened { socket: socket(&local), local });
    }
    // Our last query: transaction, and whom it asks; and the last token that we gave.
    let (mut transaction, mut asked, mut token) = (Vec::new(), address(1), Vec::new());
    let mut rest = input;
    let mut number = 0;
    while let [what, host, after @ ..] = rest {
        rest = after;
        let from = address(*host);
        match what % 8 {
            0..=3 => {
                let Some((length, after)) = rest.split_first_chunk::<2>() else { break };
                let length = usize::from(u16::from_be_bytes(*length) % 2048).min(after.len());
                let (datagram, after) = after.split_at(length);
                rest = after;
                node.receive(now, socket(&from), from, datagram);
                // The same as an answer, and with the token.
                if let Ok(mut message) = Message::decode(datagram) {
                    let is_query = matches!(message.body, Body::Query(_));
                    if let Body::Query(query) = &mut message.body {
                        match &mut query.method {
                            Method::AnnouncePeer { token: place, .. } | Method::Put { token: place, .. } => *place = &token,
                            _ => {}
                        }
                    } else {
                        message.transaction = &transaction;
                    }
                    let from = if is_query { from } else { asked };
                    let mut out = Vec::new();
                    message.encode(&mut out);
                    node.receive(now, socket(&from), from, &out);
                }
            }
            4 => {
                let response = Body::Response(Response::new(NodeId([*host; 20])));
                let mut out = Vec::new();
                Message::new(&transaction, response).encode(&mut out);
                node.receive(now, socket(&asked), asked, &out);
            }
            5 => node.handle_input(now, Input::Nodes(vec![from])),
            6 => {
                number += 1;
                let info_hash = InfoHashV1([*host; 20]);
                let command = match host % 6 {
                    0 => Command::GetPeers { info_hash, noseed: false },
                    1 => Command::Announce { info_hash, port: None, seed: true },
                    2 => Command::Scrape(info_hash),
                    3 => Command::GetImmutable(NodeId(info_hash.0)),
                    4 => Command::GetMutable { key: [*host; 32], salt: Vec::new(), after: None },
                    _ => Command::Sample(NodeId(info_hash.0)),
                };
                node.handle_input(now, Input::Start { query: QueryId(number), command });
            }
            _ => {
                now += Duration::from_millis(u64::from(*host) * u64::from(*host));
                node.handle_timeout(now);
            }
        }
        while let Some(output) = node.poll_output() {
            let Output::Datagram { to, payload, .. } = output else { continue };
            assert!(payload.len() <= limits::MAX_ITEM_DATAGRAM_BYTES);
            let message = Message::decode(&payload).expect("we speak the protocol");
            match message.body {
                Body::Query(_) => (transaction, asked) = (message.transaction.to_vec(), to),
                Body::Response(response) => token = response.token.unwrap_or(&token).to_vec(),
                Body::Error { .. } => {}
            }
        }
        let stored = node.stored();
        assert!(stored.peers <= 50 && stored.torrents <= 20 && stored.items <= 10, "{stored:?}");
        assert!(stored.calls <= limits::MAX_CALLS && stored.lookups <= limits::MAX_LOOKUPS + 4, "{stored:?}");
    }
    // Everything that was begun ends.
    for _ in 0..600 {
        now += Duration::from_secs(1);
        node.handle_timeout(now);
        while node.poll_output().is_some() {}
    }
    assert_eq!(SavedState::decode(&node.state().encode()), Ok(node.state()));
});
