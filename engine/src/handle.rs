//! What a host does with one torrent.

mod files;
mod storage;
mod web_seeds;

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use downpour_base::{Bitfield, InfoHash, TorrentId};
use downpour_metainfo::Metainfo;
use downpour_session::Input as SessionInput;
use downpour_swarm::{Command, Direction, Input, PeerSource, PeerStatus, Status};
use downpour_tracker::TrackerUrl;
use downpour_tracker::client::TrackerStatus;

use crate::core::Core;
use crate::error::Error;
use crate::torrent::Torrent;

/// What a torrent is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Its files are being hashed.
    Checking,
    /// Pieces are missing.
    Downloading,
    /// Everything is here.
    Seeding,
    /// The user, or an error, stopped it.
    Paused,
    /// It waits for its turn in the queue.
    Queued,
    /// The disk is full; it goes on when there is space.
    DiskFull,
    /// It rests until somebody asks for it.
    Dormant,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Checking => "checking",
            Self::Downloading => "downloading",
            Self::Seeding => "seeding",
            Self::Paused => "paused",
            Self::Queued => "queued",
            Self::DiskFull => "disk full",
            Self::Dormant => "dormant",
        })
    }
}

/// How a torrent is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TorrentStatus {
    /// What it is doing.
    pub state: State,
    /// Pieces checked, while it is being checked.
    pub pieces_checked: u32,
    /// Pieces to check.
    pub pieces_to_check: u32,
    /// Pieces that are verified and written.
    pub pieces_have: u32,
    /// Pieces that are wanted and not had.
    pub pieces_missing: u32,
    /// Pieces of the torrent.
    pub pieces_total: u32,
    /// Payload received in all runs, in bytes.
    pub downloaded_bytes: u64,
    /// Payload sent in all runs, in bytes.
    pub uploaded_bytes: u64,
    /// Payload received in vain in this run, in bytes.
    pub wasted_bytes: u64,
    /// Bytes per second.
    pub download_rate: u64,
    /// Bytes per second.
    pub upload_rate: u64,
    /// Connected peers.
    pub peers: u32,
    /// Those of them that have everything.
    pub seeds: u32,
    /// Whether all that is wanted is had.
    pub finished: bool,
}

/// A torrent in a session. Cheap to clone; it may be used from any thread, and outlive the torrent.
#[derive(Clone, Debug)]
pub struct TorrentHandle {
    pub(crate) core: Arc<Core>,
    pub(crate) torrent: Arc<Torrent>,
}

impl TorrentHandle {
    /// Under which number alerts name it.
    #[must_use]
    pub fn id(&self) -> TorrentId {
        self.torrent.id
    }

    /// Which torrent it is.
    #[must_use]
    pub fn info_hash(&self) -> InfoHash {
        self.torrent.metainfo.info.info_hash()
    }

    /// What the .torrent file says.
    #[must_use]
    pub fn metainfo(&self) -> &Metainfo {
        &self.torrent.metainfo
    }

    /// How it is doing.
    #[must_use]
    pub fn status(&self) -> TorrentStatus {
        let torrent = &self.torrent;
        let live = torrent.active().as_ref().map(|active| active.swarm.swarm().status(self.core.clock.now()));
        let (mut downloaded, mut uploaded) = (
            torrent.downloaded_before.load(Ordering::Relaxed),
            torrent.uploaded_before.load(Ordering::Relaxed),
        );
        if let Some(live) = &live {
            downloaded += live.downloaded_bytes;
            uploaded += live.uploaded_bytes;
        }
        let checking = torrent.check.running.load(Ordering::Acquire);
        let state = match &live {
            _ if checking => State::Checking,
            None if torrent.wishes().paused => State::Paused,
            None if self.core.session().is_queued(torrent.id) => State::Queued,
            None => State::Dormant,
            Some(live) if live.paused => State::Paused,
            Some(live) if live.disk_full => State::DiskFull,
            Some(live) if live.finished => State::Seeding,
            Some(_) => State::Downloading,
        };
        let last = || *torrent.last_status.lock().unwrap_or_else(PoisonError::into_inner);
        let status: Status = live.unwrap_or_else(last);
        TorrentStatus {
            state,
            pieces_checked: torrent.check.done.load(Ordering::Relaxed),
            pieces_to_check: torrent.check.total.load(Ordering::Relaxed),
            pieces_have: status.pieces_have,
            pieces_missing: status.pieces_missing,
            pieces_total: torrent.metainfo.info.layout().piece_count(),
            downloaded_bytes: downloaded,
            uploaded_bytes: uploaded,
            wasted_bytes: status.wasted_bytes,
            download_rate: status.download_rate,
            upload_rate: status.upload_rate,
            peers: status.peers,
            seeds: status.seeds,
            finished: status.finished,
        }
    }

    /// The pieces that are verified and written; `None` while the torrent is dormant or being checked.
    #[must_use]
    pub fn pieces(&self) -> Option<Bitfield> {
        self.torrent.active().as_ref().and_then(|active| active.swarm.swarm().have().cloned())
    }

    /// How each connected peer is doing.
    #[must_use]
    pub fn peer_info(&self) -> Vec<PeerStatus> {
        let now = self.core.clock.now();
        self.torrent
            .active()
            .as_ref()
            .map_or_else(Vec::new, |active| active.swarm.swarm().peer_statuses(now).collect())
    }

    fn check_alive(&self) -> Result<(), Error> {
        let gone = self.core.closing.load(Ordering::Acquire) || self.core.torrent(self.torrent.id).is_none();
        if gone { Err(Error::Gone) } else { Ok(()) }
    }

    fn command(&self, command: Command) -> Result<(), Error> {
        self.check_alive()?;
        // A torrent that is dormant or being checked has no swarm: the one that it gets is told.
        self.torrent.wishes().note(&command);
        self.core.tell_swarm(self.torrent.id, Input::Command(command));
        Ok(())
    }

    /// Closes all connections and opens none.
    ///
    /// # Errors
    /// If the torrent is gone.
    pub fn pause(&self) -> Result<(), Error> {
        self.core.tell_session(SessionInput::Pause { torrent: self.torrent.id, paused: true });
        self.command(Command::Pause)
    }

    /// Goes on after [`pause`](Self::pause) or an error.
    ///
    /// # Errors
    /// If the torrent is gone.
    pub fn resume(&self) -> Result<(), Error> {
        self.core.tell_session(SessionInput::Pause { torrent: self.torrent.id, paused: false });
        self.command(Command::Resume)?;
        self.core.tell_session(SessionInput::Wake { torrent: self.torrent.id });
        Ok(())
    }

    /// Downloads pieces in order, or the rarest first.
    ///
    /// # Errors
    /// If the torrent is gone.
    pub fn set_sequential(&self, sequential: bool) -> Result<(), Error> {
        self.command(Command::SetSequential(sequential))
    }

    /// Sets how much a piece is wanted, 0 (not at all) to 7.
    ///
    /// # Errors
    /// If the torrent is gone.
    pub fn set_piece_priority(&self, piece: u32, priority: u8) -> Result<(), Error> {
        self.command(Command::SetPiecePriority { piece, priority })
    }

    /// Sets how much each piece is wanted, from the first on, 0 (not at all) to 7.
    ///
    /// # Errors
    /// If the torrent is gone.
    pub fn set_piece_priorities(&self, priorities: Vec<u8>) -> Result<(), Error> {
        self.command(Command::SetPiecePriorities(priorities))
    }

    /// Says that a piece is needed within `time`; `None` takes that back.
    ///
    /// # Errors
    /// If the torrent is gone.
    pub fn set_piece_deadline(&self, piece: u32, time: Option<Duration>) -> Result<(), Error> {
        let deadline = time.map(|time| self.core.clock.now() + time);
        self.command(Command::SetPieceDeadline { piece, deadline })
    }

    /// Limits what this torrent receives, in bytes per second; `None` for no limit of its own.
    pub fn set_download_limit(&self, bytes_per_second: Option<u64>) {
        self.limit(Direction::Download, bytes_per_second);
    }

    /// Limits what this torrent sends, in bytes per second; `None` for no limit of its own.
    pub fn set_upload_limit(&self, bytes_per_second: Option<u64>) {
        self.limit(Direction::Upload, bytes_per_second);
    }

    fn limit(&self, direction: Direction, bytes_per_second: Option<u64>) {
        let torrent = self.torrent.id;
        self.core.tell_session(SessionInput::LimitTorrent { torrent, direction, bytes_per_second });
    }

    /// Tells the trackers now; normally after the time that they asked to be left alone for, and before that if
    /// `ignore_min_interval` is set.
    ///
    /// # Errors
    /// If the torrent is gone.
    pub fn force_reannounce(&self, ignore_min_interval: bool) -> Result<(), Error> {
        self.tell_trackers(SessionInput::Reannounce { torrent: self.torrent.id, ignore_min_interval })
    }

    /// Asks a tracker how many take part. [`AlertKind::ScrapeReply`](crate::AlertKind::ScrapeReply) has the answer.
    ///
    /// # Errors
    /// If the torrent is gone.
    pub fn scrape_tracker(&self) -> Result<(), Error> {
        self.tell_trackers(SessionInput::Scrape { torrent: self.torrent.id })
    }

    /// The trackers in the order in which they are tried, and how each is doing.
    #[must_use]
    pub fn trackers(&self) -> Vec<TrackerStatus> {
        self.core.session().trackers(self.torrent.id).collect()
    }

    /// Adds a tracker at the end of a tier, from 0 (BEP 12). One that is there already changes nothing.
    ///
    /// # Errors
    /// If the torrent is gone, or that is no tracker's URL.
    pub fn add_tracker(&self, url: &str, tier: u8) -> Result<(), Error> {
        check_tracker(url)?;
        self.tell_trackers(SessionInput::AddTracker { torrent: self.torrent.id, url: url.to_owned(), tier })
    }

    /// Takes a tracker away, without telling it.
    ///
    /// # Errors
    /// If the torrent is gone.
    pub fn remove_tracker(&self, url: &str) -> Result<(), Error> {
        self.tell_trackers(SessionInput::RemoveTracker { torrent: self.torrent.id, url: url.to_owned() })
    }

    /// Takes other trackers, in tiers. What is known of those that stay is kept.
    ///
    /// # Errors
    /// If the torrent is gone, or one is no tracker's URL: then nothing changes.
    pub fn replace_trackers(&self, tiers: Vec<Vec<String>>) -> Result<(), Error> {
        tiers.iter().flatten().try_for_each(|url| check_tracker(url))?;
        self.tell_trackers(SessionInput::ReplaceTrackers { torrent: self.torrent.id, tiers })
    }

    fn tell_trackers(&self, input: SessionInput) -> Result<(), Error> {
        self.check_alive()?;
        self.core.tell_session(input);
        Ok(())
    }

    /// Adds peers to try.
    ///
    /// # Errors
    /// If the torrent is gone.
    pub fn connect_peers(&self, peers: impl IntoIterator<Item = std::net::SocketAddr>) -> Result<(), Error> {
        self.check_alive()?;
        let peers: Vec<std::net::SocketAddr> = peers.into_iter().collect();
        let endpoints = peers.iter().copied().map(downpour_base::PeerEndpoint::Tcp).collect();
        self.torrent.peers.lock().unwrap_or_else(PoisonError::into_inner).extend(peers);
        self.core.tell_swarm(self.torrent.id, Input::Peers { endpoints, source: PeerSource::User });
        Ok(())
    }
}

fn check_tracker(url: &str) -> Result<(), Error> {
    TrackerUrl::parse(url).map(|_| ()).map_err(|source| Error::TrackerUrl { url: url.to_owned(), source })
}
