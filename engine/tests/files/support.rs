//! What tests with trees of files share.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use downpour_base::{Rng, Seed};
use downpour_engine::{AddTorrent, Alert, AlertKind, Config, Session, Settings, State, TorrentHandle};
use downpour_metainfo::Builder;
use downpour_storage::sha1;

pub(crate) const PIECE: usize = 32 << 10;
/// Far more than any of this needs: a test that hits it has hung.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The files of a torrent, and the torrent.
pub(crate) struct Tree {
    pub(crate) files: Vec<(String, Vec<u8>)>,
    pub(crate) torrent: Vec<u8>,
}

impl Tree {
    /// A torrent `t` of files `a/0`, `a/1`, … with random bytes.
    pub(crate) fn new(lengths: &[usize], seed: u64) -> Self {
        let mut rng = Rng::new(Seed::from_u64(seed));
        let content = |length: &usize| {
            let mut bytes = vec![0; *length];
            rng.fill(&mut bytes);
            bytes
        };
        let contents: Vec<Vec<u8>> = lengths.iter().map(content).collect();
        let listed = (0..)
            .zip(lengths)
            .map(|(i, length): (u32, _)| (vec!["a".to_owned(), i.to_string()], *length as u64));
        let mut creation = Builder::tree("t", listed.collect()).piece_length(PIECE as u64).create().unwrap();
        for (piece, bytes) in (0..).zip(contents.concat().chunks(PIECE)) {
            creation.set_piece_hash(piece, sha1([bytes])).unwrap();
        }
        let paths = creation.layout().files().iter().map(|file| file.path.clone());
        Self { files: paths.zip(contents).collect(), torrent: creation.finish().unwrap() }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.files.iter().flat_map(|file| file.1.iter().copied()).collect()
    }

    pub(crate) fn write(&self, folder: &Path) {
        for (path, content) in &self.files {
            std::fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
            std::fs::write(folder.join(path), content).unwrap();
        }
    }

    pub(crate) fn assert_file(&self, folder: &Path, file: usize) {
        let (path, content) = &self.files[file];
        assert!(std::fs::read(folder.join(path)).unwrap() == *content, "{path} differs");
    }

    /// A session that seeds it.
    pub(crate) fn seeder(&self, folder: &Path, settings: Settings) -> Session {
        self.write(folder);
        let seeder = session(settings, None);
        let handle = seeder.add_torrent(AddTorrent::new(self.torrent.clone(), folder)).unwrap();
        wait_for(&handle, |state| state == State::Seeding);
        seeder
    }
}

pub(crate) fn session(settings: Settings, state: Option<&Path>) -> Session {
    let listen = vec!["127.0.0.1:0".parse().unwrap()];
    Session::start(Config { listen, settings, state_folder: state.map(Path::to_owned), ..Config::default() })
        .unwrap()
}

pub(crate) fn address(session: &Session) -> SocketAddr {
    session.listen_addresses()[0]
}

/// Takes alerts until one fits, and returns all of them.
pub(crate) fn until(session: &Session, fits: impl Fn(&AlertKind) -> bool) -> Vec<Alert> {
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

pub(crate) fn wait_for(handle: &TorrentHandle, fits: impl Fn(State) -> bool) {
    let start = Instant::now();
    while !fits(handle.status().state) {
        assert!(start.elapsed() < PATIENCE, "{:?}", handle.status());
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn is_finished(kind: &AlertKind) -> bool {
    matches!(kind, AlertKind::Finished)
}

pub(crate) fn is_checked(kind: &AlertKind) -> bool {
    matches!(kind, AlertKind::Checked { .. })
}
