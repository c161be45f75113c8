//! How a whole session is doing.

use crate::handle::State;
use crate::session::Session;

/// How a session is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionStatistics {
    /// Payload received by the torrents that are there now, in all runs, in bytes.
    pub downloaded_bytes: u64,
    /// Payload sent by them, in all runs, in bytes.
    pub uploaded_bytes: u64,
    /// Payload received in vain, in this run, in bytes.
    pub wasted_bytes: u64,
    /// Bytes per second.
    pub download_rate: u64,
    /// Bytes per second.
    pub upload_rate: u64,
    /// Connected peers.
    pub peers: u64,
    /// Torrents whose files are being hashed.
    pub checking: u64,
    /// Torrents that download.
    pub downloading: u64,
    /// Torrents that seed.
    pub seeding: u64,
    /// Torrents that the user, or an error, stopped.
    pub paused: u64,
    /// Torrents that wait for their turn in the queue.
    pub queued: u64,
    /// Torrents that wait for space on the disk.
    pub disk_full: u64,
    /// Torrents that rest until somebody asks for them.
    pub dormant: u64,
}

impl Session {
    /// How the session is doing. O(torrents).
    #[must_use]
    pub fn statistics(&self) -> SessionStatistics {
        let mut sum = SessionStatistics::default();
        for torrent in self.torrents() {
            let status = torrent.status();
            sum.downloaded_bytes += status.downloaded_bytes;
            sum.uploaded_bytes += status.uploaded_bytes;
            sum.wasted_bytes += status.wasted_bytes;
            sum.download_rate += status.download_rate;
            sum.upload_rate += status.upload_rate;
            sum.peers += u64::from(status.peers);
            let count = match status.state {
                State::Checking => &mut sum.checking,
                State::Downloading => &mut sum.downloading,
                State::Seeding => &mut sum.seeding,
                State::Paused => &mut sum.paused,
                State::Queued => &mut sum.queued,
                State::DiskFull => &mut sum.disk_full,
                State::Dormant => &mut sum.dormant,
            };
            *count += 1;
        }
        sum
    }
}
