//! Sessions and trackers on loopback: peers are found, and trackers that mean harm do none.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use downpour_base::{Rng, Seed};
use downpour_engine::http::{HttpClient, Limits};
use downpour_engine::{
    AddTorrent, Alert, AlertKind, AnnounceEvent, Category, Config, Error, RemoveFiles, Session, State,
    SwarmHash, TorrentHandle, TrackerConfig, TrackerFailure, TrackerHttpError, TrackerServer,
};
use downpour_metainfo::Builder;
use downpour_storage::sha1;
use futures_rustls::pki_types::PrivateKeyDer;
use futures_rustls::rustls::crypto::ring;
use futures_rustls::rustls::{ServerConfig, ServerConnection, Stream};
use tempfile::TempDir;

const PIECE: usize = 32 << 10;
/// Far more than any of this needs: a test that hits it has hung.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOPBACK: &str = "127.0.0.1:0";

fn random(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    Rng::new(Seed::from_u64(seed)).fill(&mut bytes);
    bytes
}

/// A torrent of one file, `x.bin`, that names its trackers, each in a tier of its own.
fn torrent(content: &[u8], trackers: &[String]) -> Vec<u8> {
    let mut creation =
        Builder::file("x.bin", content.len() as u64).piece_length(PIECE as u64).create().unwrap();
    for (piece, bytes) in (0..).zip(content.chunks(PIECE)) {
        creation.set_piece_hash(piece, sha1([bytes])).unwrap();
    }
    let tiers: String = trackers.iter().map(|url| format!("l{}:{url}e", url.len())).collect();
    let list = format!("d13:announce-listl{tiers}e");
    [list.as_bytes(), &creation.finish().unwrap()[1..]].concat()
}

fn session_on(address: &str) -> Session {
    Session::start(Config { listen: vec![address.parse().unwrap()], ..Config::default() }).unwrap()
}

fn session() -> Session {
    session_on(LOOPBACK)
}

fn address(session: &Session) -> SocketAddr {
    session.listen_addresses()[0]
}

fn tracker_on(address: &str) -> TrackerServer {
    TrackerServer::start(TrackerConfig { listen: vec![address.parse().unwrap()], ..TrackerConfig::default() })
        .unwrap()
}

fn url(scheme: &str, tracker: &TrackerServer) -> String {
    format!("{scheme}://{}/announce", tracker.addresses()[0])
}

/// Takes alerts until one fits, and returns all of them.
fn until(session: &Session, fits: impl Fn(&AlertKind) -> bool) -> Vec<Alert> {
    let (start, mut seen) = (Instant::now(), Vec::new());
    while start.elapsed() < PATIENCE {
        if let Some(alert) = session.next_alert_blocking(Duration::from_millis(100)) {
            seen.push(alert.clone());
            if fits(&alert.kind) {
                return seen;
            }
        }
    }
    panic!("never came; these did: {seen:?}");
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn replied(kind: &AlertKind) -> bool {
    matches!(kind, AlertKind::TrackerReply { .. })
}

fn seeded(session: &Session, folder: &TempDir, content: &[u8], torrent: &[u8]) -> TorrentHandle {
    std::fs::write(folder.path().join("x.bin"), content).unwrap();
    session.add_torrent(AddTorrent::new(torrent, folder.path())).unwrap()
}

#[test]
fn web_seeds_are_those_of_the_torrent_and_of_the_user() {
    let web_seed = "http://192.0.2.1/files/";
    let mut creation = Builder::file("w", 3).web_seed(web_seed).create().unwrap();
    creation.set_piece_hash(0, [1; 20]).unwrap();
    let folder = TempDir::new().unwrap();
    let session = session();
    let add = AddTorrent { paused: true, ..AddTorrent::new(creation.finish().unwrap(), folder.path()) };
    let handle = session.add_torrent(add).unwrap();
    assert_eq!(handle.web_seeds(), [web_seed]);
    for _ in 0..2 {
        handle.add_web_seed("https://198.51.100.7/w").unwrap();
    }
    assert!(matches!(handle.add_web_seed("gopher://198.51.100.7/w"), Err(Error::Http(_))));
    assert_eq!(handle.web_seeds(), [web_seed, "https://198.51.100.7/w"]);
    handle.remove_web_seed(web_seed).unwrap();
    assert_eq!(handle.web_seeds(), ["https://198.51.100.7/w"]);
    session.remove_torrent_blocking(&handle, RemoveFiles::Keep).unwrap();
    assert!(matches!(handle.add_web_seed(web_seed), Err(Error::Gone)));
}

#[test]
fn two_sessions_find_each_other_through_a_tracker() {
    for (scheme, family) in [("http", LOOPBACK), ("udp", LOOPBACK), ("http", "[::1]:0"), ("udp", "[::1]:0")] {
        let (there, here) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let content = random(10 * PIECE, 1);
        let tracker = tracker_on(family);
        let torrent = torrent(&content, &[url(scheme, &tracker)]);
        let (seeder, leecher) = (session_on(family), session_on(family));
        seeded(&seeder, &there, &content, &torrent);
        let told = until(&seeder, replied);
        let AlertKind::TrackerReply { tracker: who, event, .. } = &told.last().unwrap().kind else {
            unreachable!()
        };
        assert_eq!((&**who, *event), (&*url(scheme, &tracker), AnnounceEvent::Started));
        assert_eq!((tracker.statistics().peers, tracker.statistics().seeds), (1, 1), "{scheme} {family}");

        leecher.add_torrent(AddTorrent::new(torrent, here.path())).unwrap();
        until(&leecher, |kind| matches!(kind, AlertKind::Finished));
        assert_eq!(std::fs::read(here.path().join("x.bin")).unwrap(), content);
        until(&leecher, |kind| {
            matches!(kind, AlertKind::TrackerReply { event: AnnounceEvent::Completed, .. })
        });
        assert_eq!(tracker.statistics().seeds, 2);
        // Both say that they go.
        leecher.shutdown_blocking();
        assert_eq!(tracker.statistics().peers, 1);
        seeder.remove_torrent_blocking(&seeder.torrents()[0], RemoveFiles::Keep).unwrap();
        wait_until("the tracker hears of a removed torrent", || tracker.statistics().peers == 0);
    }
}

#[test]
fn names_of_udp_trackers_are_looked_up() {
    let folder = TempDir::new().unwrap();
    let content = random(PIECE, 2);
    let tracker = tracker_on(LOOPBACK);
    let url = format!("udp://localhost:{}", tracker.addresses()[0].port());
    let seeder = session();
    seeded(&seeder, &folder, &content, &torrent(&content, &[url]));
    until(&seeder, replied);
}

#[test]
fn the_verbs_of_trackers_do_what_they_say() {
    let folder = TempDir::new().unwrap();
    let content = random(PIECE, 3);
    let (one, two) = (tracker_on(LOOPBACK), tracker_on(LOOPBACK));
    let (first, second) = (url("http", &one), url("udp", &two));
    let seeder = session();
    let handle = seeded(&seeder, &folder, &content, &torrent(&content, &[]));
    wait_until("it seeds", || handle.status().state == State::Seeding);
    assert_eq!(handle.trackers(), []);

    handle.add_tracker(&first, 0).unwrap();
    until(&seeder, replied);
    assert_eq!(one.statistics().seeds, 1);
    let listed = handle.trackers();
    assert!(listed.len() == 1 && *listed[0].url == *first && listed[0].working, "{listed:?}");
    assert!(matches!(handle.add_tracker("ftp://x", 0), Err(Error::TrackerUrl { .. })));

    let before = one.statistics().http_announces;
    handle.force_reannounce(true).unwrap();
    until(&seeder, replied);
    assert_eq!(one.statistics().http_announces, before + 1);

    handle.scrape_tracker().unwrap();
    let alerts = until(&seeder, |kind| matches!(kind, AlertKind::ScrapeReply { .. }));
    let AlertKind::ScrapeReply { counts, .. } = &alerts.last().unwrap().kind else { unreachable!() };
    assert_eq!((counts.seeds, counts.leechers), (1, 0));

    handle.replace_trackers(vec![vec![second.clone()]]).unwrap();
    until(&seeder, |kind| matches!(kind, AlertKind::TrackerReply { tracker, .. } if **tracker == *second));
    assert_eq!(two.statistics().seeds, 1);
    handle.remove_tracker(&second).unwrap();
    assert_eq!(handle.trackers(), []);
    handle.scrape_tracker().unwrap();
    until(&seeder, |kind| matches!(kind, AlertKind::ScrapeFailed { tracker: None, .. }));
    seeder.remove_torrent_blocking(&handle, RemoveFiles::Keep).unwrap();
    assert!(matches!(handle.force_reannounce(true), Err(Error::Gone)));
}

#[test]
fn a_paused_torrent_leaves_the_tracker_and_comes_back() {
    let folder = TempDir::new().unwrap();
    let content = random(PIECE, 4);
    let tracker = tracker_on(LOOPBACK);
    let seeder = session();
    let handle = seeded(&seeder, &folder, &content, &torrent(&content, &[url("udp", &tracker)]));
    until(&seeder, replied);
    handle.pause().unwrap();
    wait_until("it is gone", || tracker.statistics().peers == 0);
    handle.resume().unwrap();
    wait_until("it is back", || tracker.statistics().peers == 1);
}

/// A tracker that reads a request and then does as it likes.
fn hostile(act: impl Fn(&mut TcpStream, &str) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind(LOOPBACK).unwrap();
    let there = format!("http://{}/announce", listener.local_addr().unwrap());
    let (act, here) = (Arc::new(act), there.clone());
    thread::spawn(move || {
        while let Ok((mut socket, _)) = listener.accept() {
            let (act, here) = (Arc::clone(&act), here.clone());
            thread::spawn(move || {
                let _ = socket.read(&mut [0; 4096]);
                act(&mut socket, &here);
            });
        }
    });
    there
}

fn says(text: &'static str) -> String {
    hostile(move |socket, _| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        let _ = socket.write_all(head.as_bytes());
    })
}

#[test]
fn bad_trackers_are_named_and_stop_nothing() {
    let (there, here) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let content = random(10 * PIECE, 5);
    let free = TcpListener::bind(LOOPBACK).unwrap().local_addr().unwrap();
    // Would be asked until the test ends, and answers with nonsense.
    let babbling = UdpSocket::bind(LOOPBACK).unwrap();
    let babbler = format!("udp://{}", babbling.local_addr().unwrap());
    thread::spawn(move || {
        while let Ok((length, from)) = babbling.recv_from(&mut [0; 2048]) {
            let _ = babbling.send_to(&random(length, length as u64), from);
            let _ = babbling.send_to(&[], from);
        }
    });
    let bad = [
        hostile(|socket, _| {
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\n\r\nd8:interval");
            while socket.write_all(&[b'1'; 4096]).is_ok() {}
        }),
        hostile(|socket, here| {
            let away = format!("HTTP/1.1 302 Found\r\nLocation: {here}\r\nContent-Length: 0\r\n\r\n");
            let _ = socket.write_all(away.as_bytes());
        }),
        hostile(|socket, _| {
            let _ = socket.write_all(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n");
        }),
        says("this is no bencode"),
        says("d8:intervali-5e5:peersi7ee"),
        says("le"),
        says("d14:failure reason4:nevere"),
        hostile(|socket, _| {
            let _ = socket.write_all(b"\x16\x03\x01 nonsense");
        }),
        format!("http://{free}/announce"),
        "ftp://127.0.0.1/announce".to_owned(),
        format!("http://{}.invalid/announce", "x".repeat(64)),
    ];
    // These say nothing for longer than a test may take: they must not stop the others.
    let slow = [
        hostile(|socket, _| {
            let _ = socket.read(&mut [0; 1]);
        }),
        hostile(|socket, _| {
            while socket.write_all(b"H").is_ok() {
                thread::sleep(Duration::from_millis(50));
            }
        }),
        babbler,
    ];
    let seeder = session();
    let seeder_handle = seeded(&seeder, &there, &content, &torrent(&content, &[]));
    wait_until("it seeds", || seeder_handle.status().state == State::Seeding);

    let leecher = session();
    let add = AddTorrent::new(torrent(&content, &[]), here.path()).peers([address(&seeder)]);
    let handle = leecher.add_torrent(add).unwrap();
    // One after the other, since a tier is tried when those before it have failed.
    handle.replace_trackers(vec![slow.to_vec()]).unwrap();
    until(&leecher, |kind| matches!(kind, AlertKind::Finished));
    assert_eq!(std::fs::read(here.path().join("x.bin")).unwrap(), content);

    for tracker in bad {
        let add = AddTorrent::new(
            torrent(&random(PIECE, 6), std::slice::from_ref(&tracker)),
            here.path().join("other"),
        );
        let victim = leecher.add_torrent(add).unwrap();
        let alerts = until(&leecher, |kind| matches!(kind, AlertKind::TrackerError { .. }));
        let alert = alerts.last().unwrap();
        let AlertKind::TrackerError { tracker: who, reason, .. } = &alert.kind else { unreachable!() };
        assert_eq!(
            (&**who, alert.torrent, alert.kind.category()),
            (&*tracker, Some(victim.id()), Category::Tracker)
        );
        assert!(!reason.to_string().is_empty());
        match tracker.as_str() {
            ftp if ftp.starts_with("ftp") => assert!(matches!(reason, TrackerFailure::Url(_)), "{reason}"),
            _ => assert!(!matches!(reason, TrackerFailure::Url(_)), "{tracker}: {reason}"),
        }
        leecher.remove_torrent_blocking(&victim, RemoveFiles::Keep).unwrap();
    }
    // Those that say nothing hold nobody up.
    leecher.shutdown_blocking();
}

#[test]
fn a_whitelist_admits_some_and_can_change() {
    let folder = TempDir::new().unwrap();
    let content = random(PIECE, 7);
    let seeder = session();
    let listen = vec![LOOPBACK.parse().unwrap()];
    let config = TrackerConfig { listen, whitelist: Some(BTreeSet::new()), ..TrackerConfig::default() };
    let tracker = TrackerServer::start(config).unwrap();
    let handle = seeded(&seeder, &folder, &content, &torrent(&content, &[url("http", &tracker)]));
    until(&seeder, |kind| matches!(kind, AlertKind::TrackerError { reason: TrackerFailure::Refused(_), .. }));
    tracker.set_whitelist(Some(BTreeSet::from([SwarmHash::from(handle.info_hash())])));
    handle.force_reannounce(true).unwrap();
    until(&seeder, replied);
    assert_eq!(tracker.statistics().peers, 1);
    tracker.set_whitelist(Some(BTreeSet::new()));
    assert_eq!(tracker.statistics().peers, 0);
    tracker.set_whitelist(None);
    handle.force_reannounce(true).unwrap();
    until(&seeder, replied);
}

fn fetch(tracker: &TrackerServer, target: &str) -> (u16, String) {
    let client = HttpClient::new(&Default::default()).unwrap();
    let answer =
        client.get_blocking(&format!("http://{}{target}", tracker.addresses()[0]), &Limits::TRACKER).unwrap();
    (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
}

#[test]
fn a_tracker_shows_its_figures() {
    let tracker = tracker_on(LOOPBACK);
    let (status, json) = fetch(&tracker, "/stats?json");
    assert!(
        status == 200 && json.contains("\"http_announces\":0") && json.contains("\"uptime_seconds\":"),
        "{json}"
    );
    let (status, page) = fetch(&tracker, "/stats");
    assert!(status == 200 && page.contains("http announces"), "{page}");
    assert_eq!(fetch(&tracker, "/nothing").0, 404);
    let (_, refused) = fetch(&tracker, "/announce?info_hash=short");
    assert!(refused.contains("failure reason"), "{refused}");
}

#[test]
fn no_client_of_a_tracker_stops_others() {
    let tracker = tracker_on(LOOPBACK);
    let there = tracker.addresses()[0];
    // As many as one address may have but one, all silent; then some that are too long, or not HTTP.
    let idle: Vec<TcpStream> = (0..60).map(|_| TcpStream::connect(there).unwrap()).collect();
    for junk in [
        format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000)),
        format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(1000)),
        "POST /announce HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n".to_owned(),
        "\0\0\0\0\r\n\r\n".to_owned(),
    ] {
        let mut socket = TcpStream::connect(there).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = socket.write_all(junk.as_bytes());
        let mut answer = Vec::new();
        // Answered or not, it is closed.
        let _ = socket.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }
    let udp = UdpSocket::bind(LOOPBACK).unwrap();
    for length in 0..100 {
        udp.send_to(&random(length, length as u64), there).unwrap();
    }
    assert_eq!(fetch(&tracker, "/stats?json").0, 200);
    // Beyond its share, an address gets no answer, and its place comes back when a connection ends.
    let more: Vec<TcpStream> = (0..60).map(|_| TcpStream::connect(there).unwrap()).collect();
    let refused = AtomicU32::new(0);
    thread::scope(|scope| {
        for mut socket in &more {
            let refused = &refused;
            scope.spawn(move || {
                let _ = socket.write_all(b"GET /stats?json HTTP/1.1\r\nHost: x\r\n\r\n");
                socket.set_read_timeout(Some(PATIENCE)).unwrap();
                if socket.read(&mut [0; 100]).unwrap_or(0) == 0 {
                    refused.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert!(refused.load(Ordering::Relaxed) > 0);
    drop((idle, more));
    wait_until("places come back", || {
        let mut socket = TcpStream::connect(there).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = socket.write_all(b"GET /stats?json HTTP/1.1\r\nHost: x\r\n\r\n");
        socket.read(&mut [0; 100]).unwrap_or(0) > 0
    });
}

#[test]
fn a_stopped_tracker_gives_its_port_back() {
    let tracker = tracker_on(LOOPBACK);
    let there = tracker.addresses()[0];
    let idle = TcpStream::connect(there).unwrap();
    let taken = TrackerServer::start(TrackerConfig { listen: vec![there], ..TrackerConfig::default() });
    assert!(matches!(taken, Err(Error::Listen { .. })));
    tracker.shutdown_blocking();
    tracker.shutdown_blocking();
    drop((tracker, idle));
    let again = TrackerServer::start(TrackerConfig { listen: vec![there], ..TrackerConfig::default() });
    assert!(again.is_ok(), "{:?}", again.err());
}

/// A tracker that knows nobody, and the requests that it got.
fn listening() -> (String, Receiver<String>) {
    let listener = TcpListener::bind(LOOPBACK).unwrap();
    let there = format!("http://{}/announce", listener.local_addr().unwrap());
    let (sender, requests) = channel();
    thread::spawn(move || {
        while let Ok((mut socket, _)) = listener.accept() {
            let mut buffer = [0; 4096];
            let length = socket.read(&mut buffer).unwrap_or(0);
            let body = "d8:intervali1800e5:peers0:e";
            let _ = write!(socket, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            let _ = sender.send(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
    });
    (there, requests)
}

fn says_all(request: &str, parts: &[&str]) {
    let line = request.lines().next().unwrap_or_default();
    let fields: Vec<&str> = line.split(['?', '&', ' ']).collect();
    assert!(parts.iter().all(|part| fields.contains(part)), "{parts:?} not all in {line}");
}

#[test]
fn trackers_are_told_how_the_torrent_stands_in_this_run() {
    let (there, here, state) = (TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let content = random(100_000, 8);
    let (tracker, requests) = listening();
    let torrent = torrent(&content, &[tracker]);
    let next = || requests.recv_timeout(PATIENCE).unwrap();

    let seeder = session();
    seeded(&seeder, &there, &content, &torrent);
    let port = format!("port={}", address(&seeder).port());
    says_all(&next(), &["event=started", "left=0", "uploaded=0", "downloaded=0", &port]);

    let start = || {
        let (listen, state_folder) = (vec![LOOPBACK.parse().unwrap()], Some(state.path().to_owned()));
        Session::start(Config { listen, state_folder, ..Config::default() }).unwrap()
    };
    let leecher = start();
    let add = AddTorrent::new(torrent, here.path());
    let handle = leecher.add_torrent(add.clone()).unwrap();
    says_all(&next(), &["event=started", "left=100000", "downloaded=0"]);
    handle.connect_peers([address(&seeder)]).unwrap();
    says_all(&next(), &["event=completed", "left=0", "downloaded=100000"]);
    leecher.shutdown_blocking();
    says_all(&next(), &["event=stopped", "left=0", "downloaded=100000"]);

    // What was downloaded before is nobody's business.
    let again = start();
    let handle = again.add_torrent(add).unwrap();
    says_all(&next(), &["event=started", "left=0", "downloaded=0"]);
    handle.pause().unwrap();
    says_all(&next(), &["event=stopped", "left=0", "downloaded=0"]);
    seeder.remove_torrent_blocking(&seeder.torrents()[0], RemoveFiles::Keep).unwrap();
    says_all(&next(), &["event=stopped", "left=0", "uploaded=100000"]);
}

#[test]
fn https_trackers_are_asked_with_the_certificates_that_the_user_trusts() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind(LOOPBACK).unwrap();
    let tracker = format!("https://localhost:{}/announce", listener.local_addr().unwrap().port());
    thread::spawn(move || {
        while let Ok((mut socket, _)) = listener.accept() {
            let mut connection = ServerConnection::new(Arc::new(tls.clone())).unwrap();
            let mut stream = Stream::new(&mut connection, &mut socket);
            if stream.read(&mut [0; 4096]).is_ok() {
                let body = "d8:intervali1800e5:peers0:e";
                let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            }
        }
    });
    let folder = TempDir::new().unwrap();
    let content = random(PIECE, 9);
    let torrent = torrent(&content, &[tracker]);
    let trusting = Session::start(Config {
        listen: vec![LOOPBACK.parse().unwrap()],
        extra_root_certificates: certified.cert.pem().into_bytes(),
        ..Config::default()
    })
    .unwrap();
    seeded(&trusting, &folder, &content, &torrent);
    until(&trusting, replied);
    let stranger = session();
    seeded(&stranger, &folder, &content, &torrent);
    until(&stranger, |kind| {
        matches!(kind, AlertKind::TrackerError { reason: TrackerFailure::Http(TrackerHttpError::Tls(_)), .. })
    });
}
