//! What a session and a torrent are started with.

use std::net::SocketAddr;
use std::path::PathBuf;

use downpour_base::Seed;
use downpour_session::Settings;
use downpour_session::limits::MAX_HANDSHAKES;
use downpour_storage::Allocation;

/// Handles for all that is neither a connection nor a file of a torrent.
const OTHER_HANDLES: u64 = 32;
/// Connections that are tried even when there seem to be no handles for them.
const FEW_CONNECTIONS: u64 = 8;

/// What a session is started with. What can change later is in [`Settings`].
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen for peers, IPv4 and IPv6. Port 0 takes any.
    pub listen: Vec<SocketAddr>,
    /// Where resume state is kept; without a folder, every start hashes all files.
    pub state_folder: Option<PathBuf>,
    /// Limits that can change at run time.
    pub settings: Settings,
    /// Threads for the network, and as many again for disk and hashing. By default one for each core.
    pub threads: usize,
    /// Files that are kept open; at most a quarter of the handles that the process may have (`ulimit -n`).
    pub open_files: usize,
    /// Where the random choices grow from; `None` takes the system's randomness.
    pub seed: Option<Seed>,
    /// Writes all that happens to the torrents' machines into this file, for replay. It holds addresses.
    pub record: Option<PathBuf>,
    /// Name and version, as peers and trackers are told.
    pub client: String,
    /// Certificates in PEM form that HTTPS servers may use beside those of Mozilla's authorities.
    pub extra_root_certificates: Vec<u8>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![([0, 0, 0, 0], 0).into(), ([0u16; 8], 0).into()],
            state_folder: None,
            settings: Settings::default(),
            threads: std::thread::available_parallelism().map_or(2, usize::from),
            open_files: 256,
            seed: None,
            record: None,
            client: concat!("Downpour ", env!("CARGO_PKG_VERSION")).to_owned(),
            extra_root_certificates: Vec::new(),
        }
    }
}

/// `settings` with no more connections than the process has file handles for (`ulimit -n`), beside its files, the
/// connections that say hello, and `OTHER_HANDLES`.
pub(crate) fn within_limits(mut settings: Settings) -> Settings {
    if let Some(all) = downpour_storage::descriptor_limit() {
        let others = all / 4 + MAX_HANDSHAKES as u64 + OTHER_HANDLES;
        let left = all.saturating_sub(others).max(FEW_CONNECTIONS);
        settings.connections = settings.connections.min(u32::try_from(left).unwrap_or(u32::MAX));
    }
    settings
}

/// A torrent to add.
#[derive(Clone, Debug)]
pub struct AddTorrent {
    /// The .torrent file's content.
    pub torrent: Vec<u8>,
    /// The folder that its file or folder goes into.
    pub save_path: PathBuf,
    /// Peers to try first.
    pub peers: Vec<SocketAddr>,
    /// How space is taken.
    pub allocation: Allocation,
    /// Do not run yet.
    pub paused: bool,
    /// How much the first files are wanted, 0 (not at all) to 7; 4 for those after them. Goes before what an earlier run
    /// said.
    pub file_priorities: Vec<u8>,
    /// What [`TorrentHandle::save_resume_data`](crate::TorrentHandle::save_resume_data) returned, for a host that keeps it
    /// itself: used in place of what the state folder has.
    pub resume_data: Option<Vec<u8>>,
}

/// What becomes of a torrent's files when it is removed from a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoveFiles {
    /// They stay, and so does the resume state.
    Keep,
    /// They go, and so does the resume state.
    Delete,
}

impl AddTorrent {
    /// A torrent that downloads into `save_path`, or seeds what is there.
    #[must_use]
    pub fn new(torrent: impl Into<Vec<u8>>, save_path: impl Into<PathBuf>) -> Self {
        Self {
            torrent: torrent.into(),
            save_path: save_path.into(),
            peers: Vec::new(),
            allocation: Allocation::Sparse,
            paused: false,
            file_priorities: Vec::new(),
            resume_data: None,
        }
    }

    /// Adds peers to try first.
    #[must_use]
    pub fn peers(mut self, peers: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.peers.extend(peers);
        self
    }
}
