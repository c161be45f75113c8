//! Announces over HTTP: events, intervals, tiers, refusals.

mod common;

use core::time::Duration;

use common::{TORRENT, World, event_of, events, failures, hash, seconds};
use downpour_base::{PeerEndpoint, TorrentId};
use downpour_tracker::AnnounceEvent;
use downpour_tracker::client::{Event, Failure, HttpResponse, Input, Output, Settings, Totals};
use downpour_tracker::http::AnnounceAnswer;

const URL: &str = "http://t.example/announce";

#[test]
fn an_announce_says_what_the_bep_asks_for() {
    let mut world = World::new();
    world.start(&[&["http://t.example/announce?pass=x"]]);
    let (_, url) = world.request();
    let info_hash = "%00%00%00%00%00%00%00%01%00%00%00%00%00%00%00%00%00%00%00%00";
    let start =
        format!("http://t.example/announce?pass=x&info_hash={info_hash}&peer_id=pppppppppppppppppppp");
    assert!(url.starts_with(&start), "{url}");
    for pair in
        ["port=6881", "uploaded=1", "downloaded=2", "left=3", "compact=1", "numwant=50", "event=started"]
    {
        assert!(url.split('&').any(|other| other == pair), "{pair} in {url}");
    }
    let key = url.split('&').find_map(|pair| pair.strip_prefix("key=")).map(str::len);
    assert_eq!(key, Some(8), "at least 32 bits");
}

#[test]
fn peers_events_and_the_external_address_come_out() {
    let mut world = World::new();
    world.start(&[&[URL]]);
    let (job, _) = world.request();
    let peers = ["198.51.100.7:1", "[2001:db8::7]:2"].map(|peer| peer.parse().expect("an address"));
    world.answer(
        job,
        &AnnounceAnswer {
            interval: Some(seconds(900)),
            seeds: Some(4),
            leechers: Some(5),
            external_ip: "192.0.2.9".parse().ok(),
            warning: Some("do\u{1b}not\u{202e} shout".to_owned()),
            peers: peers.to_vec(),
            ..AnnounceAnswer::default()
        },
    );
    let out = world.take();
    assert!(out.contains(&Output::ExternalAddress { ip: "192.0.2.9".parse().expect("an address") }));
    let endpoints = peers.map(PeerEndpoint::Tcp).to_vec();
    assert!(out.contains(&Output::Peers { torrent: TORRENT, endpoints }));
    let tracker = || URL.into();
    let warning = Event::Warning { torrent: TORRENT, tracker: tracker(), message: "donot shout".to_owned() };
    let announced = Event::Announced {
        torrent: TORRENT,
        tracker: tracker(),
        event: AnnounceEvent::Started,
        peers: 2,
        interval: seconds(900),
        seeds: Some(4),
        leechers: Some(5),
    };
    assert_eq!(events(&out), [warning, announced]);
}

#[test]
fn it_announces_again_after_the_interval_without_an_event() {
    let mut world = World::new();
    world.start(&[&[URL]]);
    let (job, _) = world.request();
    world.interval(job, 900);
    world.take();
    world.pass(seconds(899));
    assert_eq!(world.requests(), []);
    world.pass(seconds(1));
    assert_eq!(event_of(&world.request().1), None);
}

#[test]
fn intervals_that_no_tracker_can_mean_are_taken_within_bounds() {
    for (said, meant) in [(0, 60), (1i64 << 60, 6 * 3600), (59, 60), (3600, 3600)] {
        let mut world = World::new();
        world.start(&[&[URL]]);
        let (job, _) = world.request();
        world.body(job, format!("d8:intervali{said}e5:peers0:e"));
        world.take();
        world.pass(seconds(meant - 1));
        assert_eq!(world.requests(), [], "{said}");
        world.pass(seconds(1));
        assert_eq!(world.requests().len(), 1, "{said}");
    }
    // Below zero or absent: as if nothing was said.
    for body in ["d8:intervali-5e5:peers0:e", "de"] {
        let mut world = World::new();
        world.start(&[&[URL]]);
        let (job, _) = world.request();
        world.body(job, body);
        world.take();
        world.pass(seconds(1799));
        assert_eq!(world.requests(), [], "{body}");
        world.pass(seconds(1));
        assert_eq!(world.requests().len(), 1, "{body}");
    }
}

#[test]
fn completed_goes_out_at_once_and_once_only() {
    let mut world = World::new();
    world.start(&[&[URL]]);
    let (job, _) = world.request();
    world.interval(job, 900);
    world.take();
    world.totals.left = 0;
    world.pass(seconds(2));
    world.input(Input::Completed { torrent: TORRENT });
    let (job, url) = world.request();
    assert_eq!(event_of(&url), Some("completed"));
    world.interval(job, 900);
    world.take();
    world.input(Input::Completed { torrent: TORRENT });
    assert_eq!(world.requests(), []);
    world.pass(seconds(900));
    assert_eq!(event_of(&world.request().1), None);
}

#[test]
fn completed_is_said_when_the_download_ends_while_an_announce_is_under_way() {
    let mut world = World::new();
    world.start(&[&[URL]]);
    let (job, _) = world.request();
    world.totals.left = 0;
    world.input(Input::Completed { torrent: TORRENT });
    assert_eq!(world.requests(), [], "one at a time");
    world.pass(seconds(3));
    world.interval(job, 900);
    world.pass(Duration::ZERO);
    assert_eq!(event_of(&world.request().1), Some("completed"));
}

#[test]
fn a_torrent_that_stops_as_soon_as_it_is_complete_says_both() {
    for under_way in ["regular", "none"] {
        let mut world = World::new();
        world.start(&[&[URL]]);
        let (job, _) = world.request();
        world.interval(job, 900);
        world.take();
        if under_way == "regular" {
            world.pass(seconds(900));
            assert_eq!(event_of(&world.request().1), None);
        }
        world.totals.left = 0;
        world.pass(seconds(2));
        world.take();
        world.input(Input::Completed { torrent: TORRENT });
        world.input(Input::Stop { torrent: TORRENT });
        let (job, url) = world.request();
        assert_eq!(event_of(&url), Some("completed"), "{under_way}");
        world.interval(job, 900);
        assert!(!world.out.iter().any(|(_, output)| *output == Output::Stopped { torrent: TORRENT }));
        let (job, url) = world.request();
        assert_eq!(event_of(&url), Some("stopped"), "{under_way}");
        world.interval(job, 900);
        assert!(world.take().contains(&Output::Stopped { torrent: TORRENT }));
        world.pass(seconds(10_000));
        assert_eq!(world.take(), [], "{under_way}");
    }
}

#[test]
fn a_tracker_that_does_not_hear_completed_is_not_waited_for_forever() {
    let mut world = World::new();
    world.start(&[&[URL]]);
    let (job, _) = world.request();
    world.interval(job, 900);
    world.totals.left = 0;
    world.pass(seconds(2));
    world.input(Input::Completed { torrent: TORRENT });
    world.input(Input::Remove { torrent: TORRENT });
    world.pass(seconds(10));
    assert!(world.take().contains(&Output::Stopped { torrent: TORRENT }));
}

#[test]
fn a_torrent_that_starts_again_while_it_says_completed_goes_on() {
    let mut world = World::new();
    world.start(&[&[URL]]);
    let (job, _) = world.request();
    world.interval(job, 900);
    world.totals.left = 0;
    world.pass(seconds(2));
    world.take();
    world.input(Input::Completed { torrent: TORRENT });
    world.input(Input::Stop { torrent: TORRENT });
    world.input(Input::Start { torrent: TORRENT });
    let told = |output: &Output| *output == Output::Stopped { torrent: TORRENT };
    assert!(world.out.iter().any(|(_, output)| told(output)), "who waits for it is told");
    let (job, url) = world.request();
    assert_eq!(event_of(&url), Some("completed"));
    world.interval(job, 900);
    world.pass(seconds(900));
    assert_eq!(event_of(&world.request().1), None);
}

#[test]
fn a_torrent_that_was_complete_at_the_start_is_never_completed() {
    let mut world = World::new();
    world.totals.left = 0;
    world.start(&[&[URL]]);
    let (job, url) = world.request();
    assert_eq!(event_of(&url), Some("started"));
    world.interval(job, 900);
    world.take();
    world.input(Input::Completed { torrent: TORRENT });
    assert_eq!(world.requests(), []);
}

#[test]
fn what_is_finished_but_not_complete_is_not_completed() {
    let mut world = World::new();
    world.start(&[&[URL]]);
    let (job, _) = world.request();
    world.interval(job, 900);
    world.take();
    world.pass(seconds(3));
    world.input(Input::Completed { torrent: TORRENT });
    assert_eq!(world.requests(), [], "three bytes are missing");
    world.pass(seconds(896));
    assert_eq!(world.requests(), []);
    world.pass(seconds(1));
    assert_eq!(event_of(&world.request().1), None);
}

#[test]
fn stopped_goes_to_who_knows_and_is_waited_for() {
    let mut world = World::new();
    world.start(&[&[URL]]);
    let (job, _) = world.request();
    world.interval(job, 900);
    world.take();
    world.input(Input::Stop { torrent: TORRENT });
    let (job, url) = world.request();
    assert_eq!(event_of(&url), Some("stopped"));
    assert!(url.contains("numwant=0"), "{url}");
    world.interval(job, 900);
    assert_eq!(world.take(), [Output::Stopped { torrent: TORRENT }]);
    world.pass(seconds(10_000));
    assert_eq!(world.take(), []);
    world.input(Input::Start { torrent: TORRENT });
    assert_eq!(event_of(&world.request().1), Some("started"));
}

#[test]
fn a_tracker_that_does_not_answer_holds_no_stop_up() {
    let mut world = World::with(Settings { stop_timeout: seconds(3), ..Settings::default() });
    world.start(&[&[URL]]);
    let (job, _) = world.request();
    world.interval(job, 900);
    world.take();
    world.input(Input::Remove { torrent: TORRENT });
    let (job, _) = world.request();
    world.pass(seconds(3));
    assert_eq!(world.take(), [Output::Cancel { job }, Output::Stopped { torrent: TORRENT }]);
    world.interval(job, 900);
    assert_eq!(world.take(), [], "too late");
}

#[test]
fn a_tracker_that_never_heard_of_the_torrent_is_not_told_that_it_stops() {
    let mut world = World::new();
    world.add(TORRENT, &[&[URL]]);
    world.input(Input::Stop { torrent: TORRENT });
    assert_eq!(world.take(), [Output::Stopped { torrent: TORRENT }]);
    world.input(Input::Start { torrent: TORRENT });
    let (job, _) = world.request();
    world.refuse_connection(job);
    world.take();
    world.input(Input::Remove { torrent: TORRENT });
    assert_eq!(world.take(), [Output::Stopped { torrent: TORRENT }]);
}

#[test]
fn a_started_that_is_under_way_is_taken_back_with_a_stopped() {
    let mut world = World::new();
    world.start(&[&[URL]]);
    let (started, _) = world.request();
    world.input(Input::Stop { torrent: TORRENT });
    assert!(world.out.iter().any(|(_, output)| *output == Output::Cancel { job: started }));
    assert_eq!(event_of(&world.request().1), Some("stopped"));
}

#[test]
fn a_torrent_that_comes_back_is_not_taken_off_by_its_predecessor() {
    let mut world = World::new();
    world.start(&[&[URL]]);
    let (job, _) = world.request();
    world.interval(job, 900);
    world.take();
    world.input(Input::Remove { torrent: TORRENT });
    let (stop, _) = world.request();
    let again = TorrentId(2);
    let tiers = vec![vec![URL.to_owned()]];
    world.input(Input::Add { torrent: again, info_hash: hash(TORRENT), tiers });
    world.input(Input::Start { torrent: again });
    let out = world.take();
    let at = |wanted: &Output| out.iter().position(|output| output == wanted);
    assert!(
        at(&Output::Cancel { job: stop }).is_some() && at(&Output::Stopped { torrent: TORRENT }).is_some()
    );
    let started = out
        .iter()
        .filter(|output| matches!(output, Output::Http { url, .. } if event_of(url) == Some("started")));
    assert_eq!(started.count(), 1);
}

#[test]
fn trackers_are_tried_in_turn_and_the_one_that_works_comes_first() {
    let mut world = World::new();
    world.start(&[
        &["http://a.example/announce"],
        &["http://b.example/announce", "http://c.example/announce"],
    ]);
    let host = |url: &str| url.chars().nth(7).expect("a host");
    let (job, url) = world.request();
    assert_eq!(host(&url), 'a');
    world.refuse_connection(job);
    let (job, url) = world.request();
    let second = host(&url);
    world.refuse_connection(job);
    let (job, url) = world.request();
    let third = host(&url);
    assert_eq!(second.min(third), 'b');
    assert_eq!(second.max(third), 'c');
    world.interval(job, 900);
    let order: Vec<char> = world.client.trackers(TORRENT).map(|tracker| host(&tracker.url)).collect();
    assert_eq!(order, ['a', third, second]);
    // The next time it begins with the first again (BEP 12).
    world.take();
    world.pass(seconds(900));
    let (job, url) = world.request();
    assert_eq!(host(&url), 'a');
    world.refuse_connection(job);
    assert_eq!(host(&world.request().1), third);
}

#[test]
fn tiers_are_shuffled() {
    let urls: Vec<String> = (0..8).map(|number| format!("http://t{number}.example/announce")).collect();
    let mut firsts = std::collections::BTreeSet::new();
    let mut world = World::new();
    for number in 1..40 {
        let torrent = TorrentId(number);
        world.input(Input::Add { torrent, info_hash: hash(torrent), tiers: vec![urls.clone()] });
        firsts.extend(world.client.trackers(torrent).next().map(|tracker| tracker.url));
    }
    assert!(firsts.len() > 4, "{firsts:?}");
}

#[test]
fn a_refusal_is_told_and_its_retry_is_kept() {
    for (body, retry) in [
        ("d14:failure reason4:busy8:retry in1:5e", Some(300)),
        ("d14:failure reason4:busy8:retry ini5ee", Some(300)),
        ("d14:failure reason4:busy8:retry in5:nevere", None),
        ("d14:failure reason4:busye", Some(60)),
        ("d14:failure reason4:busy8:retry ini-5ee", Some(60)),
        ("d14:failure reason4:busy8:retry ini9223372036854775807ee", Some(24 * 3600)),
    ] {
        let mut world = World::new();
        world.start(&[&[URL]]);
        let (job, _) = world.request();
        world.body(job, body);
        assert_eq!(failures(&world.take()), [(Failure::Refused("busy".to_owned()), retry)], "{body}");
        world.pass(seconds(retry.unwrap_or(1_000_000) - 1));
        assert_eq!(world.requests(), [], "{body}");
        world.pass(seconds(1));
        assert_eq!(world.requests().len(), usize::from(retry.is_some()), "{body}");
    }
}

#[test]
fn answers_that_are_none_are_typed() {
    let cases: [(u16, &[u8], &str); 7] = [
        (404, b"<html>", "the tracker answers with HTTP status 404"),
        (200, b"<html>", "the tracker's answer is wrong: invalid bencode"),
        (200, b"le", "the tracker's answer is wrong: it is not a dictionary"),
        (200, b"d5:peers7:1234567e", "the tracker's answer is wrong: its peers"),
        (200, b"d5:peersi1ee", "the tracker's answer is wrong: its peers"),
        (500, b"d14:failure reason2:noe", "the tracker says: no"),
        (503, b"de", "the tracker answers with HTTP status 503"),
    ];
    for (status, body, reason) in cases {
        let mut world = World::new();
        world.start(&[&[URL]]);
        let (job, _) = world.request();
        world.input(Input::HttpDone { job, result: Ok(HttpResponse { status, body: body.to_vec() }) });
        let failures = failures(&world.take());
        assert_eq!(failures.len(), 1);
        assert!(failures[0].0.to_string().starts_with(reason), "{:?}", failures[0]);
    }
}

#[test]
fn the_dictionary_form_of_peers_is_read() {
    let mut world = World::new();
    world.start(&[&[URL]]);
    let (job, _) = world.request();
    let peer = |ip: &str, port: i64| format!("d2:ip{}:{ip}4:porti{port}ee", ip.len());
    let peers =
        [peer("198.51.100.7", 1), peer("::1", 70_000), peer("a.name", 5), peer("2001:db8::1", 9)].concat();
    world.body(job, format!("d8:intervali900e5:peersl{peers}i7eee"));
    let endpoints =
        ["198.51.100.7:1", "[2001:db8::1]:9"].map(|peer| PeerEndpoint::Tcp(peer.parse().expect("one")));
    let peers = Output::Peers { torrent: TORRENT, endpoints: endpoints.to_vec() };
    assert!(world.take().contains(&peers));
}

#[test]
fn no_more_peers_are_taken_than_a_limit() {
    let mut world = World::new();
    world.start(&[&[URL]]);
    let (job, _) = world.request();
    let packed: Vec<u8> = (0..5000u32).flat_map(|n| [1, 2, (n >> 8) as u8, n as u8, 0, 7]).collect();
    world.body(job, [b"d5:peers30000:".as_slice(), &packed, b"e"].concat());
    let taken = world.take().into_iter().find_map(|output| match output {
        Output::Peers { endpoints, .. } => Some(endpoints.len()),
        _ => None,
    });
    assert_eq!(taken, Some(downpour_tracker::limits::MAX_PEERS));
}

#[test]
fn the_tracker_id_is_sent_back() {
    let mut world = World::new();
    world.start(&[&[URL]]);
    let (job, _) = world.request();
    world.body(job, "d8:intervali900e10:tracker id3:a/be");
    world.take();
    world.pass(seconds(900));
    assert!(world.request().1.contains("&trackerid=a%2Fb"));
}

#[test]
fn force_waits_for_the_minimum_interval_unless_told_not_to() {
    let mut world = World::new();
    world.start(&[&[URL]]);
    let (job, _) = world.request();
    let answer = AnnounceAnswer {
        interval: Some(seconds(900)),
        min_interval: Some(seconds(300)),
        ..AnnounceAnswer::default()
    };
    world.answer(job, &answer);
    world.pass(seconds(10));
    world.take();
    let reannounce = |ignore_min_interval| Input::Reannounce { torrent: TORRENT, ignore_min_interval };
    world.input(reannounce(false));
    world.pass(seconds(289));
    assert_eq!(world.requests(), []);
    world.pass(seconds(1));
    let (job, _) = world.request();
    world.answer(job, &answer);
    world.take();
    world.input(reannounce(true));
    assert_eq!(world.requests().len(), 1);
}

#[test]
fn a_force_asks_a_failed_tracker_at_once() {
    let mut world = World::new();
    world.start(&[&[URL]]);
    let (job, _) = world.request();
    world.refuse_connection(job);
    world.take();
    world.input(Input::Reannounce { torrent: TORRENT, ignore_min_interval: false });
    assert_eq!(world.requests().len(), 1);
}

#[test]
fn trackers_come_and_go_at_run_time() {
    let mut world = World::new();
    world.start(&[&[URL]]);
    let (job, _) = world.request();
    world.refuse_connection(job);
    world.take();
    let url = |host: &str| format!("http://{host}.example/announce");
    world.input(Input::AddTracker { torrent: TORRENT, url: url("b"), tier: 3 });
    let (job, asked) = world.request();
    assert!(asked.starts_with(&url("b")), "none worked");
    world.input(Input::RemoveTracker { torrent: TORRENT, url: url("b") });
    assert!(world.take().contains(&Output::Cancel { job }));
    assert_eq!(world.client.trackers(TORRENT).count(), 1);
    let tiers = vec![vec![url("c"), "nonsense".to_owned()], vec![URL.to_owned(), url("c")]];
    world.input(Input::ReplaceTrackers { torrent: TORRENT, tiers });
    let trackers: Vec<_> =
        world.client.trackers(TORRENT).map(|t| (t.url.to_string(), t.tier, t.failures)).collect();
    assert_eq!(trackers, [(url("c"), 0, 0), (URL.to_owned(), 1, 1)], "what is known of it is kept");
    let out = world.take();
    assert_eq!(failures(&out).len(), 1, "nonsense");
    assert!(
        out.iter()
            .any(|output| matches!(output, Output::Http { url: asked, .. } if asked.starts_with(&url("c"))))
    );
}

#[test]
fn totals_that_do_not_come_hold_up_no_announce() {
    let mut world = World::new();
    world.tells_totals = false;
    world.start(&[&[URL]]);
    assert_eq!(world.take(), [Output::Totals { torrent: TORRENT }]);
    world.pass(seconds(2));
    assert!(world.request().1.contains("&left=0&"));
    // Those told before a removal are used at once.
    let mut world = World::new();
    world.start(&[&[URL]]);
    let (job, _) = world.request();
    world.interval(job, 900);
    world.tells_totals = false;
    world.pass(seconds(100));
    world.take();
    let totals = Totals { uploaded: 77, ..Totals::default() };
    world.input(Input::Totals { torrent: TORRENT, totals });
    world.input(Input::Remove { torrent: TORRENT });
    assert!(world.request().1.contains("&uploaded=77&"));
}

#[test]
fn a_tracker_without_end_is_given_up() {
    let mut world = World::new();
    world.start(&[&[URL]]);
    let (job, _) = world.request();
    world.pass(seconds(45));
    let out = world.take();
    assert!(out.contains(&Output::Cancel { job }));
    assert_eq!(failures(&out).len(), 1);
    world.interval(job, 60);
    assert_eq!(world.take(), [], "too late");
}

#[test]
fn the_numbers_of_a_swarm_are_scraped_where_there_is_a_scrape() {
    let mut world = World::new();
    world.add(TORRENT, &[&["http://t.example/other"], &["http://t.example/x/announce?k=1"]]);
    world.input(Input::Scrape { torrent: TORRENT });
    let (job, url) = world.request();
    assert!(url.starts_with("http://t.example/x/scrape?k=1&info_hash=%00"), "{url}");
    let key = "\0\0\0\0\0\0\0\u{1}\0\0\0\0\0\0\0\0\0\0\0\0";
    let numbers = "d8:completei11e10:downloadedi13772e10:incompletei19ee";
    world.body(job, format!("d5:filesd20:{key}{numbers}ee"));
    let found = events(&world.take());
    assert!(
        matches!(&found[..], [Event::Scraped { counts, .. }] if (counts.seeds, counts.downloads, counts.leechers) == (11, 13772, 19)),
        "{found:?}"
    );
    world.input(Input::Scrape { torrent: TORRENT });
    let (job, _) = world.request();
    world.body(job, "d5:filesdee");
    assert!(matches!(&events(&world.take())[..], [Event::ScrapeFailed { reason: Failure::Response(_), .. }]));
}

#[test]
fn ten_thousand_torrents_are_no_storm_for_one_host() {
    let settings =
        Settings { in_flight_per_host: 8, requests_per_second_per_host: 50, ..Settings::default() };
    let mut world = World::with(settings);
    for number in 0..10_000 {
        let torrent = TorrentId(number);
        world.add(torrent, &[&[URL]]);
        world.input(Input::Start { torrent });
    }
    let (mut open, mut answered, mut second) = (Vec::new(), 0, 0);
    while answered < 10_000 {
        let requests = world.requests();
        assert!(requests.len() <= 50 + 1, "in second {second}");
        open.extend(requests);
        let mut in_this_second = 0;
        while let Some((job, _)) = open.pop() {
            assert!(open.len() < 8, "at the same time");
            world.interval(job, 1800);
            answered += 1;
            in_this_second += 1;
            open.extend(world.requests());
        }
        assert!(in_this_second <= 100, "{in_this_second} in second {second}");
        world.pass(seconds(1));
        second += 1;
    }
    assert!((190..=201).contains(&second), "{second} seconds at 50 a second");
}

#[test]
fn a_host_that_is_down_is_asked_by_one_only_and_the_others_do_not_wait_for_it() {
    let mut world = World::new();
    for number in 0..1000 {
        let torrent = TorrentId(number);
        world.add(torrent, &[&[URL], &["http://b.example/announce"]]);
        world.input(Input::Start { torrent });
    }
    let (mut asked, mut reached) = (0, std::collections::BTreeSet::new());
    for _ in 0..60 {
        let mut open = world.requests();
        while let Some((job, url)) = open.pop() {
            if url.starts_with(URL) {
                asked += 1;
                world.refuse_connection(job);
            } else {
                reached.insert(url.clone());
                world.interval(job, 3600);
            }
            open.extend(world.requests());
        }
        world.pass(seconds(1));
    }
    assert!(asked < 20, "{asked} requests to a host that is down");
    assert_eq!(reached.len(), 1000, "all are at the other");
}
