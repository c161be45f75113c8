//! Announces over UDP (BEP 15, 41): the schedule, connection ids, liars.

mod common;

use common::{TORRENT, TRACKER, World, events, failures, kind, seconds};
use downpour_base::{PeerEndpoint, TorrentId};
use downpour_tracker::client::{Event, Failure, Input, Output, ResolveError};
use downpour_tracker::udp::{Request, Response, pack_peers, url_data};

const URL: &str = "udp://203.0.113.5:80/announce?k=1";
const ANSWER: Response<'_> = Response::Announce { interval: 900, leechers: 5, seeds: 4, peers: &[] };

/// A world whose torrent has just asked for a connection id; and the transaction.
fn connecting() -> (World, u32) {
    let mut world = World::new();
    world.start(&[&[URL]]);
    let datagrams = world.datagrams();
    let [(0, _, datagram)] = &datagrams[..] else { panic!("{datagrams:?}") };
    let ("connect", transaction) = kind(datagram) else { panic!("{datagrams:?}") };
    (world, transaction)
}

/// A world whose torrent has just been announced; and the transaction.
fn announcing() -> (World, u32) {
    let (mut world, transaction) = connecting();
    world.respond(TRACKER, transaction, Response::Connect { connection: 77 });
    let datagrams = world.datagrams();
    let [(_, _, datagram)] = &datagrams[..] else { panic!("{datagrams:?}") };
    let ("announce", transaction) = kind(datagram) else { panic!("{datagrams:?}") };
    (world, transaction)
}

fn sent(world: &mut World) -> Vec<(u64, &'static str)> {
    world.datagrams().iter().map(|(at, _, datagram)| (*at, kind(datagram).0)).collect()
}

#[test]
fn a_connect_request_is_sent_again_after_15_times_2_to_the_n_seconds() {
    let (mut world, _) = connecting();
    world.pass(seconds(20_000));
    let times: Vec<u64> = sent(&mut world).iter().map(|(at, _)| *at).collect();
    // n goes up to 8, where it stays.
    assert_eq!(times, [15, 45, 105, 225, 465, 945, 1905, 3825, 7665, 11_505, 15_345, 19_185]);
}

#[test]
fn an_announce_is_sent_again_on_the_same_schedule_and_with_a_new_connection_id() {
    // The example "announce times out" of BEP 15, which begins its announces at t = 2.
    let (mut world, transaction) = connecting();
    world.pass(seconds(1));
    world.respond(TRACKER, transaction, Response::Connect { connection: 77 });
    assert_eq!(sent(&mut world), [(1, "announce")]);
    world.pass(seconds(300));
    assert_eq!(sent(&mut world), [(16, "announce"), (46, "announce"), (106, "connect"), (226, "connect")]);
}

#[test]
fn a_connection_id_is_used_for_a_minute_and_shared_by_all_torrents_of_a_host() {
    let (mut world, transaction) = announcing();
    world.respond(TRACKER, transaction, ANSWER);
    world.pass(seconds(59));
    let announce = |world: &mut World, number| {
        world.add(TorrentId(number), &[&["udp://203.0.113.5:80"]]);
        world.input(Input::Start { torrent: TorrentId(number) });
        sent(world)
    };
    assert_eq!(announce(&mut world, 2), [(59, "announce")]);
    assert_eq!(announce(&mut world, 3), [(59, "announce")]);
    world.pass(seconds(1));
    assert_eq!(announce(&mut world, 4), [(60, "connect")]);
    assert_eq!(announce(&mut world, 5), [], "one connect for all");
}

#[test]
fn an_announce_carries_everything_and_the_url() {
    let (mut world, transaction) = connecting();
    world.respond(TRACKER, transaction, Response::Connect { connection: 77 });
    let (_, to, datagram) = world.datagrams().remove(0);
    assert_eq!(to.to_string(), TRACKER);
    let Some(Request::Announce { connection: 77, announce, options, .. }) = Request::decode(&datagram) else {
        panic!("{datagram:?}")
    };
    assert_eq!(url_data(options), b"/announce?k=1");
    let totals = (announce.uploaded, announce.downloaded, announce.left, announce.want);
    assert_eq!((totals, announce.port), ((1, 2, 3, Some(50)), 6881));
}

#[test]
fn the_answer_names_peers() {
    let (mut world, transaction) = announcing();
    let peers = ["198.51.100.7:1", "198.51.100.8:2"].map(|peer| peer.parse().expect("an address"));
    let packed = pack_peers(peers);
    world.respond(
        TRACKER,
        transaction,
        Response::Announce { interval: 900, leechers: 5, seeds: 4, peers: &packed },
    );
    let out = world.take();
    let endpoints = peers.map(PeerEndpoint::Tcp).to_vec();
    assert!(out.contains(&Output::Peers { torrent: TORRENT, endpoints }));
    assert!(matches!(
        &events(&out)[..],
        [Event::Announced { peers: 2, interval, seeds: Some(4), leechers: Some(5), .. }] if *interval == seconds(900)
    ));
    world.pass(seconds(899));
    assert_eq!(world.take(), []);
    world.pass(seconds(1));
    assert_eq!(sent(&mut world), [(900, "connect")]);
}

#[test]
fn what_others_send_is_ignored() {
    let (mut world, transaction) = announcing();
    let elsewhere = ["203.0.113.6:80", "203.0.113.5:81"];
    elsewhere.iter().for_each(|from| world.respond(from, transaction, ANSWER));
    world.respond(TRACKER, transaction.wrapping_add(1), ANSWER);
    let from = TRACKER.parse().expect("an address");
    for payload in [vec![], vec![0; 7], transaction.to_be_bytes().to_vec(), vec![9; 30]] {
        world.input(Input::Datagram { from, payload });
    }
    assert_eq!(world.take(), []);
    world.respond(TRACKER, transaction, ANSWER);
    assert_eq!(events(&world.take()).len(), 1);
    world.respond(TRACKER, transaction, ANSWER);
    assert_eq!(world.take(), [], "once is enough");
}

#[test]
fn wrong_answers_and_refusals_are_typed() {
    let (mut world, transaction) = announcing();
    world.respond(TRACKER, transaction, Response::Scrape { counts: &[0; 12] });
    assert_eq!(
        failures(&world.take())[0].0.to_string(),
        "the tracker's answer is wrong: it answers something else"
    );

    let (mut world, transaction) = announcing();
    let from = TRACKER.parse().expect("an address");
    let payload = ANSWER.encode(transaction)[..19].to_vec();
    world.input(Input::Datagram { from, payload });
    assert_eq!(failures(&world.take())[0].0.to_string(), "the tracker's answer is wrong: it is too short");

    let (mut world, transaction) = announcing();
    world.respond(TRACKER, transaction, Response::Error { message: b"go\x07 away" });
    assert_eq!(failures(&world.take()), [(Failure::Refused("go away".to_owned()), Some(60))]);
    world.pass(seconds(59));
    assert_eq!(sent(&mut world), []);
    world.pass(seconds(1));
    assert_eq!(sent(&mut world), [(60, "connect")], "the error may have meant the connection id");
}

#[test]
fn a_name_is_looked_up_once_for_all() {
    let mut world = World::new();
    for number in 1..5 {
        world.add(TorrentId(number), &[&["udp://t.example:80/announce"]]);
        world.input(Input::Start { torrent: TorrentId(number) });
    }
    let out = world.take();
    let resolves: Vec<_> = out.iter().filter(|output| matches!(output, Output::Resolve { .. })).collect();
    let [Output::Resolve { job, host, port: 80 }] = resolves[..] else { panic!("{resolves:?}") };
    assert_eq!(host, "t.example");
    let addresses = vec!["192.0.2.1:80".parse().expect("one"), "192.0.2.2:80".parse().expect("one")];
    world.input(Input::Resolved { job: *job, result: Ok(addresses) });
    // One address does not answer, so the next is tried.
    world.pass(seconds(15));
    let to: Vec<String> = world.datagrams().iter().map(|(_, to, _)| to.to_string()).collect();
    assert_eq!(to, ["192.0.2.1:80", "192.0.2.2:80"]);
}

#[test]
fn a_name_without_address_fails_those_who_wait() {
    let mut world = World::new();
    world.start(&[&["udp://t.example:80/announce"]]);
    let job = world.take().into_iter().find_map(|output| match output {
        Output::Resolve { job, .. } => Some(job),
        _ => None,
    });
    let error = ResolveError { message: "no such host".to_owned() };
    world.input(Input::Resolved { job: job.expect("a look-up"), result: Err(error.clone()) });
    assert_eq!(failures(&world.take()), [(Failure::Resolve(error), Some(17))]);
    world.pass(seconds(17));
    assert!(world.take().iter().any(|output| matches!(output, Output::Resolve { .. })));
    // Nor does a driver that never answers hold anything up.
    world.pass(seconds(30));
    let out = world.take();
    assert!(out.iter().any(|output| matches!(output, Output::Cancel { .. })));
    assert_eq!(failures(&out).len(), 1);
}

#[test]
fn after_45_seconds_without_an_answer_the_next_tracker_has_its_turn() {
    let mut world = World::new();
    world.start(&[&[URL], &["http://b.example/announce"]]);
    world.take();
    world.pass(seconds(44));
    assert_eq!(world.requests(), []);
    world.pass(seconds(1));
    assert_eq!(world.requests().len(), 1);
}

#[test]
fn stopped_is_said_over_udp_and_given_up_soon() {
    let (mut world, transaction) = announcing();
    world.respond(TRACKER, transaction, ANSWER);
    world.take();
    world.input(Input::Stop { torrent: TORRENT });
    assert_eq!(sent(&mut world), [(0, "announce")]);
    world.pass(seconds(4));
    assert_eq!(world.take(), []);
    world.pass(seconds(1));
    assert_eq!(world.take(), [Output::Stopped { torrent: TORRENT }]);
}

#[test]
fn a_swarm_is_scraped_over_udp() {
    let (mut world, transaction) = announcing();
    world.respond(TRACKER, transaction, ANSWER);
    world.take();
    world.input(Input::Scrape { torrent: TORRENT });
    let (_, _, datagram) = world.datagrams().remove(0);
    let ("scrape", transaction) = kind(&datagram) else { panic!("{datagram:?}") };
    let counts = [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
    world.respond(TRACKER, transaction, Response::Scrape { counts: &counts });
    let found = events(&world.take());
    assert!(
        matches!(&found[..], [Event::Scraped { counts, .. }] if (counts.seeds, counts.downloads, counts.leechers) == (1, 2, 3)),
        "{found:?}"
    );
}
