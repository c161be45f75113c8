//! What trackers cost outside of the machines: requests, look-ups, datagrams, and alerts.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use downpour_base::TorrentId;
use downpour_session::{Effect, Input};
use downpour_tracker::client::{self, Event, JobId};
use downpour_tracker::limits::MAX_RESPONSE_BYTES;
use smol::Task;
use smol::lock::Semaphore;

use crate::alert::AlertKind;
use crate::core::Core;
use crate::http::{self, HttpClient, HttpError, Limits};
use crate::payload::BlockBytes;

/// Name look-ups at one time: each takes a thread while it lasts.
const LOOK_UPS: usize = 8;
/// Requests at one time: each takes a descriptor.
const REQUESTS: usize = 50;
/// How long a request may stand still.
const IDLE: Duration = Duration::from_secs(20);

/// What a session has for its trackers.
#[derive(Debug)]
pub(crate) struct Announcer {
    http: HttpClient,
    look_ups: Semaphore,
    /// Requests and look-ups that are under way.
    jobs: Mutex<BTreeMap<JobId, Task<()>>>,
}

impl Announcer {
    pub(crate) fn new(client: &str, extra_root_certificates: Vec<u8>) -> Result<Self, HttpError> {
        let user_agent = client.replace(' ', "/");
        let config = http::Config { user_agent, requests: REQUESTS, extra_root_certificates };
        let (look_ups, jobs) = (Semaphore::new(LOOK_UPS), Mutex::default());
        Ok(Self { http: HttpClient::new(&config)?, look_ups, jobs })
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<JobId, Task<()>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all that is under way, unanswered.
    pub(crate) fn close(&self) {
        let jobs = std::mem::take(&mut *self.jobs());
        drop(jobs);
    }
}

/// Carries out the effects that concern trackers.
pub(crate) fn carry_out(core: &Arc<Core>, effect: Effect<BlockBytes>) {
    match effect {
        Effect::Http { job, url, timeout } => {
            let asking = Arc::clone(core);
            start(
                core,
                job,
                async move { Input::HttpDone { job, result: get(&asking, &url, timeout).await } },
            );
        }
        Effect::Resolve { job, host, port } => {
            let asking = Arc::clone(core);
            start(core, job, async move {
                let _turn = asking.announcer.look_ups.acquire().await;
                let result = smol::net::resolve((host, port)).await;
                let result = result.map_err(|error| client::ResolveError { message: error.to_string() });
                Input::Resolved { job, result }
            });
        }
        Effect::Cancel(job) => {
            let task = core.announcer.jobs().remove(&job);
            drop(task);
        }
        Effect::Datagram { to, payload } => core.datagrams.send(to, &payload),
        Effect::Tracker(event) => tell(core, event),
        Effect::ShutDown => {
            core.trackers_told.close();
        }
        _ => {}
    }
}

/// Runs a job whose outcome the session hears.
fn start(core: &Arc<Core>, job: JobId, work: impl Future<Output = Input> + Send + 'static) {
    let running = Arc::clone(core);
    let mut jobs = core.announcer.jobs();
    let task = core.executor.spawn(async move {
        let input = work.await;
        let me = running.announcer.jobs().remove(&job);
        if let Some(me) = me {
            // Dropped, it would cancel this very task.
            me.detach();
        }
        running.tell_session(input);
    });
    jobs.insert(job, task);
}

async fn get(core: &Core, url: &str, timeout: Duration) -> Result<client::HttpResponse, client::HttpError> {
    let limits = Limits {
        body_bytes: MAX_RESPONSE_BYTES,
        redirects: Limits::TRACKER.redirects,
        total: timeout,
        idle: timeout.min(IDLE),
    };
    match core.announcer.http.get(url, &limits).await {
        Ok(answer) => Ok(client::HttpResponse { status: answer.status, body: answer.body }),
        Err(error) => Err(translate(&error)),
    }
}

/// Our errors in the machine's words.
fn translate(error: &HttpError) -> client::HttpError {
    use client::HttpError as Word;
    match error {
        HttpError::NameNotFound { source, .. } => Word::Resolve(source.to_string()),
        HttpError::Refused { .. } | HttpError::Connect { .. } => Word::Connect(error.to_string()),
        HttpError::Tls { source, .. } => Word::Tls(source.to_string()),
        HttpError::TimedOut { .. } => Word::TimedOut,
        HttpError::TooManyRedirects { .. } => Word::TooManyRedirects,
        HttpError::TooLarge { .. } => Word::TooLong,
        _ => Word::Protocol(error.to_string()),
    }
}

/// How a torrent stands, as its trackers want to know.
pub(crate) fn totals(core: &Core, torrent: TorrentId) -> Option<Input> {
    let torrent = core.torrent(torrent)?;
    let layout = torrent.metainfo.info.layout();
    let mut live = None;
    let mut have_bytes = 0;
    if let Some(active) = torrent.active().as_ref() {
        let swarm = active.swarm.swarm();
        live = Some(swarm.status(core.clock.now()));
        have_bytes =
            swarm.have().map_or(0, |have| have.iter().map(|piece| u64::from(layout.piece_size(piece))).sum());
    }
    let (mut uploaded, mut downloaded) =
        (torrent.uploaded_before.load(Ordering::Relaxed), torrent.downloaded_before.load(Ordering::Relaxed));
    match &live {
        Some(live) => {
            uploaded += live.uploaded_bytes;
            downloaded += live.downloaded_bytes;
        }
        None => {
            let last = *torrent.last_status.lock().unwrap_or_else(PoisonError::into_inner);
            let whole = last.pieces_have == layout.piece_count();
            have_bytes = if whole {
                layout.total_length()
            } else {
                // As good as it gets: which ones they are is on disk.
                u64::from(last.pieces_have) * u64::from(layout.piece_length())
            };
        }
    }
    let (uploaded_then, downloaded_then) = torrent.at_start.get().copied().unwrap_or_default();
    Some(Input::Totals {
        torrent: torrent.id,
        uploaded: uploaded.saturating_sub(uploaded_then),
        downloaded: downloaded.saturating_sub(downloaded_then),
        left: layout.total_length().saturating_sub(have_bytes),
    })
}

fn tell(core: &Core, event: Event) {
    let (torrent, kind) = match event {
        Event::Announced { torrent, tracker, event, peers, interval, seeds, leechers } => {
            (torrent, AlertKind::TrackerReply { tracker, event, peers, interval, seeds, leechers })
        }
        Event::Failed { torrent, tracker, reason, retry } => {
            (torrent, AlertKind::TrackerError { tracker, reason, retry })
        }
        Event::Warning { torrent, tracker, message } => {
            (torrent, AlertKind::TrackerWarning { tracker, message })
        }
        Event::Scraped { torrent, tracker, counts } => (torrent, AlertKind::ScrapeReply { tracker, counts }),
        Event::ScrapeFailed { torrent, tracker, reason } => {
            (torrent, AlertKind::ScrapeFailed { tracker, reason })
        }
        _ => return,
    };
    core.alerts.push(Some(torrent), kind);
}
