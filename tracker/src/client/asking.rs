//! A request's way: the queue of its host, the totals, HTTP or UDP.

use downpour_base::{Instant, TorrentId};

use super::host::patience;
use super::interface::{Event, Failure, HttpError, JobId, Output};
use super::job::{Job, Purpose, State, Timer};
use super::machine::Client;
use super::registry::{HostId, TrackerId};
use crate::limits::{HTTP_TIMEOUT, TOTALS_TIMEOUT};
use crate::{Announce, AnnounceEvent, Scheme, SwarmHash, TrackerUrl, http};

/// How long totals that were told unasked are good.
const TOTALS_LIFETIME: core::time::Duration = core::time::Duration::from_secs(1);

impl Client {
    /// Queues a request. Returns whether it was: a host that is down refuses, and the tracker counts as failed.
    pub(super) fn request(
        &mut self,
        now: Instant,
        id: TorrentId,
        tracker: TrackerId,
        purpose: Purpose,
    ) -> bool {
        let Some(host_id) = self.registry.host_of(tracker) else { return false };
        let Some(host) = self.registry.host(host_id) else { return false };
        if host.is_quiet(now) {
            let retry_at = host.quiet_until;
            self.refused_by_host(now, id, tracker, purpose, retry_at);
            return false;
        }
        let last_words = self.is_stopping(id) && purpose != Purpose::Scrape;
        let give_up_at = if last_words { now + self.settings.stop_timeout } else { Instant::FAR_FUTURE };
        let job_id = self.new_job();
        let (state, event) = (State::Queued, AnnounceEvent::None);
        let job =
            Job { torrent: id, tracker, host: host_id, purpose, state, give_up_at, event, complete: false };
        self.jobs.insert(job_id, job);
        if purpose == Purpose::Scrape {
            if let Some(torrent) = self.torrents.get_mut(&id) {
                torrent.scrape = Some(job_id);
            }
        } else if let Some(entry) = self.entry(id, tracker) {
            entry.job = Some(job_id);
        }
        if last_words {
            self.timers.set(Timer::Job(job_id), Some(give_up_at));
        }
        if let Some(host) = self.registry.host_mut(host_id) {
            host.queue.insert((purpose != Purpose::Stop, job_id));
        }
        self.pump(now, host_id);
        true
    }

    fn refused_by_host(
        &mut self,
        now: Instant,
        id: TorrentId,
        tracker: TrackerId,
        purpose: Purpose,
        retry_at: Instant,
    ) {
        match purpose {
            Purpose::Announce => self.entry_failed(now, id, tracker, Failure::TimedOut, Some(retry_at)),
            Purpose::Scrape => self.scrape_failed(id, Some(tracker), Failure::TimedOut),
            Purpose::Stop => {
                if let Some(entry) = self.entry(id, tracker) {
                    entry.started = false;
                }
            }
        }
    }

    /// Gives turns at a host to those who wait, as far as it may be asked now.
    pub(super) fn pump(&mut self, now: Instant, id: HostId) {
        loop {
            let Some(host) = self.registry.host_mut(id) else { return };
            match host.next(now, &self.settings) {
                Ok(job) => self.granted(now, job),
                Err(at) => return self.timers.set(Timer::Pace(id), at),
            }
        }
    }

    /// A request has its turn.
    fn granted(&mut self, now: Instant, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.purpose == Purpose::Scrape {
            return self.send(now, id);
        }
        job.state = State::Totals;
        let (torrent, give_up_at) = (job.torrent, job.give_up_at);
        let told = self.torrents.get(&torrent).and_then(|torrent| torrent.totals_at);
        if told.is_some_and(|at| now.saturating_duration_since(at) <= TOTALS_LIFETIME) {
            return self.send(now, id);
        }
        self.timers.set(Timer::Job(id), Some(give_up_at.min(now + TOTALS_TIMEOUT)));
        self.outputs.push_back(Output::Totals { torrent });
    }

    /// Sends a request that has its turn, and whose totals are known as well as they will be.
    pub(super) fn send(&mut self, now: Instant, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        let purpose = job.purpose;
        let Some(url) = self.registry.url(job.tracker) else { return };
        let Ok(parts) = TrackerUrl::parse(&url) else { return };
        if !self.choose_event(now, id) {
            return self.think_better_of(now, id);
        }
        if parts.scheme == Scheme::Udp {
            self.renew_patience(now, id);
            return self.send_udp(now, id);
        }
        let Some((announce, tracker_id)) = self.announce_of(id) else { return };
        let url = match purpose {
            Purpose::Scrape => http::scrape_url(&parts, announce.info_hash),
            _ => Some(http::announce_url(&parts, &announce, tracker_id.as_deref())),
        };
        let Some((job, url)) = self.jobs.get_mut(&id).zip(url) else { return };
        job.state = State::Http { sent_at: now };
        job.give_up_at = job.give_up_at.min(now + HTTP_TIMEOUT);
        let give_up_at = job.give_up_at;
        self.timers.set(Timer::Job(id), Some(give_up_at));
        let timeout = give_up_at.saturating_duration_since(now);
        self.outputs.push_back(Output::Http { job: id, url, timeout });
    }

    /// Decides what an announce says, now that the torrent's totals are known. Returns whether it may be said now.
    fn choose_event(&mut self, now: Instant, id: JobId) -> bool {
        let Some(job) = self.jobs.get_mut(&id) else { return false };
        let Some(torrent) = self.torrents.get_mut(&job.torrent) else { return false };
        let Some(at) = torrent.position(job.tracker) else { return false };
        job.complete = torrent.totals.left == 0;
        // All that is wanted is not all there is.
        torrent.completed &= job.complete;
        let Some(entry) = torrent.entries.get(at) else { return false };
        job.event = match job.purpose {
            Purpose::Stop => AnnounceEvent::Stopped,
            Purpose::Announce if !entry.started => AnnounceEvent::Started,
            Purpose::Announce if torrent.completed && !entry.completed => AnnounceEvent::Completed,
            Purpose::Announce | Purpose::Scrape => AnnounceEvent::None,
        };
        job.purpose != Purpose::Announce || job.event != AnnounceEvent::None || entry.not_before <= now
    }

    /// What was finished is not complete, so there is no event, and the interval is not over.
    fn think_better_of(&mut self, now: Instant, id: JobId) {
        if let Some(job) = self.end(id) {
            self.step(now, job.torrent, 0);
            self.after_end(now, job.host);
        }
    }

    /// What a request says, with the tracker's own id for us.
    pub(super) fn announce_of(&self, id: JobId) -> Option<(Announce, Option<Box<[u8]>>)> {
        let job = self.jobs.get(&id)?;
        let torrent = self.torrents.get(&job.torrent)?;
        let entry = torrent.entries.get(torrent.position(job.tracker)?)?;
        let totals = torrent.totals;
        let want = if job.event == AnnounceEvent::Stopped { 0 } else { totals.want };
        let announce = Announce {
            info_hash: SwarmHash::from(torrent.info_hash),
            peer_id: self.peer_id,
            port: self.port,
            uploaded: totals.uploaded,
            downloaded: totals.downloaded,
            left: totals.left,
            event: job.event,
            key: torrent.key,
            want: Some(want),
        };
        Some((announce, entry.tracker_id.clone()))
    }

    /// A request's time is over.
    pub(super) fn job_due(&mut self, now: Instant, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        let over = now >= job.give_up_at;
        match job.state {
            State::Totals if !over => self.send(now, id),
            State::Sent { n, resend_at, .. } => {
                // Who gives up does not hear the answer any more.
                if (over || now >= resend_at)
                    && let Some(host) = self.registry.host_mut(job.host)
                {
                    host.unanswered(n, resend_at - patience(n));
                }
                if over { self.failed(now, id, Failure::TimedOut) } else { self.send_udp(now, id) }
            }
            State::Http { .. } if over => {
                self.outputs.push_back(Output::Cancel { job: id });
                self.failed(now, id, Failure::Http(HttpError::TimedOut));
            }
            _ if over => self.failed(now, id, Failure::TimedOut),
            _ => {}
        }
    }

    pub(super) fn scrape(&mut self, now: Instant, id: TorrentId) {
        let Some(torrent) = self.torrents.get(&id) else { return };
        if torrent.scrape.is_some() || torrent.leaving {
            return;
        }
        let usable = |tracker: &TrackerId| {
            let url = self.registry.url(*tracker);
            let parts = url.as_deref().map(TrackerUrl::parse);
            parts.and_then(Result::ok).is_some_and(|url| {
                url.scheme == Scheme::Udp
                    || http::scrape_url(&url, SwarmHash::from(torrent.info_hash)).is_some()
            })
        };
        let working = torrent.entries.iter().filter(|entry| entry.is_working());
        let others = torrent.entries.iter().filter(|entry| !entry.dead);
        let tracker = working.chain(others).map(|entry| entry.tracker).find(usable);
        match tracker {
            Some(tracker) => {
                self.request(now, id, tracker, Purpose::Scrape);
            }
            None => self.scrape_failed(id, None, Failure::NoScrape),
        }
    }

    pub(super) fn scrape_failed(&mut self, torrent: TorrentId, tracker: Option<TrackerId>, reason: Failure) {
        let tracker = tracker.and_then(|tracker| self.registry.url(tracker));
        self.outputs.push_back(Output::Event(Event::ScrapeFailed { torrent, tracker, reason }));
    }

    /// Takes a request back that nobody needs any more.
    pub(super) fn cancel(&mut self, now: Instant, id: JobId) {
        if let Some(job) = self.end(id) {
            if let State::Http { .. } = job.state {
                self.outputs.push_back(Output::Cancel { job: id });
            }
            self.after_end(now, job.host);
        }
    }

    /// Drops all that is held for a request; its turn is free.
    pub(super) fn end(&mut self, id: JobId) -> Option<Job> {
        let job = self.jobs.remove(&id)?;
        self.timers.set(Timer::Job(id), None);
        if let Some(host) = self.registry.host_mut(job.host) {
            match job.state {
                State::Queued => {
                    host.queue.remove(&(job.purpose != Purpose::Stop, id));
                }
                _ => host.in_flight -= 1,
            }
            if let (State::Waiting, Some(udp)) = (job.state, &mut host.udp) {
                udp.waiting.retain(|other| *other != id);
            }
        }
        if let State::Sent { transaction, .. } = job.state {
            self.transactions.remove(&transaction);
        }
        if job.purpose == Purpose::Scrape {
            if let Some(torrent) = self.torrents.get_mut(&job.torrent) {
                torrent.scrape = None;
            }
        } else if let Some(entry) = self.entry(job.torrent, job.tracker) {
            entry.job = None;
        }
        Some(job)
    }

    /// After a request ended: the next may go; or none, if the host turned out to be down.
    pub(super) fn after_end(&mut self, now: Instant, id: HostId) {
        let Some(host) = self.registry.host(id) else { return };
        if host.is_quiet(now) {
            let (retry_at, queue) = (host.quiet_until, host.queue.clone());
            for (_, job) in queue {
                let Some(job) = self.end(job) else { continue };
                self.refused_by_host(now, job.torrent, job.tracker, job.purpose, retry_at);
                self.go_on(now, &job);
            }
        }
        self.pump(now, id);
    }

    /// After a tracker failed: the torrent goes on to the one after it.
    pub(super) fn go_on(&mut self, now: Instant, job: &Job) {
        let torrent = self.torrents.get(&job.torrent);
        let after = torrent.and_then(|torrent| torrent.position(job.tracker)).map_or(0, |at| at + 1);
        match job.purpose {
            Purpose::Announce => self.step(now, job.torrent, after),
            Purpose::Stop => {
                self.end_stop(now, job.torrent);
                self.step(now, job.torrent, 0);
            }
            Purpose::Scrape => {}
        }
    }
}
