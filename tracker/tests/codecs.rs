//! What is written can be read, and whatever is read does no harm.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;

use downpour_base::PeerId;
use downpour_tracker::client::ScrapeCounts;
use downpour_tracker::http::{
    AnnounceAnswer, Answer, HttpRequest, announce_url, decode_announce, decode_request, decode_scrape,
    encode_announce, encode_failure, encode_scrape, scrape_url,
};
use downpour_tracker::udp::{self, Request, Response};
use downpour_tracker::{Announce, AnnounceEvent, SwarmHash, TrackerUrl};
use proptest::prelude::*;

fn event() -> impl Strategy<Value = AnnounceEvent> {
    (0u32..4).prop_filter_map("one of four", AnnounceEvent::from_number)
}

prop_compose! {
    fn announce()(
        (info_hash, peer_id, port) in (any::<[u8; 20]>(), any::<[u8; 20]>(), 1u16..),
        (uploaded, downloaded, left) in any::<(u64, u64, u64)>(),
        event in event(),
        key in any::<u32>(),
        want in prop::option::of(0u32..=i32::MAX as u32),
    ) -> Announce {
        let (info_hash, peer_id) = (SwarmHash(info_hash), PeerId(peer_id));
        Announce { info_hash, peer_id, port, uploaded, downloaded, left, event, key, want }
    }
}

fn v4() -> impl Strategy<Value = SocketAddr> {
    (any::<[u8; 4]>(), 1u16..)
        .prop_map(|([_, b, c, d], port)| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(81, b, c, d)), port))
}

fn v6() -> impl Strategy<Value = SocketAddr> {
    (any::<[u16; 7]>(), 1u16..).prop_map(|([b, c, d, e, f, g, h], port)| {
        SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, b, c, d, e, f, g, h)), port)
    })
}

fn counts() -> impl Strategy<Value = ScrapeCounts> {
    any::<(u32, u32, u32)>().prop_map(|(seeds, downloads, leechers)| ScrapeCounts {
        seeds,
        downloads,
        leechers,
    })
}

proptest! {
    #[test]
    fn an_announce_survives_a_url(announce in announce(), base in "http://[a-z]{1,9}(:80)?(/[a-z]{1,5})?/announce(\\?k=[a-z%]{0,5})?") {
        let tracker = TrackerUrl::parse(&base).expect("a URL");
        let url = announce_url(&tracker, &announce, Some(b"&=?\0"));
        prop_assert!(TrackerUrl::parse(&url).is_ok(), "{url}");
        let target = &url[url[7..].find('/').expect("a path") + 7..];
        prop_assert_eq!(decode_request(target), Ok(HttpRequest::Announce(announce)));
        let url = scrape_url(&tracker, announce.info_hash).expect("a scrape");
        let target = &url[url[7..].find('/').expect("a path") + 7..];
        prop_assert_eq!(decode_request(target), Ok(HttpRequest::Scrape(vec![announce.info_hash])));
    }

    #[test]
    fn a_request_survives_a_datagram(
        announce in announce(),
        connection in any::<u64>(),
        transaction in any::<u32>(),
        path in "[ -~]{0,700}",
        hashes in 1usize..75,
    ) {
        let options = udp::url_options(&path);
        prop_assert_eq!(udp::url_data(&options), path.as_bytes());
        let info_hashes = vec![7; 20 * hashes];
        for request in [
            Request::Connect { transaction },
            Request::Announce { connection, transaction, announce, options: &options },
            Request::Scrape { connection, transaction, info_hashes: &info_hashes },
        ] {
            let datagram = request.encode();
            prop_assert_eq!(Request::decode(&datagram), Some(request));
            prop_assert_eq!(Request::decode(&datagram[..15]), None);
        }
    }

    #[test]
    fn a_response_survives_a_datagram(
        (transaction, connection) in any::<(u32, u64)>(),
        (interval, leechers, seeds) in any::<(u32, u32, u32)>(),
        peers in (any::<bool>(), prop::collection::vec((v4(), v6()), 0..50)),
        counts in prop::collection::vec(counts(), 0..75),
        message in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let peers: Vec<SocketAddr> = peers.1.iter().map(|pair| if peers.0 { pair.0 } else { pair.1 }).collect();
        let packed = udp::pack_peers(peers.iter().copied());
        if let Some(from) = peers.first() {
            prop_assert_eq!(udp::peers(&packed, *from).collect::<Vec<_>>(), peers.clone());
        }
        let packed_counts = udp::pack_counts(counts.iter().copied());
        prop_assert_eq!(udp::scrape_counts(&packed_counts).collect::<Vec<_>>(), counts);
        for response in [
            Response::Connect { connection },
            Response::Announce { interval, leechers, seeds, peers: &packed },
            Response::Scrape { counts: &packed_counts },
            Response::Error { message: &message },
        ] {
            let datagram = response.encode(transaction);
            prop_assert_eq!(Response::transaction(&datagram), Some(transaction));
            prop_assert_eq!(Response::decode(&datagram), Ok(response));
        }
    }

    #[test]
    fn an_answer_survives_bencode(
        (interval, min_interval, seeds, leechers) in (
            prop::option::of(0..=i64::MAX as u64), prop::option::of(0u64..9999), any::<Option<u32>>(), any::<Option<u32>>(),
        ),
        id in prop::option::of(prop::collection::vec(any::<u8>(), 1..100)),
        warning in prop::option::of("[a-zé ]{1,50}"),
        ip in prop::option::of(prop_oneof![v4(), v6()]),
        (v4, v6) in (prop::collection::vec(v4(), 0..50), prop::collection::vec(v6(), 0..50)),
        swarms in prop::collection::btree_map(any::<[u8; 20]>(), counts(), 1..20),
        junk in prop::collection::vec(any::<u8>(), 0..10),
    ) {
        let answer = AnnounceAnswer {
            interval: interval.map(Duration::from_secs),
            min_interval: min_interval.map(Duration::from_secs),
            tracker_id: id.as_deref(),
            seeds,
            leechers,
            external_ip: ip.map(|address| address.ip()),
            warning,
            peers: v4.into_iter().chain(v6).collect(),
        };
        let mut body = encode_announce(&answer);
        body.extend(junk);
        prop_assert_eq!(decode_announce(&body), Ok(Answer::Done(answer)));
        let swarms: Vec<_> = swarms.into_iter().map(|(hash, counts)| (SwarmHash(hash), counts)).collect();
        let body = encode_scrape(&swarms);
        for (swarm, counts) in swarms {
            prop_assert_eq!(decode_scrape(&body, swarm), Ok(Answer::Done(counts)));
        }
    }

    #[test]
    fn a_refusal_survives_bencode(reason in "[a-z ]{0,100}") {
        let refused = Answer::Refused { reason: reason.clone(), retry: None };
        let body = encode_failure(&reason);
        prop_assert_eq!(decode_announce(&body), Ok(refused));
    }

    #[test]
    fn anything_can_be_decoded(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,100}") {
        let _ = Request::decode(&bytes);
        let _ = Response::decode(&bytes);
        let _ = udp::url_data(&bytes);
        let _ = udp::peers(&bytes, SocketAddr::from(([1, 2, 3, 4], 5))).count();
        let _ = decode_announce(&bytes);
        let _ = decode_scrape(&bytes, SwarmHash([1; 20]));
        for text in [text.clone(), format!("/announce?{text}"), format!("/announce?info_hash={text}&port={text}")] {
            let _ = decode_request(&text);
        }
        for text in [text.clone(), format!("http://{text}"), format!("udp://{text}:1/announce?{text}")] {
            let _ = TrackerUrl::parse(&text);
        }
    }
}

#[test]
fn peers_that_nobody_can_call_are_left_out() {
    let packed =
        [0, 0, 0, 0, 0, 9, 1, 2, 3, 4, 0, 0, 224, 0, 0, 1, 0, 9, 255, 255, 255, 255, 0, 9, 1, 2, 3, 4, 0, 9];
    let peers: Vec<SocketAddr> = udp::peers(&packed, SocketAddr::from(([1, 2, 3, 4], 5))).collect();
    assert_eq!(peers, [SocketAddr::from(([1, 2, 3, 4], 9))]);
}

#[test]
fn options_are_read_as_their_bep_shows() {
    for options in [
        b"\x02\x0c/dir?a=b&c=d".as_slice(),
        b"\x02\x0c/dir?a=b&c=d\x01\x01\x00\x02\x01x",
        b"\x02\x04/dir\x09\x02??\x02\x00\x02\x08?a=b&c=d\x02\x09short",
    ] {
        assert_eq!(udp::url_data(options), b"/dir?a=b&c=d");
    }
}
