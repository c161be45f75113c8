//! What follows from an answer, or from none.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use downpour_base::{Instant, PeerEndpoint, TorrentId};

use super::interface::{Event, Failure, HttpError, HttpResponse, JobId, Output, ScrapeCounts};
use super::job::{Job, Purpose, State};
use super::machine::Client;
use super::registry::TrackerId;
use crate::AnnounceEvent;
use crate::http::{Answer, RetryIn, decode_announce, decode_scrape};
use crate::limits::{DEFAULT_INTERVAL, MAX_INTERVAL, MAX_RESPONSE_BYTES, MIN_INTERVAL};

/// What a tracker said to an announce, over HTTP or UDP.
#[derive(Debug, Default)]
pub(super) struct Announced {
    pub(super) interval: Option<Duration>,
    pub(super) min_interval: Option<Duration>,
    pub(super) tracker_id: Option<Box<[u8]>>,
    pub(super) seeds: Option<u32>,
    pub(super) leechers: Option<u32>,
    pub(super) external_ip: Option<IpAddr>,
    pub(super) warning: Option<String>,
    pub(super) peers: Vec<SocketAddr>,
}

/// How long a tracker that failed so often in a row is left alone.
fn back_off(failures: u8) -> Duration {
    let failures = u64::from(failures);
    Duration::from_secs(5 + 12 * failures * failures).min(Duration::from_secs(3600))
}

impl Client {
    pub(super) fn http_done(&mut self, now: Instant, id: JobId, result: Result<HttpResponse, HttpError>) {
        let Some(job) = self.jobs.get(&id) else { return };
        let State::Http { sent_at } = job.state else { return };
        let (host, purpose) = (self.registry.host_mut(job.host), job.purpose);
        let response = match result {
            Ok(response) if response.body.len() <= MAX_RESPONSE_BYTES => response,
            Ok(_) => return self.failed(now, id, Failure::Http(HttpError::TooLong)),
            Err(error) => {
                let unreachable = matches!(
                    error,
                    HttpError::Resolve(_) | HttpError::Connect(_) | HttpError::Tls(_) | HttpError::TimedOut
                );
                if let Some(host) = host.filter(|_| unreachable) {
                    host.unreachable(now, sent_at);
                }
                return self.failed(now, id, Failure::Http(error));
            }
        };
        if let Some(host) = host {
            host.answered(now);
        }
        if purpose == Purpose::Scrape {
            let Some(swarm) = self.swarm_of(id) else { return };
            match decode_scrape(&response.body, swarm) {
                Ok(Answer::Done(counts)) => self.scraped(now, id, counts),
                Ok(Answer::Refused { reason, .. }) => self.failed(now, id, Failure::Refused(reason)),
                Err(error) => self.failed(now, id, wrong(response.status, error)),
            }
            return;
        }
        match decode_announce(&response.body) {
            Ok(Answer::Done(_)) if !(200..300).contains(&response.status) => {
                self.failed(now, id, Failure::Status(response.status));
            }
            Ok(Answer::Done(answer)) => {
                let answer = Announced {
                    interval: answer.interval,
                    min_interval: answer.min_interval,
                    tracker_id: answer.tracker_id.map(Box::from),
                    seeds: answer.seeds,
                    leechers: answer.leechers,
                    external_ip: answer.external_ip,
                    warning: answer.warning,
                    peers: answer.peers,
                };
                self.announced(now, id, answer);
            }
            Ok(Answer::Refused { reason, retry }) => self.refused(now, id, reason, retry),
            Err(error) => self.failed(now, id, wrong(response.status, error)),
        }
    }

    pub(super) fn announced(&mut self, now: Instant, id: JobId, mut answer: Announced) {
        let Some(job) = self.end(id) else { return };
        let (torrent_id, tracker) = (job.torrent, job.tracker);
        if let Some(entry) = self.entry(torrent_id, tracker) {
            entry.failures = 0;
            entry.started = job.purpose != Purpose::Stop;
            entry.completed = entry.started && (entry.completed || job.complete);
            if job.purpose == Purpose::Stop {
                // Who stopped may start again at once: that is an event.
                entry.not_before = now;
            }
        }
        if job.purpose == Purpose::Announce {
            // What a tracker says is taken within bounds: neither a flood nor silence for a year.
            let least = answer.min_interval.unwrap_or(MIN_INTERVAL).clamp(MIN_INTERVAL, MAX_INTERVAL);
            let interval = answer.interval.unwrap_or(DEFAULT_INTERVAL).clamp(least, MAX_INTERVAL);
            if let Some(entry) = self.entry(torrent_id, tracker) {
                entry.not_before = now + least;
                if let Some(own) = answer.tracker_id.take() {
                    entry.tracker_id = Some(own);
                }
            }
            if let Some(torrent) = self.torrents.get_mut(&torrent_id) {
                torrent.next = now + interval;
                if let Some(at) = torrent.position(tracker) {
                    torrent.promote(at);
                }
            }
            self.tell(torrent_id, tracker, job.event, interval, answer);
        }
        match job.purpose {
            Purpose::Stop => self.go_on(now, &job),
            _ => self.step(now, torrent_id, 0),
        }
        self.after_end(now, job.host);
    }

    fn tell(
        &mut self,
        torrent: TorrentId,
        tracker: TrackerId,
        event: AnnounceEvent,
        interval: Duration,
        answer: Announced,
    ) {
        let Announced { seeds, leechers, external_ip, warning, peers, .. } = answer;
        let Some(tracker) = self.registry.url(tracker) else { return };
        if let Some(ip) = external_ip {
            self.outputs.push_back(Output::ExternalAddress { ip });
        }
        if let Some(message) = warning {
            let tracker = std::sync::Arc::clone(&tracker);
            self.outputs.push_back(Output::Event(Event::Warning { torrent, tracker, message }));
        }
        let count = peers.len() as u32;
        let announced = Event::Announced { torrent, tracker, event, peers: count, interval, seeds, leechers };
        self.outputs.push_back(Output::Event(announced));
        if count > 0 {
            let endpoints = peers.into_iter().map(PeerEndpoint::Tcp).collect();
            self.outputs.push_back(Output::Peers { torrent, endpoints });
        }
    }

    pub(super) fn scraped(&mut self, now: Instant, id: JobId, counts: ScrapeCounts) {
        let Some(job) = self.end(id) else { return };
        if let Some(tracker) = self.registry.url(job.tracker) {
            let torrent = job.torrent;
            self.outputs.push_back(Output::Event(Event::Scraped { torrent, tracker, counts }));
        }
        self.after_end(now, job.host);
    }

    /// The tracker does not want us, in its words, and may say for how long (BEP 31).
    fn refused(&mut self, now: Instant, id: JobId, reason: String, retry: Option<RetryIn>) {
        let job = self.jobs.get(&id).filter(|job| job.purpose == Purpose::Announce);
        let retry_at = match (job.map(|job| (job.torrent, job.tracker)), retry) {
            (Some(_), Some(RetryIn::After(time))) => Some(now + time.max(MIN_INTERVAL)),
            (Some((torrent, tracker)), Some(RetryIn::Never)) => {
                if let Some(entry) = self.entry(torrent, tracker) {
                    entry.dead = true;
                }
                None
            }
            _ => None,
        };
        self.failed_until(now, id, Failure::Refused(reason), retry_at);
    }

    pub(super) fn failed(&mut self, now: Instant, id: JobId, reason: Failure) {
        self.failed_until(now, id, reason, None);
    }

    fn failed_until(&mut self, now: Instant, id: JobId, reason: Failure, retry_at: Option<Instant>) {
        let Some(job) = self.end(id) else { return };
        match job.purpose {
            Purpose::Announce => {
                let retry_at = retry_at.or_else(|| self.when_answered_again(now, &job, &reason));
                self.entry_failed(now, job.torrent, job.tracker, reason, retry_at);
            }
            Purpose::Scrape => self.scrape_failed(job.torrent, Some(job.tracker), reason),
            Purpose::Stop => {
                if let Some(entry) = self.entry(job.torrent, job.tracker) {
                    entry.started = false;
                }
            }
        }
        self.go_on(now, &job);
        self.after_end(now, job.host);
    }

    /// When a tracker whose host does not answer is asked again: when the host is, on the schedule of BEP 15.
    fn when_answered_again(&mut self, now: Instant, job: &Job, reason: &Failure) -> Option<Instant> {
        let failures = self.entry(job.torrent, job.tracker)?.failures;
        let host = self.registry.host(job.host)?;
        let at = host.quiet_until.max(now);
        match reason {
            Failure::TimedOut if host.silent > 0 => {
                // A host that gives connection ids and then falls silent would be asked too often by the schedule.
                let ignored = failures >= 2 && matches!(job.state, State::Sent { .. });
                Some(if ignored { at.max(now + back_off(failures.saturating_add(1))) } else { at })
            }
            Failure::Http(_) | Failure::Resolve(_) if host.is_down() => Some(at),
            _ => None,
        }
    }

    /// Notes that a tracker failed. Without `retry_at` it is left alone the longer the more often it failed.
    pub(super) fn entry_failed(
        &mut self,
        now: Instant,
        torrent: TorrentId,
        tracker: TrackerId,
        reason: Failure,
        retry_at: Option<Instant>,
    ) {
        let Some(entry) = self.entry(torrent, tracker) else { return };
        entry.failures = entry.failures.saturating_add(1);
        let least = match reason {
            Failure::TimedOut | Failure::Http(_) | Failure::Resolve(_) => Duration::ZERO,
            // It answers, so it notices.
            _ => MIN_INTERVAL,
        };
        entry.not_before = retry_at.unwrap_or(now + back_off(entry.failures).max(least));
        let retry = (!entry.dead).then(|| entry.not_before.saturating_duration_since(now));
        if let Some(tracker) = self.registry.url(tracker) {
            self.outputs.push_back(Output::Event(Event::Failed { torrent, tracker, reason, retry }));
        }
    }
}

/// An answer that cannot be read: if it came with an error status, that says more.
fn wrong(status: u16, error: crate::ResponseError) -> Failure {
    if (200..300).contains(&status) { Failure::Response(error) } else { Failure::Status(status) }
}
