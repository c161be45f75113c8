//! Whole sessions in one process, on loopback, with real files.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use downpour_base::{Rng, Seed};
use downpour_engine::{
    AddTorrent, Alert, AlertKind, Config, Error, RemoveFiles, Session, Settings, State, TorrentHandle,
};
use downpour_metainfo::Builder;
use downpour_storage::sha1;
use tempfile::TempDir;

const PIECE: usize = 32 << 10;
/// Far more than any of this needs: a test that hits it has hung.
const PATIENCE: Duration = Duration::from_secs(60);

fn random(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    Rng::new(Seed::from_u64(seed)).fill(&mut bytes);
    bytes
}

/// A torrent of one file.
fn torrent(name: &str, content: &[u8]) -> Vec<u8> {
    let mut creation = Builder::file(name, content.len() as u64).piece_length(PIECE as u64).create().unwrap();
    for (piece, bytes) in (0..).zip(content.chunks(PIECE)) {
        creation.set_piece_hash(piece, sha1([bytes])).unwrap();
    }
    creation.finish().unwrap()
}

fn session_on(address: &str, settings: Settings, state: Option<&Path>) -> Session {
    let listen = vec![address.parse().unwrap()];
    Session::start(Config { listen, settings, state_folder: state.map(Path::to_owned), ..Config::default() })
        .unwrap()
}

fn session() -> Session {
    session_on("127.0.0.1:0", Settings::default(), None)
}

fn address(session: &Session) -> SocketAddr {
    session.listen_addresses()[0]
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

fn wait_for(handle: &TorrentHandle, fits: impl Fn(State) -> bool) {
    let start = Instant::now();
    while !fits(handle.status().state) {
        assert!(start.elapsed() < PATIENCE, "{:?}", handle.status());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A session that seeds `content`.
fn seeder(folder: &TempDir, content: &[u8], settings: Settings) -> (Session, Vec<u8>) {
    std::fs::write(folder.path().join("x.bin"), content).unwrap();
    let torrent = torrent("x.bin", content);
    let seeder = session_on("127.0.0.1:0", settings, None);
    let handle = seeder.add_torrent(AddTorrent::new(torrent.clone(), folder.path())).unwrap();
    wait_for(&handle, |state| state == State::Seeding);
    (seeder, torrent)
}

#[test]
fn a_file_goes_from_one_session_to_another_over_both_families() {
    for family in ["127.0.0.1:0", "[::1]:0"] {
        let (there, here) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let content = random(1_000_000, 1);
        std::fs::write(there.path().join("x.bin"), &content).unwrap();
        let torrent = torrent("x.bin", &content);
        let (one, two) =
            (session_on(family, Settings::default(), None), session_on(family, Settings::default(), None));
        one.add_torrent(AddTorrent::new(torrent.clone(), there.path())).unwrap();
        let handle = two.add_torrent(AddTorrent::new(torrent, here.path()).peers([address(&one)])).unwrap();
        let alerts = until(&two, |kind| matches!(kind, AlertKind::Finished));
        let pieces =
            alerts.iter().filter(|alert| matches!(alert.kind, AlertKind::PieceFinished { .. })).count();
        assert_eq!(pieces, content.len().div_ceil(PIECE));
        assert_eq!(std::fs::read(here.path().join("x.bin")).unwrap(), content);
        let status = handle.status();
        assert!(
            status.finished && status.downloaded_bytes == content.len() as u64 && status.wasted_bytes == 0
        );
        assert!(handle.pieces().unwrap().is_full());
    }
}

#[test]
fn a_second_start_hashes_nothing_and_a_changed_file_is_hashed() {
    let (there, here, state) = (TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let content = random(500_000, 2);
    let (seeder, torrent) = seeder(&there, &content, Settings::default());
    let start = || session_on("127.0.0.1:0", Settings::default(), Some(state.path()));
    let add = || AddTorrent::new(torrent.clone(), here.path());

    let first = start();
    first.add_torrent(add().peers([address(&seeder)])).unwrap();
    until(&first, |kind| matches!(kind, AlertKind::Finished));
    first.shutdown_blocking();

    let second = start();
    let handle = second.add_torrent(add()).unwrap();
    let alerts = until(&second, |kind| matches!(kind, AlertKind::Checked { .. }));
    assert!(!alerts.iter().any(|alert| matches!(alert.kind, AlertKind::Checking)), "nothing to hash");
    wait_for(&handle, |state| state == State::Seeding);
    assert_eq!(handle.status().downloaded_bytes, content.len() as u64, "the totals go on");
    second.shutdown_blocking();

    let mut damaged = content.clone();
    damaged[PIECE + 1] ^= 1;
    std::fs::write(here.path().join("x.bin"), &damaged).unwrap();
    let third = start();
    third.add_torrent(add().peers([address(&seeder)])).unwrap();
    let alerts = until(&third, |kind| matches!(kind, AlertKind::Checked { .. }));
    let total = content.len().div_ceil(PIECE) as u32;
    assert!(
        matches!(alerts.last().unwrap().kind, AlertKind::Checked { good, total: all } if good == total - 1 && all == total)
    );
    until(&third, |kind| matches!(kind, AlertKind::Finished));
    assert_eq!(std::fs::read(here.path().join("x.bin")).unwrap(), content);
}

#[test]
fn verbs_do_what_they_say() {
    let (there, here) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let content = random(40 * PIECE, 3);
    let (seeder, torrent) = seeder(&there, &content, Settings::default());
    let leecher = session();
    let handle = leecher.add_torrent(AddTorrent::new(torrent.clone(), here.path())).unwrap();
    assert!(matches!(leecher.add_torrent(AddTorrent::new(torrent, here.path())), Err(Error::Duplicate)));
    assert_eq!(leecher.find_torrent(handle.info_hash().v1().unwrap()).unwrap().id(), handle.id());

    wait_for(&handle, |state| state == State::Downloading);
    (5..40).for_each(|piece| handle.set_piece_priority(piece, 0).unwrap());
    handle.set_sequential(true).unwrap();
    handle.connect_peers([address(&seeder)]).unwrap();
    until(&leecher, |kind| matches!(kind, AlertKind::Finished));
    assert_eq!(handle.pieces().unwrap().iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);

    handle.pause().unwrap();
    wait_for(&handle, |state| state == State::Paused);
    assert_eq!(handle.peer_info(), []);
    (5..40).for_each(|piece| handle.set_piece_priority(piece, 4).unwrap());
    handle.set_piece_deadline(20, Some(Duration::from_secs(1))).unwrap();
    handle.resume().unwrap();
    let alerts = until(&leecher, |kind| matches!(kind, AlertKind::Finished));
    let first = alerts.iter().find_map(|alert| {
        if let AlertKind::PieceFinished { piece } = alert.kind { Some(piece) } else { None }
    });
    assert!(first.is_some());
    assert_eq!(std::fs::read(here.path().join("x.bin")).unwrap(), content);

    leecher.remove_torrent_blocking(&handle, RemoveFiles::Keep).unwrap();
    assert!(leecher.torrents().is_empty() && matches!(handle.pause(), Err(Error::Gone)));
    assert!(here.path().join("x.bin").exists(), "files stay");
    leecher.shutdown_blocking();
    leecher.shutdown_blocking();
}

#[test]
fn settings_change_while_it_runs() {
    let (there, here) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let content = random(30 * PIECE, 4);
    // So slow that the download cannot end before the limit is lifted.
    let slow = Settings { upload_limit: Some(20_000), ..Settings::default() };
    let (seeder, torrent) = seeder(&there, &content, slow.clone());
    let leecher = session();
    let handle =
        leecher.add_torrent(AddTorrent::new(torrent, here.path()).peers([address(&seeder)])).unwrap();
    until(&leecher, |kind| matches!(kind, AlertKind::PieceFinished { .. }));
    assert!(!handle.status().finished);
    handle.set_download_limit(Some(10_000));
    seeder.apply_settings(Settings { upload_limit: None, ..slow });
    assert_eq!(seeder.settings().upload_limit, None);
    handle.set_download_limit(None);
    until(&leecher, |kind| matches!(kind, AlertKind::Finished));
}

#[test]
fn a_dormant_torrent_wakes_when_somebody_calls() {
    let (there, here) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let content = random(3 * PIECE, 5);
    let soon = Settings { dormant_after: Duration::from_millis(50), ..Settings::default() };
    let (seeder, torrent) = seeder(&there, &content, soon);
    let sleeping = &seeder.torrents()[0];
    wait_for(sleeping, |state| state == State::Dormant);
    let leecher = session();
    leecher.add_torrent(AddTorrent::new(torrent, here.path()).peers([address(&seeder)])).unwrap();
    until(&leecher, |kind| matches!(kind, AlertKind::Finished));
    assert_eq!(std::fs::read(here.path().join("x.bin")).unwrap(), content);
    wait_for(sleeping, |state| state == State::Dormant);
    assert_eq!(sleeping.status().uploaded_bytes, content.len() as u64, "nothing is forgotten in sleep");
}

#[test]
fn bad_data_is_found_and_its_sender_banned() {
    let (good, bad, here) = (TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let content = random(20 * PIECE, 6);
    let (honest, torrent) =
        seeder(&good, &content, Settings { upload_limit: Some(400_000), ..Settings::default() });
    // The liar's file is right when it is checked, and changes behind its back.
    let (liar, _) = seeder(&bad, &content, Settings::default());
    std::fs::write(bad.path().join("x.bin"), random(content.len(), 7)).unwrap();
    let leecher = session();
    let add = AddTorrent::new(torrent, here.path()).peers([address(&liar), address(&honest)]);
    leecher.add_torrent(add).unwrap();
    let alerts = until(&leecher, |kind| matches!(kind, AlertKind::Finished));
    assert!(alerts.iter().any(|alert| matches!(&alert.kind, AlertKind::PeerBanned { endpoint, .. } if endpoint.address() == Some(address(&liar)))));
    assert_eq!(std::fs::read(here.path().join("x.bin")).unwrap(), content);
}

#[test]
fn strangers_and_nonsense_do_no_harm() {
    let (there, here) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let content = random(10 * PIECE, 8);
    let (seeder, torrent) = seeder(&there, &content, Settings::default());
    let call = |bytes: &[u8]| {
        let mut socket = TcpStream::connect(address(&seeder)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = socket.write_all(bytes);
        // Closed without an answer.
        socket.read(&mut [0; 100]).unwrap_or(0)
    };
    assert_eq!(call(b"GET / HTTP/1.1\r\n\r\n"), 0);
    let unknown = [b"\x13BitTorrent protocol".as_slice(), &[0; 8], &[9; 20], &[1; 20]].concat();
    assert_eq!(call(&unknown), 0, "no such torrent here");
    let idle: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(address(&seeder)).unwrap()).collect();
    let leecher = session();
    leecher.add_torrent(AddTorrent::new(torrent, here.path()).peers([address(&seeder)])).unwrap();
    until(&leecher, |kind| matches!(kind, AlertKind::Finished));
    drop(idle);
}

#[test]
fn what_the_caller_does_wrong_is_told() {
    let taken = session();
    let again = Session::start(Config { listen: vec![address(&taken)], ..Config::default() }).unwrap_err();
    assert!(again.to_string().contains("another program has this port"), "{again}");
    assert!(matches!(taken.add_torrent(AddTorrent::new(*b"nonsense", ".")), Err(Error::Metainfo(_))));
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("x.bin")).unwrap();
    taken.add_torrent(AddTorrent::new(torrent("x.bin", b"content"), folder.path())).unwrap();
    let alerts = until(&taken, |kind| matches!(kind, AlertKind::DiskError(_)));
    let AlertKind::DiskError(failure) = &alerts.last().unwrap().kind else { unreachable!() };
    assert!(failure.message.contains("x.bin") && failure.message.contains("in the way"), "{failure:?}");
}

#[test]
fn a_recording_of_a_real_download_replays() {
    let (there, here) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let content = random(50 * PIECE, 9);
    let (seeder, torrent) = seeder(&there, &content, Settings::default());
    let record = here.path().join("recording");
    let listen = vec!["127.0.0.1:0".parse().unwrap()];
    let leecher =
        Session::start(Config { listen, record: Some(record.clone()), ..Config::default() }).unwrap();
    leecher.add_torrent(AddTorrent::new(torrent, here.path()).peers([address(&seeder)])).unwrap();
    until(&leecher, |kind| matches!(kind, AlertKind::Finished));
    leecher.shutdown_blocking();
    let text = std::fs::read_to_string(record).unwrap();
    let report = downpour_swarm::replay(text.lines()).unwrap();
    assert!(report.compared > 200, "{report:?}");
}

#[test]
fn a_dropped_session_gives_its_port_back() {
    let one = session();
    let at = address(&one);
    drop(one);
    let again = Session::start(Config { listen: vec![at], ..Config::default() });
    assert!(again.is_ok(), "{:?}", again.err());
}

#[test]
fn peers_that_are_none_take_no_slot_for_good() {
    let (there, here) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let content = random(100_000, 77);
    let (seeder, torrent) = seeder(&there, &content, Settings::default());
    // More of them than a torrent calls at once.
    let mut impostors = Vec::new();
    for _ in 0..20 {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        impostors.push(listener.local_addr().unwrap());
        std::thread::spawn(move || {
            while let Ok((mut socket, _)) = listener.accept() {
                let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            }
        });
    }
    let leecher = session();
    let handle = leecher.add_torrent(AddTorrent::new(torrent, here.path()).peers(impostors)).unwrap();
    for _ in 0..20 {
        until(&leecher, |kind| matches!(kind, AlertKind::PeerUnreachable { .. }));
    }
    handle.connect_peers([address(&seeder)]).unwrap();
    until(&leecher, |kind| matches!(kind, AlertKind::Finished));
}

#[test]
fn a_paused_torrent_serves_nobody_until_it_is_resumed() {
    let (there, here) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let content = random(100_000, 78);
    std::fs::write(there.path().join("x.bin"), &content).unwrap();
    let torrent = torrent("x.bin", &content);
    let paused = session();
    let mut add = AddTorrent::new(torrent.clone(), there.path());
    add.paused = true;
    let handle = paused.add_torrent(add).unwrap();
    let leecher = session();
    let add = AddTorrent::new(torrent, here.path()).peers([address(&paused)]);
    leecher.add_torrent(add).unwrap();
    until(&leecher, |kind| matches!(kind, AlertKind::PeerUnreachable { .. }));
    assert_eq!((handle.status().state, handle.status().uploaded_bytes), (State::Paused, 0));
    handle.resume().unwrap();
    until(&leecher, |kind| matches!(kind, AlertKind::Finished));
}

#[test]
fn wishes_are_kept_before_the_torrent_is_ready_and_while_it_sleeps() {
    let (there, here) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let content = random(6 * PIECE, 79);
    let (seeder, torrent) = seeder(&there, &content, Settings::default());
    let soon = Settings { dormant_after: Duration::from_millis(50), ..Settings::default() };
    let leecher = session_on("127.0.0.1:0", soon, None);
    let handle = leecher.add_torrent(AddTorrent::new(torrent, here.path())).unwrap();
    // At once: its files are still being looked at.
    (2..6).for_each(|piece| handle.set_piece_priority(piece, 0).unwrap());
    handle.connect_peers([address(&seeder)]).unwrap();
    until(&leecher, |kind| matches!(kind, AlertKind::Finished));
    let seeder_handle = &seeder.torrents()[0];
    seeder_handle.pause().unwrap();
    wait_for(&handle, |state| state == State::Dormant);
    seeder_handle.resume().unwrap();
    handle.resume().unwrap();
    wait_for(&handle, |state| state == State::Seeding);
    assert_eq!(handle.pieces().unwrap().iter().collect::<Vec<_>>(), [0, 1], "skipped then, skipped now");
}
