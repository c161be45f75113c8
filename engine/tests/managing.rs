//! Callers without end, the queue, seeding goals and statistics, with real sockets and files.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use downpour_base::{Rng, Seed};
use downpour_engine::{
    AddTorrent, Alert, AlertKind, Config, RefuseReason, SeedingGoal, Session, Settings, State, TorrentHandle,
};
use downpour_metainfo::Builder;
use downpour_storage::sha1;
use tempfile::TempDir;

const PIECE: usize = 32 << 10;
/// Far more than any of this needs: a test that hits it has hung.
const PATIENCE: Duration = Duration::from_secs(60);

fn session(settings: Settings) -> Session {
    let listen = vec!["127.0.0.1:0".parse().unwrap()];
    Session::start(Config { listen, settings, ..Config::default() }).unwrap()
}

fn address(session: &Session) -> SocketAddr {
    session.listen_addresses()[0]
}

/// A file of its own in `folder`, and the torrent of it.
fn torrent(folder: &TempDir, number: u64) -> Vec<u8> {
    let (name, mut content) = (format!("{number}.bin"), vec![0; 20 * PIECE]);
    Rng::new(Seed::from_u64(number)).fill(&mut content);
    std::fs::write(folder.path().join(&name), &content).unwrap();
    let mut creation =
        Builder::file(&name, content.len() as u64).piece_length(PIECE as u64).create().unwrap();
    for (piece, bytes) in (0..).zip(content.chunks(PIECE)) {
        creation.set_piece_hash(piece, sha1([bytes])).unwrap();
    }
    creation.finish().unwrap()
}

fn until(session: &Session, fits: impl Fn(&Alert) -> bool) -> Alert {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(alert) = session.next_alert_blocking(Duration::from_millis(100))
            && fits(&alert)
        {
            return alert;
        }
    }
    panic!("never came");
}

fn wait_for(handle: &TorrentHandle, state: State) {
    let start = Instant::now();
    while handle.status().state != state {
        assert!(start.elapsed() < PATIENCE, "{:?}", handle.status());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_peer_that_connects_a_thousand_times_is_named_and_does_not_stop_the_download() {
    let (there, here) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let torrent = torrent(&there, 1);
    let (seeder, leecher) = (session(Settings::default()), session(Settings::default()));
    let seeding = seeder.add_torrent(AddTorrent::new(torrent.clone(), there.path())).unwrap();
    wait_for(&seeding, State::Seeding);
    let calls: Vec<_> = (0..1000).map(|_| TcpStream::connect(address(&leecher)).unwrap()).collect();
    let named = until(&leecher, |alert| matches!(alert.kind, AlertKind::ConnectionRefused { .. }));
    let AlertKind::ConnectionRefused { endpoint, reason, .. } = named.kind else { unreachable!() };
    assert!(calls.iter().any(|call| call.local_addr().ok() == endpoint.address()));
    assert!(matches!(reason, RefuseReason::TooOften | RefuseReason::TooManyHandshakes), "{reason}");
    let handle =
        leecher.add_torrent(AddTorrent::new(torrent, here.path()).peers([address(&seeder)])).unwrap();
    until(&leecher, |alert| matches!(alert.kind, AlertKind::Finished));
    let statistics = leecher.statistics();
    assert_eq!(statistics.downloaded_bytes, 20 * PIECE as u64);
    assert_eq!(statistics.seeding + statistics.dormant, 1);
    assert_eq!(handle.queue_position(), Some(0));
}

#[test]
fn downloads_wait_for_their_turn() {
    let (there, here) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let session = session(Settings { active_downloads: Some(1), ..Settings::default() });
    let add = |number| session.add_torrent(AddTorrent::new(torrent(&there, number), here.path())).unwrap();
    let (one, two) = (add(1), add(2));
    wait_for(&one, State::Downloading);
    wait_for(&two, State::Queued);
    two.queue_position_top();
    wait_for(&two, State::Downloading);
    wait_for(&one, State::Queued);
    assert_eq!((two.queue_position(), one.queue_position()), (Some(0), Some(1)));
    let statistics = session.statistics();
    assert_eq!((statistics.queued, statistics.downloading), (1, 1));
}

#[test]
fn a_seed_stops_when_it_gave_as_much_as_it_was_to_give() {
    let (there, here) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let torrent = torrent(&there, 1);
    let goal = SeedingGoal { ratio_per_mille: Some(1000), time: None };
    let seeder = session(Settings { seeding_goal: goal, ..Settings::default() });
    let seeding = seeder.add_torrent(AddTorrent::new(torrent.clone(), there.path())).unwrap();
    wait_for(&seeding, State::Seeding);
    let leecher = session(Settings::default());
    leecher.add_torrent(AddTorrent::new(torrent, here.path()).peers([address(&seeder)])).unwrap();
    let reached = until(&seeder, |alert| matches!(alert.kind, AlertKind::SeedingGoalReached));
    assert_eq!(reached.torrent, Some(seeding.id()));
    wait_for(&seeding, State::Dormant);
}
