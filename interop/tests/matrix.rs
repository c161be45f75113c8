//! Transfers between foreign clients and us that find each other by a tracker.
//!
//! Each test is one foreign client in one direction. The short form has one transfer in each, such that each tracker is
//! spoken to over each protocol once; the long form has all trackers, protocols and contents in each.

use std::path::{Path, PathBuf};
use std::time::Duration;

use downpour_interop::{
    ClientKind, Job, Lab, Network, Protocol, TRACKERS, Tool, Tracker, TrackerKind, announce_url, full,
    isolated, make_file, make_tree, start, sums, wait_for_all,
};

const LIMIT: Duration = Duration::from_secs(120);
const TREE_FILES: u64 = 2000;
/// The SHA-256 of no bytes.
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[derive(Clone, Copy, PartialEq)]
enum Content {
    File,
    Tree,
}

impl Content {
    fn name(self) -> &'static str {
        match self {
            Self::File => "file.bin",
            Self::Tree => "tree ☂",
        }
    }

    fn make(self, lab: &Lab) -> PathBuf {
        let path = lab.folder("content").join(self.name());
        match self {
            Self::File => make_file(&path, if full() { 256 << 20 } else { 32 << 20 }),
            Self::Tree => make_tree(&path, TREE_FILES),
        }
        path
    }
}

#[derive(Clone, Copy, Debug)]
enum Direction {
    ToUs,
    FromUs,
}

/// `short` is the place in `TRACKERS` of the only one in the short form.
fn transfers(foreign: ClientKind, direction: Direction, short: usize, content: Content) {
    let tools = [foreign.tool(), Tool::Libtorrent, Tool::Opentracker, Tool::BittorrentTracker];
    let Some(lab) = Lab::with(env!("CARGO_TARGET_TMPDIR"), &tools) else { return };
    let network = Network::new();
    let (trackers, contents) = match full() {
        true => (TRACKERS.to_vec(), vec![Content::File, Content::Tree]),
        false => (vec![TRACKERS[short]], vec![content]),
    };
    for content in contents {
        let path = content.make(&lab);
        for (tracker, protocol) in &trackers {
            eprintln!("{foreign:?} {direction:?} by {tracker:?} over {protocol:?}: {}", content.name());
            transfer(&lab, &network, foreign, direction, (*tracker, *protocol), &path);
        }
    }
}

fn transfer(
    lab: &Lab,
    network: &Network,
    foreign: ClientKind,
    direction: Direction,
    tracker: (TrackerKind, Protocol),
    content: &Path,
) {
    let (host, seeder_host, leecher_host) = (network.host(), network.host(), network.host());
    let torrent = lab.path("transfer.torrent");
    let info_hash = lab.libtorrent_create(content, &torrent, &[&announce_url(&host, tracker.1)]);
    let tracker = Tracker::start(lab, &host, tracker.0, &info_hash);
    let (seeder, leecher) = match direction {
        Direction::ToUs => (foreign, ClientKind::Downpour),
        Direction::FromUs => (ClientKind::Downpour, foreign),
    };
    let folder = content.parent().expect("a folder");
    let job = Job { host: &seeder_host, torrent: &torrent, folder, seeds: true, upload_limit: None };
    let mut seeders = [(seeder, start(lab, seeder, &job))];
    wait_for_all(&mut seeders, LIMIT);
    tracker.wait_for_peers(1);

    let output = lab.folder("output");
    let job =
        Job { host: &leecher_host, torrent: &torrent, folder: &output, seeds: false, upload_limit: None };
    let mut leechers = [(leecher, start(lab, leecher, &job))];
    wait_for_all(&mut leechers, LIMIT);
    for (_, client) in leechers.iter_mut().chain(&mut seeders) {
        client.stop();
    }
    let mut expected = sums(content);
    if leecher == ClientKind::Transmission {
        // It makes files when it writes to them, so those without a byte never.
        expected.retain(|_, sum| *sum != NOTHING);
    }
    assert_eq!(sums(&output.join(content.file_name().expect("a name"))), expected);
    std::fs::remove_dir_all(&output).expect("it can be removed");
}

/// Of a test; the full form has twelve transfers.
fn limit() -> Duration {
    if full() { 12 * LIMIT } else { 2 * LIMIT }
}

#[test]
fn from_transmission() {
    isolated(env!("CARGO_TARGET_TMPDIR"), limit(), || {
        transfers(ClientKind::Transmission, Direction::ToUs, 0, Content::Tree)
    });
}

#[test]
fn to_transmission() {
    isolated(env!("CARGO_TARGET_TMPDIR"), limit(), || {
        transfers(ClientKind::Transmission, Direction::FromUs, 1, Content::File)
    });
}

#[test]
fn from_aria2() {
    isolated(env!("CARGO_TARGET_TMPDIR"), limit(), || {
        transfers(ClientKind::Aria2, Direction::ToUs, 2, Content::File)
    });
}

#[test]
fn to_aria2() {
    isolated(env!("CARGO_TARGET_TMPDIR"), limit(), || {
        transfers(ClientKind::Aria2, Direction::FromUs, 3, Content::Tree)
    });
}

#[test]
fn from_libtorrent() {
    isolated(env!("CARGO_TARGET_TMPDIR"), limit(), || {
        transfers(ClientKind::Libtorrent, Direction::ToUs, 4, Content::File)
    });
}

#[test]
fn to_libtorrent() {
    isolated(env!("CARGO_TARGET_TMPDIR"), limit(), || {
        transfers(ClientKind::Libtorrent, Direction::FromUs, 5, Content::Tree)
    });
}
