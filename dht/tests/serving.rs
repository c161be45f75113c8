//! What a node answers, and what it does not.

#[path = "common/pair.rs"]
#[allow(dead_code, reason = "each test file uses a part")]
mod pair;

use std::time::Duration;

use downpour_base::{Machine, NodeId};
use downpour_dht::message::{Body, Message, Method, MutablePut, Want};
use downpour_dht::{
    BloomFilter, Input, MutableItem, SecretKey, Settings, immutable_target, is_secure_id, limits,
};
use pair::{SOCKET, address, ask, at, datagrams, error, node, outputs, query, response};

const HERE: &str = "8.8.8.8:6881";
const HASH: NodeId = NodeId([9; 20]);

fn announce(token: &[u8], port: u16, implied_port: bool, seed: bool) -> Vec<u8> {
    query(1, Method::AnnouncePeer { info_hash: HASH, port, implied_port, token, seed })
}

fn get_peers(noseed: bool, scrape: bool) -> Vec<u8> {
    query(1, Method::GetPeers { info_hash: HASH, noseed, scrape })
}

/// Announces from an address as BEP 5 says: token first.
fn announced(node: &mut downpour_dht::Node, from: &str, port: u16, seed: bool) {
    let answer = ask(node, at(200), from, &get_peers(false, false)).expect("an answer");
    let token = response(&answer).token.expect("a token").to_vec();
    let answer = ask(node, at(200), from, &announce(&token, port, port == 0, seed)).expect("an answer");
    response(&answer);
}

#[test]
fn a_ping_is_answered_with_id_transaction_and_the_address_it_came_from() {
    let mut node = node(HERE, Settings::default());
    let answer = ask(&mut node, at(200), "9.1.2.3:77", &query(1, Method::Ping)).unwrap();
    let message = Message::decode(&answer).unwrap();
    assert_eq!((message.transaction, message.ip), (&b"aa"[..], Some(address("9.1.2.3:77"))));
    let id = response(&answer).id;
    assert_eq!(Some(id), node.id(SOCKET));
    assert!(is_secure_id(&id, &address(HERE).ip()), "bound to an address of the internet, so the id fits it");
}

#[test]
fn an_announce_needs_the_token_of_its_address_and_is_then_told_to_others() {
    let mut node = node(HERE, Settings::default());
    let answer = ask(&mut node, at(200), "9.1.2.3:77", &get_peers(false, false)).unwrap();
    let token = response(&answer).token.unwrap().to_vec();
    let other = ask(&mut node, at(200), "9.1.2.4:77", &announce(&token, 5, false, false)).unwrap();
    assert_eq!(error(&other), 203, "the token of another address");
    ask(&mut node, at(200), "9.1.2.3:77", &announce(&token, 5, false, false)).unwrap();
    announced(&mut node, "9.1.2.5:78", 0, true);

    let peers = |node: &mut downpour_dht::Node, noseed| {
        let answer = ask(node, at(201), "9.9.9.9:1", &get_peers(noseed, false)).unwrap();
        let mut peers: Vec<_> =
            response(&answer).values.map(|values| values.iter().collect()).unwrap_or_default();
        peers.sort();
        peers
    };
    assert_eq!(peers(&mut node, false), [address("9.1.2.3:5"), address("9.1.2.5:78")], "78 is implied");
    assert_eq!(peers(&mut node, true), [address("9.1.2.3:5")]);
    let later = at(201) + limits::PEER_LIFETIME;
    node.handle_timeout(later + Duration::from_secs(60));
    assert_eq!(node.stored().peers, 0);
}

#[test]
fn a_scrape_is_answered_with_filters_over_seeds_and_peers() {
    let mut node = node(HERE, Settings::default());
    announced(&mut node, "9.1.2.3:77", 5, false);
    announced(&mut node, "9.1.3.3:77", 5, true);
    let answer = ask(&mut node, at(201), "9.9.9.9:1", &get_peers(false, true)).unwrap();
    let (seeds, peers) = (response(&answer).seeds.unwrap(), response(&answer).peers.unwrap());
    assert!(BloomFilter::from_bytes(*seeds).may_contain(&address("9.1.3.3:1").ip()));
    assert!(BloomFilter::from_bytes(*peers).may_contain(&address("9.1.2.3:1").ip()));
    assert!(BloomFilter::from_bytes(*peers).estimate() < 1.5);
}

#[test]
fn items_are_stored_given_and_refused_with_the_numbers_of_bep_44() {
    let mut node = node(HERE, Settings::default());
    let from = "9.1.2.3:77";
    let secret = SecretKey::from_seed(&[3; 32]);
    let item = MutableItem::sign(&secret, b"s", 4, b"5:hello").unwrap();
    let get = query(1, Method::Get { target: item.target(), seq: None });
    let token = response(&ask(&mut node, at(200), from, &get).unwrap()).token.unwrap().to_vec();
    let mut put = |token: &[u8], seq, salt: &[u8], cas, value: &[u8]| {
        let mutable = MutablePut { key: *item.key(), seq, signature: *item.signature(), salt, cas };
        let payload = query(1, Method::Put { token, value, mutable: Some(mutable) });
        let answer = ask(&mut node, at(200), from, &payload).unwrap();
        match Message::decode(&answer).unwrap().body {
            Body::Error { code, .. } => code,
            _ => 0,
        }
    };
    assert_eq!(put(b"nonsense", 4, b"s", None, b"5:hello"), 203);
    assert_eq!(put(&token, 5, b"s", None, b"5:hello"), 206);
    assert_eq!(put(&token, 4, b"s", None, format!("1000:{}", "x".repeat(1000)).as_bytes()), 205);
    assert_eq!(put(&token, 4, b"s", None, b"5:hello"), 0);
    assert_eq!(put(&token, 3, b"s", None, b"5:hello"), 302);
    assert_eq!(put(&token, 5, b"s", Some(3), b"5:hello"), 301);
    let answer = ask(&mut node, at(201), from, &get).unwrap();
    let given = response(&answer);
    assert_eq!((given.value, given.seq), (Some(&b"5:hello"[..]), Some(4)));
    assert_eq!((given.key, given.signature), (Some(*item.key()), Some(*item.signature())));
    assert!(given.nodes.is_some() && given.nodes6.is_some() && given.token.is_some());
    let get = query(1, Method::Get { target: item.target(), seq: Some(4) });
    let answer = ask(&mut node, at(201), from, &get).unwrap();
    assert_eq!((response(&answer).value, response(&answer).seq), (None, Some(4)));

    let target = immutable_target(b"i7e");
    let get = query(1, Method::Get { target, seq: None });
    let token = response(&ask(&mut node, at(202), from, &get).unwrap()).token.unwrap().to_vec();
    let put = query(1, Method::Put { token: &token, value: b"i7e", mutable: None });
    response(&ask(&mut node, at(202), from, &put).unwrap());
    let answer = ask(&mut node, at(202), from, &get).unwrap();
    assert_eq!(response(&answer).value, Some(&b"i7e"[..]));
}

#[test]
fn samples_are_given_and_stay_the_same_for_a_while() {
    let mut node = node(HERE, Settings::default());
    announced(&mut node, "9.1.2.3:77", 5, false);
    let ask_samples = query(1, Method::SampleInfohashes { target: HASH });
    let answer = ask(&mut node, at(201), "9.9.9.9:1", &ask_samples).unwrap();
    let samples = response(&answer).samples.unwrap();
    assert_eq!((samples.info_hashes, samples.total), (&HASH.0[..], 1));
    assert!(samples.interval <= 21_600);
}

#[test]
fn unknown_methods_are_told_so_unless_they_have_a_target() {
    let mut node = node(HERE, Settings::default());
    let unknown = |target| query(1, Method::Unknown { name: b"vote", target });
    assert_eq!(error(&ask(&mut node, at(200), "9.9.9.9:1", &unknown(None)).unwrap()), 204);
    let answer = ask(&mut node, at(200), "9.9.9.9:1", &unknown(Some(HASH))).unwrap();
    assert!(response(&answer).nodes.is_some());
}

#[test]
fn what_is_asked_wrongly_is_told_so_and_what_is_no_query_is_not_answered() {
    let mut node = node(HERE, Settings::default());
    for wrong in [
        &b"d1:ad2:id3:abce1:q4:ping1:t2:aa1:y1:qe"[..],
        b"d1:ad2:id20:abcdefghij0123456789e1:q9:find_node1:t2:aa1:y1:qe",
        b"d1:q4:ping1:t2:aa1:y1:qe",
        b"d1:ai1e1:q4:ping1:t2:aa1:y1:qe",
    ] {
        assert_eq!(error(&ask(&mut node, at(200), "9.9.9.9:1", wrong).unwrap()), 203);
    }
    for nothing in [&b""[..], b"le", b"d1:y1:qe", b"d1:t2:aa1:y1:xe", b"d1:rd2:id3:abce1:t2:aa1:y1:re"] {
        assert_eq!(ask(&mut node, at(200), "9.9.9.9:1", nothing), None);
    }
}

#[test]
fn a_read_only_node_answers_nobody_and_says_so() {
    let mut node = node(HERE, Settings { read_only: true, ..Settings::default() });
    assert_eq!(ask(&mut node, at(200), "9.9.9.9:1", &query(1, Method::Ping)), None);
    node.handle_input(at(200), Input::Nodes(vec![address("9.9.9.9:1")]));
    let sent = datagrams(&outputs(&mut node));
    assert!(!sent.is_empty());
    assert!(sent.iter().all(|(_, payload)| Message::decode(payload).unwrap().read_only));
}

#[test]
fn who_says_to_be_read_only_is_answered_and_not_pinged() {
    let mut node = node(HERE, Settings::default());
    let ping = query(1, Method::Ping);
    node.receive(at(200), SOCKET, address("9.9.9.9:1"), &ping);
    assert_eq!(datagrams(&outputs(&mut node)).len(), 2, "the answer, and a ping to see whether it answers");
    let mut message = Message::decode(&ping).unwrap();
    message.read_only = true;
    let mut quiet = Vec::new();
    message.encode(&mut quiet);
    node.receive(at(200), SOCKET, address("9.9.8.9:1"), &quiet);
    assert_eq!(datagrams(&outputs(&mut node)).len(), 1);
}

#[test]
fn an_answer_that_nobody_asked_for_changes_nothing() {
    let mut node = node(HERE, Settings::default());
    node.handle_input(at(200), Input::Nodes(vec![address("9.9.9.9:1")]));
    let sent = datagrams(&outputs(&mut node));
    let transaction = Message::decode(&sent[0].1).unwrap().transaction.to_vec();
    let mut answer = Vec::new();
    let body = Body::Response(downpour_dht::message::Response::new(NodeId([7; 20])));
    Message::new(&transaction, body).encode(&mut answer);
    node.receive(at(200), SOCKET, address("9.9.9.8:1"), &answer);
    assert_eq!((node.stored().nodes, node.statistics().unasked), (0, 1), "another address");
    node.receive(at(200), SOCKET, address("9.9.9.9:1"), &answer);
    assert_eq!((node.stored().nodes, node.statistics().unasked), (1, 1));
    node.receive(at(200), SOCKET, address("9.9.9.9:1"), &answer);
    assert_eq!(node.statistics().unasked, 2, "a second time");
}

#[test]
fn a_flood_from_a_few_sources_is_bounded_in_memory_and_bytes() {
    let mut node = node(HERE, Settings::default());
    let mut sent = 0;
    for number in 0u32..100_000 {
        let from = format!("9.1.{}.1:{}", number % 16, 1000 + number % 1000);
        let now = at(200) + Duration::from_millis(u64::from(number) / 10);
        let mut target = NodeId([0; 20]);
        target.0[..4].copy_from_slice(&number.to_be_bytes());
        let method = match number / 16 % 4 {
            0 => Method::FindNode { target },
            1 => Method::GetPeers { info_hash: target, noseed: false, scrape: true },
            2 => Method::Get { target, seq: None },
            _ => Method::SampleInfohashes { target },
        };
        node.receive(now, SOCKET, address(&from), &query(number as u8, method));
        for output in outputs(&mut node) {
            let downpour_dht::Output::Datagram { to, payload, .. } = output else { continue };
            assert!(payload.len() <= 1500);
            let is_query = matches!(Message::decode(&payload).unwrap().body, Body::Query(_));
            assert!(!is_query || payload.len() < 100, "a ping to {to}");
            // The token of the answer opens the store for one target.
            if let Body::Response(given) = Message::decode(&payload).unwrap().body {
                sent += 1;
                if let Some(token) = given.token.map(<[u8]>::to_vec) {
                    let announce = Method::AnnouncePeer {
                        info_hash: target,
                        port: 5,
                        implied_port: false,
                        token: &token,
                        seed: false,
                    };
                    node.receive(now, SOCKET, address(&from), &query(1, announce));
                }
            }
        }
        node.handle_timeout(now);
        outputs(&mut node);
    }
    let settings = Settings::default();
    // Ten seconds: a burst of 50 and ten a second for each source.
    assert!(sent <= 16 * 150, "{sent} answers");
    let stored = node.stored();
    assert!(stored.sources <= 16 && stored.calls <= limits::MAX_PROBES, "{stored:?}");
    assert!(stored.torrents <= 16 * settings.max_torrents_per_source as usize, "{stored:?}");
    assert!(stored.peers <= stored.torrents && stored.items == 0, "{stored:?}");
    assert_eq!(
        node.statistics().queries,
        node.statistics().answered + node.statistics().over_rate + node.statistics().over_bytes
    );
}

#[test]
fn no_answer_is_too_long_whatever_is_stored() {
    let settings =
        Settings { queries_per_second_per_source: 0, unverified_bytes_per_second: 0, ..Settings::default() };
    let mut node = node(HERE, settings);
    for number in 0..1000u32 {
        announced(&mut node, &format!("9.{}.{}.1:77", number / 256, number % 256), 5, number % 2 == 0);
    }
    let long = vec![b'x'; 996];
    let value = [b"996:", &long[..]].concat();
    let item = MutableItem::sign(&SecretKey::from_seed(&[3; 32]), b"s", i64::MAX, &value).unwrap();
    let get = query(1, Method::Get { target: item.target(), seq: None });
    let token = response(&ask(&mut node, at(200), "9.1.2.3:1", &get).unwrap()).token.unwrap().to_vec();
    let mutable = MutablePut {
        key: *item.key(),
        seq: item.seq(),
        signature: *item.signature(),
        salt: item.salt(),
        cas: None,
    };
    let put = query(1, Method::Put { token: &token, value: &value, mutable: Some(mutable) });
    response(&ask(&mut node, at(200), "9.1.2.3:1", &put).unwrap());
    let answer = ask(&mut node, at(200), "9.1.2.3:1", &get).unwrap();
    assert_eq!(response(&answer).value, Some(&value[..]));
    assert!(answer.len() <= limits::MAX_ITEM_DATAGRAM_BYTES);
    for scrape in [false, true] {
        let body = Body::Query(downpour_dht::message::Query {
            id: NodeId([1; 20]),
            want: Want { n4: true, n6: true },
            method: Method::GetPeers { info_hash: HASH, noseed: false, scrape },
        });
        let mut ask_peers = Vec::new();
        Message::new(&[7; limits::MAX_TRANSACTION_BYTES], body).encode(&mut ask_peers);
        let answer = ask(&mut node, at(200), "9.1.2.3:1", &ask_peers).unwrap();
        assert!(answer.len() <= limits::MAX_DATAGRAM_BYTES, "{} bytes", answer.len());
        let Body::Response(given) = Message::decode(&answer).unwrap().body else { panic!("no response") };
        assert!(given.values.unwrap().iter().count() >= 20, "what there is room for is used");
    }
}
