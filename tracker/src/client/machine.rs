//! The machine: its parts, and what comes in.

use std::collections::VecDeque;

use downpour_base::{Deadlines, Instant, Machine, Map, MapKey, PeerId, Rng, Seed, TorrentId};

use super::entry::Torrent;
use super::interface::{Input, JobId, Output, Settings, TrackerStatus};
use super::job::{Job, Timer, Transaction};
use super::registry::{HostId, Registry};
use crate::SwarmHash;

/// Announces all torrents of a session to their trackers.
///
/// A torrent goes through its trackers in the order of BEP 12 until one answers, and again when that one's interval is
/// over. Each request waits for its turn at its host; just before it goes out, the torrent's totals are asked for.
#[derive(Debug)]
pub struct Client {
    pub(super) settings: Settings,
    pub(super) peer_id: PeerId,
    pub(super) port: u16,
    pub(super) rng: Rng,
    pub(super) torrents: Map<TorrentId, Torrent>,
    /// Torrents that are removed and still say `stopped`.
    pub(super) leaving: Map<SwarmHash, TorrentId>,
    pub(super) registry: Registry,
    pub(super) jobs: Map<JobId, Job>,
    next_job: u64,
    /// The hosts whose names are being looked up.
    pub(super) resolving: Map<JobId, HostId>,
    pub(super) transactions: Map<u32, Transaction>,
    pub(super) timers: Deadlines<Timer>,
    pub(super) outputs: VecDeque<Output>,
}

impl Client {
    /// A client without torrents.
    #[must_use]
    pub fn new(seed: Seed, settings: Settings) -> Self {
        let mut rng = Rng::new(seed);
        let key = MapKey::new(&mut rng);
        let mut peer_id = PeerId(*b"-dP0100-            ");
        for byte in &mut peer_id.0[8..] {
            *byte = b'0' + rng.index(10) as u8;
        }
        Self {
            settings,
            peer_id,
            port: 0,
            rng,
            torrents: key.map(),
            leaving: key.map(),
            registry: Registry::new(key),
            jobs: key.map(),
            next_job: 0,
            resolving: key.map(),
            transactions: key.map(),
            timers: Deadlines::new(key),
            outputs: VecDeque::new(),
        }
    }

    /// The trackers of a torrent, in the order in which they are tried.
    pub fn trackers(&self, torrent: TorrentId) -> impl Iterator<Item = TrackerStatus> + '_ {
        let entries = self.torrents.get(&torrent).into_iter().flat_map(|torrent| &torrent.entries);
        entries.filter_map(|entry| {
            Some(TrackerStatus {
                url: self.registry.url(entry.tracker)?,
                tier: entry.tier,
                failures: entry.failures,
                working: entry.is_working(),
                busy: entry.job.is_some(),
            })
        })
    }

    pub(super) fn new_job(&mut self) -> JobId {
        self.next_job += 1;
        JobId(self.next_job)
    }
}

impl Machine for Client {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Add { torrent, info_hash, tiers } => self.add(now, torrent, info_hash, tiers),
            Input::Remove { torrent } => self.remove(now, torrent),
            Input::Start { torrent } => self.start(now, torrent),
            Input::Stop { torrent } => self.stop(now, torrent),
            Input::Completed { torrent } => self.completed(now, torrent),
            Input::Reannounce { torrent, ignore_min_interval } => {
                self.reannounce(now, torrent, ignore_min_interval);
            }
            Input::AddTracker { torrent, url, tier } => self.add_tracker(now, torrent, &url, tier),
            Input::RemoveTracker { torrent, url } => self.remove_tracker(now, torrent, &url),
            Input::ReplaceTrackers { torrent, tiers } => self.replace_trackers(now, torrent, tiers),
            Input::Totals { torrent, totals } => self.told_totals(now, torrent, totals),
            Input::HttpDone { job, result } => self.http_done(now, job, result),
            Input::Resolved { job, result } => self.resolved(now, job, result),
            Input::Datagram { from, payload } => self.datagram(now, from, &payload),
            Input::Scrape { torrent } => self.scrape(now, torrent),
            Input::Identity { peer_id, port } => (self.peer_id, self.port) = (peer_id, port),
            Input::Settings(settings) => self.settings = settings,
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Torrent(torrent) => self.step(now, torrent, 0),
                Timer::Job(job) => self.job_due(now, job),
                Timer::Pace(host) => self.pump(now, host),
                Timer::Connect(host) => self.connect_due(now, host),
                Timer::Resolve(host) => self.resolve_due(now, host),
            }
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }
}
