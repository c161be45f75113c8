//! The tracker itself.

use core::net::SocketAddr;
use core::time::Duration;

use downpour_base::{Instant, Machine, PeerId, Seed};
use downpour_tracker::client::ScrapeCounts;
use downpour_tracker::http::{AnnounceAnswer, Answer, announce_url, decode_announce, decode_scrape};
use downpour_tracker::server::{Input, Output, RequestId, Server, Settings};
use downpour_tracker::udp::{Request, Response, peers, scrape_counts};
use downpour_tracker::{Announce, AnnounceEvent, SwarmHash, TrackerUrl};
use proptest::prelude::*;

const SWARM: SwarmHash = SwarmHash([7; 20]);

struct World {
    server: Server,
    now: Instant,
}

fn announce(left: u64, event: AnnounceEvent) -> Announce {
    Announce {
        info_hash: SWARM,
        peer_id: PeerId([1; 20]),
        port: 6881,
        uploaded: 0,
        downloaded: 0,
        left,
        event,
        key: 0,
        want: None,
    }
}

fn from(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse().expect("an address"), 50_000)
}

fn peer(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse().expect("an address"), 6881)
}

impl World {
    fn new(settings: Settings) -> Self {
        let now = Instant::ORIGIN + Duration::from_secs(100_000);
        Self { server: Server::new(Seed::from_u64(1), settings), now }
    }

    fn get(&mut self, ip: &str, target: String) -> (u16, Vec<u8>) {
        let request = RequestId(5);
        self.server.handle_input(self.now, Input::Http { request, from: from(ip), target });
        let Some(Output::Http { request: RequestId(5), status, body }) = self.server.poll_output() else {
            panic!("no answer")
        };
        (status, body)
    }

    fn raw(&mut self, ip: &str, announce: &Announce) -> Vec<u8> {
        let tracker = TrackerUrl::parse("http://t/announce").expect("a URL");
        self.get(ip, announce_url(&tracker, announce, None)["http://t".len()..].to_owned()).1
    }

    fn http(&mut self, ip: &str, announce: &Announce) -> Vec<SocketAddr> {
        let body = self.raw(ip, announce);
        match decode_announce(&body) {
            Ok(Answer::Done(AnnounceAnswer { peers, .. })) => peers,
            other => panic!("{other:?}"),
        }
    }

    fn udp(&mut self, ip: &str, request: &Request<'_>) -> Option<Vec<u8>> {
        self.server.handle_input(self.now, Input::Datagram { from: from(ip), payload: request.encode() });
        match self.server.poll_output()? {
            Output::Datagram { to, payload } if to == from(ip) => Some(payload),
            other => panic!("{other:?}"),
        }
    }

    fn connect(&mut self, ip: &str) -> u64 {
        let payload = self.udp(ip, &Request::Connect { transaction: 3 }).expect("an answer");
        match Response::decode(&payload) {
            Ok(Response::Connect { connection }) => connection,
            other => panic!("{other:?}"),
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.server.poll_timeout().filter(|at| *at <= end) {
            self.now = at;
            self.server.handle_timeout(self.now);
        }
        self.now = end;
    }

    fn sizes(&self) -> (u64, u64, u64) {
        let statistics = self.server.statistics();
        (statistics.swarms, statistics.peers, statistics.seeds)
    }
}

#[test]
fn peers_hear_of_each_other() {
    let mut world = World::new(Settings::default());
    assert_eq!(world.http("192.0.2.1", &announce(9, AnnounceEvent::Started)), []);
    assert_eq!(world.http("2001:db8::2", &announce(0, AnnounceEvent::Started)), [peer("192.0.2.1")]);
    assert_eq!(world.http("192.0.2.1", &announce(9, AnnounceEvent::None)), [peer("2001:db8::2")]);
    assert_eq!(
        world.http("::ffff:192.0.2.3", &announce(0, AnnounceEvent::None)),
        [peer("192.0.2.1")],
        "no seeds for a seed"
    );
    assert_eq!(world.sizes(), (1, 3, 2));
    world.http("192.0.2.1", &announce(9, AnnounceEvent::Stopped));
    assert_eq!(world.sizes(), (1, 2, 2));
}

#[test]
fn an_answer_has_the_numbers_and_the_address_it_came_from() {
    let mut world = World::new(Settings::default());
    let body = world.raw("192.0.2.1", &announce(0, AnnounceEvent::Started));
    let Ok(Answer::Done(answer)) = decode_announce(&body) else { panic!("{body:?}") };
    let minutes = |minutes: u64| Some(Duration::from_secs(60 * minutes));
    assert_eq!((answer.interval, answer.min_interval), (minutes(30), minutes(5)));
    assert_eq!((answer.seeds, answer.leechers), (Some(1), Some(0)));
    assert_eq!(answer.external_ip, "192.0.2.1".parse().ok());
}

#[test]
fn completed_downloads_are_counted_once() {
    let mut world = World::new(Settings::default());
    world.http("192.0.2.1", &announce(9, AnnounceEvent::Started));
    for _ in 0..3 {
        world.http("192.0.2.1", &announce(0, AnnounceEvent::Completed));
    }
    world.http("192.0.2.9", &announce(0, AnnounceEvent::Completed));
    let hash = "%07".repeat(20);
    let other = "%08".repeat(20);
    let (status, body) = world.get("192.0.2.1", format!("/x/scrape?info_hash={hash}&info_hash={other}"));
    assert_eq!(status, 200);
    let counts = ScrapeCounts { seeds: 2, downloads: 1, leechers: 0 };
    assert_eq!(decode_scrape(&body, SWARM), Ok(Answer::Done(counts)));
    assert!(decode_scrape(&body, SwarmHash([8; 20])).is_err(), "nobody knows it");
}

#[test]
fn who_falls_silent_is_forgotten() {
    let mut world = World::new(Settings { interval: Duration::from_secs(100), ..Settings::default() });
    world.http("192.0.2.1", &announce(9, AnnounceEvent::Started));
    world.pass(Duration::from_secs(150));
    world.http("192.0.2.2", &announce(9, AnnounceEvent::Started));
    world.pass(Duration::from_secs(49));
    assert_eq!(world.sizes().1, 2);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.sizes().1, 1);
    assert_eq!(world.server.statistics().expired, 1);
    world.pass(Duration::from_secs(1000));
    assert_eq!((world.sizes().1, world.server.poll_timeout()), (0, None));
}

#[test]
fn those_that_were_silent_longest_make_room() {
    let mut world = World::new(Settings { max_peers: 3, max_swarms: 2, ..Settings::default() });
    for (ip, swarm) in
        [("192.0.2.1", 1), ("192.0.2.2", 1), ("192.0.2.3", 2), ("192.0.2.1", 1), ("192.0.2.4", 2)]
    {
        let info_hash = SwarmHash([swarm; 20]);
        world.http(ip, &Announce { info_hash, ..announce(9, AnnounceEvent::None) });
    }
    let leechers =
        |world: &World, swarm| world.server.swarm(SwarmHash([swarm; 20])).map(|swarm| swarm.leechers);
    assert_eq!((leechers(&world, 1), leechers(&world, 2)), (Some(1), Some(2)), "192.0.2.2 had to go");
    world.http("192.0.2.9", &Announce { info_hash: SwarmHash([3; 20]), ..announce(9, AnnounceEvent::None) });
    assert_eq!((leechers(&world, 1), leechers(&world, 2), leechers(&world, 3)), (None, Some(2), Some(1)));
    assert_eq!(world.server.statistics().evicted, 2);
}

#[test]
fn only_listed_swarms_are_served_if_there_is_a_list() {
    let mut world = World::new(Settings { whitelist: true, ..Settings::default() });
    let body = world.raw("192.0.2.1", &announce(9, AnnounceEvent::Started));
    assert!(matches!(decode_announce(&body), Ok(Answer::Refused { .. })));
    let connection = world.connect("192.0.2.1");
    let (transaction, options) = (4, [].as_slice());
    let request =
        Request::Announce { connection, transaction, announce: announce(9, AnnounceEvent::Started), options };
    let payload = world.udp("192.0.2.1", &request).expect("an answer");
    assert!(matches!(Response::decode(&payload), Ok(Response::Error { .. })));
    world.server.handle_input(world.now, Input::Allow(SWARM));
    world.http("192.0.2.1", &announce(9, AnnounceEvent::Started));
    assert_eq!(world.sizes(), (1, 1, 0));
    world.server.handle_input(world.now, Input::Disallow(SWARM));
    assert_eq!(world.sizes(), (0, 0, 0));
}

#[test]
fn requests_that_are_none_are_refused_in_words() {
    let mut world = World::new(Settings::default());
    let hash = "%07".repeat(20);
    for (target, status, words) in [
        ("/".to_owned(), 404, "no such page"),
        ("/announce".to_owned(), 400, "info_hash is missing"),
        (format!("/announce?info_hash={hash}"), 400, "peer_id is missing"),
        (format!("/announce?info_hash={hash}&peer_id={hash}&port=0"), 400, "port is missing"),
        (
            format!("/announce?info_hash={hash}&peer_id={hash}&port=1&left=-1"),
            400,
            "uploaded, downloaded, left",
        ),
        ("/scrape".to_owned(), 400, "a scrape names"),
        (format!("/scrape?{}", format!("info_hash={hash}&").repeat(75)), 400, "a scrape names"),
        (format!("/announce?{}", "x".repeat(10_000)), 400, "the request is too long"),
    ] {
        let (found, body) = world.get("192.0.2.1", target.clone());
        let Ok(Answer::Refused { reason, .. }) = decode_announce(&body) else { panic!("{body:?}") };
        assert!(found == status && reason.starts_with(words), "{found} {reason}: {target}");
    }
    assert_eq!(world.server.statistics().refused, 8);
}

#[test]
fn a_connection_id_is_good_for_two_minutes_and_for_one_address() {
    let mut world = World::new(Settings::default());
    let connection = world.connect("192.0.2.1");
    let announce = announce(9, AnnounceEvent::None);
    let request = Request::Announce { connection, transaction: 4, announce, options: b"\x02\x03/?x" };
    let served = |world: &mut World, ip| {
        let payload = world.udp(ip, &request).expect("an answer");
        assert_eq!(Response::transaction(&payload), Some(4));
        assert!(payload.len() <= request.encode().len());
        matches!(Response::decode(&payload), Ok(Response::Announce { interval: 1800, .. }))
    };
    assert!(served(&mut world, "192.0.2.1"));
    assert!(!served(&mut world, "192.0.2.2"));
    world.pass(Duration::from_secs(120));
    assert!(served(&mut world, "192.0.2.1"));
    world.pass(Duration::from_secs(60));
    assert!(!served(&mut world, "192.0.2.1"));
}

#[test]
fn udp_gives_peers_of_the_family_that_asks_and_numbers_for_many_swarms() {
    let mut world = World::new(Settings::default());
    for ip in ["192.0.2.1", "2001:db8::1", "192.0.2.2"] {
        world.http(ip, &announce(9, AnnounceEvent::Started));
    }
    for (ip, expected) in [("192.0.2.1", "192.0.2.2"), ("2001:db8::9", "2001:db8::1")] {
        let connection = world.connect(ip);
        let announce = announce(9, AnnounceEvent::None);
        let request = Request::Announce { connection, transaction: 4, announce, options: &[] };
        let payload = world.udp(ip, &request).expect("an answer");
        let Ok(Response::Announce { peers: packed, leechers, .. }) = Response::decode(&payload) else {
            panic!("{payload:?}")
        };
        assert_eq!(peers(packed, from(ip)).collect::<Vec<_>>(), [peer(expected)]);
        assert!(leechers >= 3);
    }
    let connection = world.connect("192.0.2.1");
    let info_hashes = [[8; 20], [7; 20]].concat();
    let payload =
        world.udp("192.0.2.1", &Request::Scrape { connection, transaction: 1, info_hashes: &info_hashes });
    let payload = payload.expect("an answer");
    let Ok(Response::Scrape { counts }) = Response::decode(&payload) else { panic!("{payload:?}") };
    let leechers: Vec<u32> = scrape_counts(counts).map(|counts| counts.leechers).collect();
    assert_eq!(leechers, [0, 4]);
}

#[test]
fn what_is_no_request_gets_no_answer() {
    let mut world = World::new(Settings::default());
    for payload in [vec![], vec![0; 15], vec![0; 16], vec![1; 200]] {
        world.server.handle_input(world.now, Input::Datagram { from: from("192.0.2.1"), payload });
        assert_eq!(world.server.poll_output(), None);
    }
}

#[test]
fn peers_are_drawn_at_random_and_never_twice() {
    let mut world = World::new(Settings { max_peers_per_answer: 10, ..Settings::default() });
    for number in 0..100 {
        world.http(&format!("192.0.2.{number}"), &announce(9, AnnounceEvent::Started));
    }
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let drawn = world.http("192.0.2.1", &announce(9, AnnounceEvent::None));
        let distinct: std::collections::BTreeSet<_> = drawn.iter().copied().collect();
        assert!(drawn.len() == 10 && distinct.len() == 10 && !distinct.contains(&peer("192.0.2.1")));
        seen.extend(distinct);
    }
    assert!(seen.len() > 95, "{} of 99 in 100 draws of 10", seen.len());
}

#[derive(Clone, Debug)]
enum Step {
    Announce { who: u8, swarm: u8, left: u64, event: u32, v6: bool },
    Pass(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let announce = (0u8..12, 0u8..4, 0u64..2, 0u32..4, any::<bool>())
        .prop_map(|(who, swarm, left, event, v6)| Step::Announce { who, swarm, left, event, v6 });
    prop_oneof![9 => announce, 1 => (0u16..300).prop_map(Step::Pass)]
}

proptest! {
    /// A naive twin: a list of who announced when, searched from end to end.
    #[test]
    fn it_keeps_what_a_plain_list_keeps(steps in prop::collection::vec(step(), 0..120)) {
        let settings = Settings {
            interval: Duration::from_secs(100), max_peers: 8, max_swarms: 3, ..Settings::default()
        };
        let mut world = World::new(settings);
        let mut peers: Vec<(u8, SocketAddr, bool, Instant)> = Vec::new();
        let mut swarms: Vec<u8> = Vec::new();
        for step in steps {
            match step {
                Step::Pass(seconds) => {
                    world.pass(Duration::from_secs(u64::from(seconds)));
                    peers.retain(|peer| peer.3 + Duration::from_secs(200) >= world.now);
                }
                Step::Announce { who, swarm, left, event, v6 } => {
                    let ip = if v6 { format!("2001:db8::{who}") } else { format!("192.0.2.{who}") };
                    let event = AnnounceEvent::from_number(event).expect("one of four");
                    let info_hash = SwarmHash([swarm; 20]);
                    let drawn = world.http(&ip, &Announce { info_hash, ..announce(left, event) });
                    peers.retain(|peer| (peer.0, peer.1) != (swarm, self::peer(&ip)));
                    if event != AnnounceEvent::Stopped {
                        swarms.retain(|other| *other != swarm);
                        swarms.push(swarm);
                        peers.push((swarm, self::peer(&ip), left == 0, world.now));
                        if swarms.len() > 3 {
                            let gone = swarms.remove(0);
                            peers.retain(|peer| peer.0 != gone);
                        }
                        if peers.len() > 8 {
                            peers.remove(0);
                        }
                        let mut others: Vec<SocketAddr> = peers
                            .iter()
                            .filter(|peer| peer.0 == swarm && peer.1 != self::peer(&ip) && (left > 0 || !peer.2))
                            .map(|peer| peer.1)
                            .collect();
                        others.sort_unstable();
                        let mut drawn = drawn;
                        drawn.sort_unstable();
                        prop_assert_eq!(drawn, others);
                    }
                }
            }
            prop_assert_eq!(world.sizes().1, peers.len() as u64);
            prop_assert_eq!(world.sizes().2, peers.iter().filter(|peer| peer.2).count() as u64);
            for swarm in 0..4u8 {
                let count = |seed| peers.iter().filter(|peer| peer.0 == swarm && peer.2 == seed).count() as u32;
                let found = world.server.swarm(SwarmHash([swarm; 20]));
                prop_assert_eq!(found.is_some(), swarms.contains(&swarm));
                if let Some(found) = found {
                    prop_assert_eq!((found.seeds, found.leechers), (count(true), count(false)));
                }
            }
        }
    }

    #[test]
    fn whatever_comes_there_is_one_answer_at_most(
        inputs in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..150), 0u32..5, "\\PC{0,60}"), 0..30),
    ) {
        let mut world = World::new(Settings { max_peers: 4, max_swarms: 2, ..Settings::default() });
        let connection = world.connect("192.0.2.1");
        for (mut payload, action, text) in inputs {
            // Sometimes it gets past the door.
            if let Some(head) = payload.first_chunk_mut::<12>() {
                head[..8].copy_from_slice(&connection.to_be_bytes());
                head[8..].copy_from_slice(&action.to_be_bytes());
            }
            world.server.handle_input(world.now, Input::Datagram { from: from("192.0.2.1"), payload });
            let answers = std::iter::from_fn(|| world.server.poll_output()).count();
            prop_assert!(answers <= 1);
            world.get("192.0.2.1", format!("/announce?info_hash={text}&{text}"));
            prop_assert!(world.sizes().0 <= 2 && world.sizes().1 <= 4);
        }
    }
}
