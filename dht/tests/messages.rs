//! The messages on the wire.

use std::net::{IpAddr, SocketAddr};

use downpour_base::NodeId;
use downpour_bencode::Document;
use downpour_dht::Family;
use downpour_dht::limits;
use downpour_dht::message::{
    Body, Fault, Message, Method, MutablePut, Nodes, Query, Response, Samples, Values, Want,
};
use proptest::prelude::*;

/// The examples of BEP 5, as they stand there.
const EXAMPLES: [&[u8]; 10] = [
    b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee",
    b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
    b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
    b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe",
    b"d1:rd2:id20:0123456789abcdefghij5:nodes9:def456...e1:t2:aa1:y1:re",
    b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
    b"d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re",
    b"d1:rd2:id20:abcdefghij01234567895:nodes9:def456...5:token8:aoeusnthe1:t2:aa1:y1:re",
    b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
    b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
];

#[test]
fn the_examples_of_bep_5_are_read_and_written() {
    for example in EXAMPLES {
        let message = Message::decode(example).unwrap();
        let mut out = Vec::new();
        message.encode(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(example));
    }
    let message = Message::decode(EXAMPLES[6]).unwrap();
    let Body::Response(response) = message.body else { panic!("a response") };
    let peers: Vec<SocketAddr> = response.values.unwrap().iter().collect();
    assert_eq!(peers, ["97.120.106.101:11893".parse().unwrap(), "105.100.104.116:28269".parse().unwrap()]);
}

#[test]
fn what_is_wrong_is_named_and_a_query_can_be_told() {
    let fault = |datagram: &'static [u8]| {
        let error = Message::decode(datagram).unwrap_err();
        (error.fault, error.query.is_some())
    };
    let id = "d1:ad2:id20:abcdefghij0123456789";
    let query = |rest: &str| -> &'static [u8] { Vec::leak(format!("{id}{rest}").into_bytes()) };
    assert_eq!(fault(b"le").0, Fault::NotADictionary);
    assert!(matches!(fault(b"d1:t").0, Fault::Bencode(_)));
    assert_eq!(fault(b"d1:y1:qe"), (Fault::Missing("t"), false));
    assert_eq!(fault(b"d1:t2:aae"), (Fault::Missing("y"), false));
    assert!(matches!(fault(b"d1:t2:aa1:y1:ze"), (Fault::Wrong("y", _), false)));
    assert!(matches!(fault(b"d1:ti1e1:y1:qe"), (Fault::Wrong("t", _), false)));
    assert_eq!(fault(b"d1:t2:aa1:y1:qe"), (Fault::Missing("q"), true));
    assert_eq!(fault(b"d1:q4:ping1:t2:aa1:y1:qe"), (Fault::Missing("a"), true));
    assert_eq!(fault(b"d1:ade1:q4:ping1:t2:aa1:y1:qe"), (Fault::Missing("id"), true));
    assert_eq!(fault(query("e1:q9:find_node1:t2:aa1:y1:qe")), (Fault::Missing("target"), true));
    assert_eq!(fault(query("e1:q9:get_peers1:t2:aa1:y1:qe")), (Fault::Missing("info_hash"), true));
    let announce =
        query("9:info_hash20:abcdefghij01234567894:porti65536e5:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe");
    assert!(matches!(fault(announce), (Fault::Wrong("port", _), true)));
    assert!(matches!(fault(query("1:k3:abc1:v1:xe1:q3:put1:t2:aa1:y1:qe")), (Fault::Wrong("k", _), true)));
    assert_eq!(fault(b"d1:rde1:t2:aa1:y1:re"), (Fault::Missing("id"), false));
    assert!(matches!(
        fault(b"d1:rd2:id20:abcdefghij01234567896:valuesi1ee1:t2:aa1:y1:re"),
        (Fault::Wrong("values", _), _)
    ));
    assert!(matches!(fault(b"d1:e1:x1:t2:aa1:y1:ee"), (Fault::Wrong("e", _), false)));
    let long: &'static [u8] = Vec::leak(vec![b'l'; limits::MAX_INCOMING_BYTES + 1]);
    assert_eq!(fault(long).0, Fault::TooLong(limits::MAX_INCOMING_BYTES + 1));
    let deep: &'static [u8] = Vec::leak([&[b'l'; 100][..], &[b'e'; 100]].concat());
    assert!(matches!(fault(deep).0, Fault::Bencode(_)));
}

#[test]
fn unknown_keys_and_unsorted_keys_are_no_fault() {
    let message =
        Message::decode(b"d1:y1:q1:t2:aa1:q4:ping3:zzzi1e1:ad3:fooli1ee2:id20:abcdefghij0123456789ee")
            .unwrap();
    assert!(matches!(message.body, Body::Query(Query { method: Method::Ping, .. })));
}

fn id() -> impl Strategy<Value = NodeId> {
    any::<[u8; 20]>().prop_map(NodeId)
}

fn address() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

/// Bytes that live as long as the test: messages borrow.
fn bytes(most: usize) -> impl Strategy<Value = &'static [u8]> {
    prop::collection::vec(any::<u8>(), 0..=most).prop_map(|bytes| &*bytes.leak())
}

fn value() -> impl Strategy<Value = &'static [u8]> {
    bytes(40).prop_map(|bytes| &*[format!("{}:", bytes.len()).as_bytes(), bytes].concat().leak())
}

fn method() -> impl Strategy<Value = Method<'static>> {
    let mutable = (any::<[u8; 32]>(), any::<i64>(), any::<[u8; 32]>(), bytes(70), any::<Option<i64>>())
        .prop_map(|(key, seq, half, salt, cas)| {
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&half);
            MutablePut { key, seq, signature, salt, cas }
        });
    prop_oneof![
        Just(Method::Ping),
        id().prop_map(|target| Method::FindNode { target }),
        (id(), any::<bool>(), any::<bool>()).prop_map(|(info_hash, noseed, scrape)| Method::GetPeers {
            info_hash,
            noseed,
            scrape
        }),
        (id(), any::<u16>(), any::<bool>(), bytes(20), any::<bool>()).prop_map(
            |(info_hash, port, implied_port, token, seed)| Method::AnnouncePeer {
                info_hash,
                port,
                implied_port,
                token,
                seed,
            },
        ),
        (id(), any::<Option<i64>>()).prop_map(|(target, seq)| Method::Get { target, seq }),
        (bytes(20), value(), prop::option::of(mutable)).prop_map(|(token, value, mutable)| Method::Put {
            token,
            value,
            mutable
        }),
        id().prop_map(|target| Method::SampleInfohashes { target }),
        prop::option::of(id()).prop_map(|target| Method::Unknown { name: b"vote", target }),
    ]
}

fn values() -> impl Strategy<Value = Values<'static>> {
    prop::collection::vec(address(), 0..20).prop_map(|peers| {
        let mut items = Vec::new();
        for peer in peers {
            let host = match peer.ip() {
                IpAddr::V4(v4) => v4.octets().to_vec(),
                IpAddr::V6(v6) => v6.octets().to_vec(),
            };
            items.extend_from_slice(format!("{}:", host.len() + 2).as_bytes());
            items.extend_from_slice(&host);
            items.extend_from_slice(&peer.port().to_be_bytes());
        }
        Values::from_items(items.leak())
    })
}

fn response() -> impl Strategy<Value = Response<'static>> {
    let first =
        (id(), prop::option::of(bytes(200)), prop::option::of(bytes(200)), prop::option::of(bytes(20)));
    let second = (prop::option::of(values()), any::<bool>(), prop::option::of(value()), any::<Option<i64>>());
    let samples = prop::option::of((bytes(100), 0..=21_600u32, 0..=i64::MAX as u64));
    (first, second, any::<Option<[u8; 32]>>(), samples).prop_map(
        |((id, nodes, nodes6, token), (values, filters, value, seq), key, samples)| {
            let mut response = Response::new(id);
            response.nodes = nodes.map(|bytes| Nodes::new(Family::V4, bytes));
            response.nodes6 = nodes6.map(|bytes| Nodes::new(Family::V6, bytes));
            (response.token, response.values, response.value, response.seq) = (token, values, value, seq);
            (response.key, response.signature) = (key, key.map(|_| [7; 64]));
            response.seeds = filters.then_some(&[1; 256]);
            response.peers = filters.then_some(&[2; 256]);
            response.samples =
                samples.map(|(info_hashes, interval, total)| Samples { info_hashes, interval, total });
            response
        },
    )
}

fn message() -> impl Strategy<Value = Message<'static>> {
    let want = (any::<bool>(), any::<bool>()).prop_map(|(n4, n6)| Want { n4, n6 });
    let body = prop_oneof![
        (id(), want, method()).prop_map(|(id, want, method)| Body::Query(Query { id, want, method })),
        response().prop_map(Body::Response),
        (any::<i64>(), bytes(30)).prop_map(|(code, text)| Body::Error { code, text }),
    ];
    let head =
        (bytes(limits::MAX_TRANSACTION_BYTES), prop::option::of(bytes(6)), prop::option::of(address()));
    (head, any::<bool>(), body).prop_map(|((transaction, version, ip), read_only, body)| Message {
        transaction,
        version,
        ip,
        read_only,
        body,
    })
}

proptest! {
    #[test]
    fn what_is_written_is_canonical_and_read_again(message in message()) {
        let mut out = Vec::new();
        message.encode(&mut out);
        prop_assert!(Document::decode(&out).is_ok(), "sorted keys and nothing more");
        prop_assert_eq!(Message::decode(&out).unwrap(), message);
    }

    #[test]
    fn a_damaged_message_is_read_or_refused(message in message(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut out = Vec::new();
        message.encode(&mut out);
        let place = at.index(out.len());
        out[place] = to;
        let _ = Message::decode(&out);
        out.truncate(place);
        prop_assert!(Message::decode(&out).is_err(), "a part is no message");
    }

    #[test]
    fn noise_is_refused(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Message::decode(&noise);
    }
}
