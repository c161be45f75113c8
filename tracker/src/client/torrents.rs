//! The life of a torrent, as the user tells it.

use downpour_base::{InfoHash, Instant, TorrentId};

use super::entry::{Entry, Step, Torrent, shuffle};
use super::interface::{Event, Failure, Output, Totals};
use super::job::{Purpose, State, Timer};
use super::machine::Client;
use super::registry::TrackerId;
use crate::limits::MAX_TRACKERS;
use crate::{AnnounceEvent, SwarmHash};

impl Client {
    pub(super) fn add(&mut self, now: Instant, id: TorrentId, info_hash: InfoHash, tiers: Vec<Vec<String>>) {
        // What a predecessor had to say would take this one off the tracker's list again.
        if let Some(predecessor) = self.leaving.get(&SwarmHash::from(info_hash)).copied() {
            self.forget(now, predecessor);
        }
        if self.torrents.contains_key(&id) {
            return;
        }
        let torrent = Torrent::new(info_hash, self.rng.next_u32());
        self.torrents.insert(id, torrent);
        self.insert_tiers(id, tiers);
    }

    /// Adds trackers, each tier shuffled (BEP 12); those that are there already stay.
    fn insert_tiers(&mut self, id: TorrentId, tiers: Vec<Vec<String>>) {
        for (tier, mut urls) in tiers.into_iter().enumerate() {
            shuffle(&mut urls, &mut self.rng);
            let tier = u8::try_from(tier).unwrap_or(u8::MAX);
            urls.iter().for_each(|url| self.insert_tracker(id, url, tier));
        }
    }

    fn insert_tracker(&mut self, id: TorrentId, url: &str, tier: u8) {
        let Some(torrent) = self.torrents.get(&id) else { return };
        if torrent.entries.len() >= MAX_TRACKERS {
            return;
        }
        match self.registry.acquire(url) {
            Ok(tracker) if torrent.position(tracker).is_some() => {
                self.registry.release(tracker);
            }
            Ok(tracker) => {
                if let Some(torrent) = self.torrents.get_mut(&id) {
                    torrent.insert(Entry::new(tracker, tier));
                }
            }
            Err(error) => {
                // The whole of a URL that is too long helps nobody.
                let shown: String = url.chars().take(100).collect();
                let reason = Failure::Url(error);
                let event = Event::Failed { torrent: id, tracker: shown.into(), reason, retry: None };
                self.outputs.push_back(Output::Event(event));
            }
        }
    }

    pub(super) fn start(&mut self, now: Instant, id: TorrentId) {
        let Some(torrent) = self.torrents.get_mut(&id).filter(|torrent| !torrent.leaving) else { return };
        if !std::mem::replace(&mut torrent.running, true) {
            torrent.next = now;
            // It may have stayed for its last words only.
            self.end_stop(now, id);
            self.step(now, id, 0);
        }
    }

    pub(super) fn stop(&mut self, now: Instant, id: TorrentId) {
        let Some(torrent) = self.torrents.get_mut(&id).filter(|torrent| !torrent.leaving) else { return };
        torrent.stopping = true;
        torrent.running = false;
        self.timers.set(Timer::Torrent(id), None);
        self.say_stopped(now, id);
        self.end_stop(now, id);
    }

    /// Sends `stopped` to every tracker that knows, or may just be learning, that the torrent is there; after `completed`
    /// to one that has yet to hear of that, since some count downloads by it.
    fn say_stopped(&mut self, now: Instant, id: TorrentId) {
        let trackers: Vec<TrackerId> = match self.torrents.get(&id) {
            Some(torrent) => torrent.entries.iter().map(|entry| entry.tracker).collect(),
            None => return,
        };
        for tracker in trackers {
            let Some(torrent) = self.torrents.get(&id) else { return };
            let entry = torrent.position(tracker).and_then(|at| torrent.entries.get(at));
            let Some(entry) = entry else { continue };
            let (mut known, job, news) = (entry.started, entry.job, torrent.has_news_for(entry));
            if let Some((job_id, job)) = job.and_then(|job| Some((job, self.jobs.get_mut(&job)?))) {
                if job.purpose == Purpose::Stop {
                    continue;
                }
                let on_its_way =
                    matches!(job.state, State::Http { .. } | State::Waiting | State::Sent { .. });
                if news && (job.event == AnnounceEvent::Completed || !on_its_way) {
                    job.give_up_at = job.give_up_at.min(now + self.settings.stop_timeout);
                    if job.state != State::Totals {
                        self.timers.set(Timer::Job(job_id), Some(job.next_at()));
                    }
                    continue;
                }
                known |= job.event == AnnounceEvent::Started
                    && matches!(job.state, State::Http { .. } | State::Sent { .. });
            }
            if let Some(job) = job {
                self.cancel(now, job);
            }
            // What waited at the same host may have ended with it, and this tracker may have been told for that.
            if self.entry(id, tracker).is_none_or(|entry| entry.job.is_some()) {
                continue;
            }
            if news && self.request(now, id, tracker, Purpose::Announce) {
                continue;
            }
            if known {
                self.request(now, id, tracker, Purpose::Stop);
            }
        }
    }

    /// Whether a torrent says its last words.
    pub(super) fn is_stopping(&self, id: TorrentId) -> bool {
        self.torrents.get(&id).is_some_and(|torrent| torrent.stopping && !torrent.running)
    }

    /// Tells whoever stopped a torrent that its trackers know, if they all do.
    pub(super) fn end_stop(&mut self, now: Instant, id: TorrentId) {
        let Some(torrent) = self.torrents.get_mut(&id) else { return };
        let jobs = torrent.entries.iter().filter_map(|entry| self.jobs.get(&entry.job?));
        let says_so = jobs.into_iter().any(|job| job.purpose == Purpose::Stop || !torrent.running);
        if torrent.stopping && !says_so {
            torrent.stopping = false;
            torrent.completed &= torrent.running;
            let leaving = torrent.leaving;
            self.outputs.push_back(Output::Stopped { torrent: id });
            if leaving {
                self.forget(now, id);
            }
        }
    }

    pub(super) fn remove(&mut self, now: Instant, id: TorrentId) {
        let Some(torrent) = self.torrents.get_mut(&id).filter(|torrent| !torrent.leaving) else { return };
        torrent.leaving = true;
        torrent.stopping = true;
        torrent.running = false;
        let (scrape, hash) = (torrent.scrape, SwarmHash::from(torrent.info_hash));
        if let Some(job) = scrape {
            self.cancel(now, job);
        }
        self.leaving.insert(hash, id);
        self.timers.set(Timer::Torrent(id), None);
        self.say_stopped(now, id);
        self.end_stop(now, id);
    }

    /// Drops all that is held for a torrent.
    fn forget(&mut self, now: Instant, id: TorrentId) {
        let Some(torrent) = self.torrents.get(&id) else { return };
        let hash = SwarmHash::from(torrent.info_hash);
        let jobs: Vec<_> =
            torrent.entries.iter().filter_map(|entry| entry.job).chain(torrent.scrape).collect();
        jobs.into_iter().for_each(|job| self.cancel(now, job));
        if self.leaving.get(&hash) == Some(&id) {
            self.leaving.remove(&hash);
        }
        self.timers.set(Timer::Torrent(id), None);
        let Some(torrent) = self.torrents.remove(&id) else { return };
        if torrent.stopping {
            self.outputs.push_back(Output::Stopped { torrent: id });
        }
        torrent.entries.iter().for_each(|entry| self.release(entry.tracker));
    }

    pub(super) fn completed(&mut self, now: Instant, id: TorrentId) {
        let Some(torrent) = self.torrents.get_mut(&id).filter(|torrent| torrent.running) else { return };
        torrent.completed = true;
        // What was told before it was complete no longer holds, however fresh.
        torrent.totals_at = None;
        self.step(now, id, 0);
    }

    pub(super) fn reannounce(&mut self, now: Instant, id: TorrentId, ignore_min_interval: bool) {
        let Some(torrent) = self.torrents.get_mut(&id).filter(|torrent| torrent.running) else { return };
        torrent.next = now;
        for entry in &mut torrent.entries {
            if entry.failures > 0 || ignore_min_interval {
                entry.not_before = now;
            }
        }
        if ignore_min_interval {
            let trackers: Vec<TrackerId> = torrent.entries.iter().map(|entry| entry.tracker).collect();
            for tracker in trackers {
                let host = self.registry.host_of(tracker).and_then(|host| self.registry.host_mut(host));
                if let Some(host) = host {
                    host.quiet_until = now;
                }
            }
        }
        self.step(now, id, 0);
    }

    pub(super) fn add_tracker(&mut self, now: Instant, id: TorrentId, url: &str, tier: u8) {
        self.insert_tracker(id, url, tier);
        self.step_unless_working(now, id);
    }

    pub(super) fn remove_tracker(&mut self, now: Instant, id: TorrentId, url: &str) {
        if let Some(tracker) = self.registry.find(url) {
            self.drop_tracker(now, id, tracker);
            self.step_unless_working(now, id);
            self.end_stop(now, id);
        }
    }

    pub(super) fn replace_trackers(&mut self, now: Instant, id: TorrentId, tiers: Vec<Vec<String>>) {
        let Some(torrent) = self.torrents.get(&id) else { return };
        let old: Vec<TrackerId> = torrent.entries.iter().map(|entry| entry.tracker).collect();
        let mut kept: Vec<(TrackerId, u8)> = Vec::new();
        for (tier, urls) in tiers.iter().enumerate() {
            let stay = urls.iter().filter_map(|url| self.registry.find(url));
            kept.extend(stay.map(|tracker| (tracker, u8::try_from(tier).unwrap_or(u8::MAX))));
        }
        for tracker in old {
            match kept.iter().find(|kept| kept.0 == tracker) {
                Some((_, tier)) => self.move_to_tier(id, tracker, *tier),
                None => self.drop_tracker(now, id, tracker),
            }
        }
        self.insert_tiers(id, tiers);
        self.step_unless_working(now, id);
        self.end_stop(now, id);
    }

    fn move_to_tier(&mut self, id: TorrentId, tracker: TrackerId, tier: u8) {
        let Some(torrent) = self.torrents.get_mut(&id) else { return };
        if let Some(at) = torrent.position(tracker) {
            let entry = torrent.entries.remove(at);
            torrent.insert(Entry { tier, ..entry });
        }
    }

    fn drop_tracker(&mut self, now: Instant, id: TorrentId, tracker: TrackerId) {
        let Some(torrent) = self.torrents.get(&id) else { return };
        let Some(at) = torrent.position(tracker) else { return };
        let own = torrent.entries.get(at).and_then(|entry| entry.job);
        let scrape =
            torrent.scrape.filter(|job| self.jobs.get(job).is_some_and(|job| job.tracker == tracker));
        own.into_iter().chain(scrape).for_each(|job| self.cancel(now, job));
        if let Some(torrent) = self.torrents.get_mut(&id) {
            torrent.entries.remove(at);
            self.release(tracker);
        }
    }

    fn release(&mut self, tracker: TrackerId) {
        if let Some((id, host)) = self.registry.release(tracker) {
            self.drop_host(id, &host);
        }
    }

    /// Asks at once if the trackers changed and none of them works.
    fn step_unless_working(&mut self, now: Instant, id: TorrentId) {
        let Some(torrent) = self.torrents.get_mut(&id) else { return };
        if !torrent.entries.iter().any(Entry::is_working) {
            torrent.next = now;
        }
        self.step(now, id, 0);
    }

    /// Takes what the driver says about a torrent; what waited for it goes out.
    pub(super) fn told_totals(&mut self, now: Instant, id: TorrentId, totals: Totals) {
        let Some(torrent) = self.torrents.get_mut(&id) else { return };
        torrent.totals = totals;
        torrent.totals_at = Some(now);
        let jobs: Vec<_> = torrent.entries.iter().filter_map(|entry| entry.job).collect();
        for job in jobs {
            if self.jobs.get(&job).is_some_and(|job| job.state == State::Totals) {
                self.send(now, job);
            }
        }
    }

    pub(super) fn entry(&mut self, id: TorrentId, tracker: TrackerId) -> Option<&mut Entry> {
        let torrent = self.torrents.get_mut(&id)?;
        let at = torrent.position(tracker)?;
        torrent.entries.get_mut(at)
    }

    /// Goes through a torrent's trackers, if it is time and none of them is being asked.
    pub(super) fn step(&mut self, now: Instant, id: TorrentId, mut from: usize) {
        loop {
            let Some(torrent) = self.torrents.get(&id) else { return };
            if !torrent.running && torrent.stopping {
                self.timers.set(Timer::Torrent(id), None);
                self.say_stopped(now, id);
                return self.end_stop(now, id);
            }
            if !torrent.running || torrent.is_busy() {
                return self.timers.set(Timer::Torrent(id), None);
            }
            let early =
                torrent.next > now && !torrent.entries.iter().any(|entry| torrent.has_news_for(entry));
            let step = if early { Step::Wait(torrent.next) } else { torrent.step(now, from) };
            match step {
                Step::Never => return self.timers.set(Timer::Torrent(id), None),
                Step::Wait(at) => {
                    if let Some(torrent) = self.torrents.get_mut(&id) {
                        torrent.next = at;
                    }
                    return self.timers.set(Timer::Torrent(id), Some(at));
                }
                Step::Ask(at) => {
                    let Some(tracker) = torrent.entries.get(at).map(|entry| entry.tracker) else { return };
                    self.timers.set(Timer::Torrent(id), None);
                    if self.request(now, id, tracker, Purpose::Announce) {
                        return;
                    }
                    from = at + 1;
                }
            }
        }
    }
}
