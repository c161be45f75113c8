//! Whatever happens in whatever order, the promises to trackers are kept.

mod common;

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use common::{event_of, hash};
use downpour_base::{Instant, Machine, Seed, TorrentId};
use downpour_tracker::client::{
    Client, Event, HttpError, HttpResponse, Input, JobId, Output, ResolveError, Settings, Totals,
};
use downpour_tracker::limits::MIN_INTERVAL;
use downpour_tracker::udp::{Request, Response};
use proptest::prelude::*;

const URLS: [&str; 6] = [
    "http://a.example/announce",
    "http://a.example/other/announce",
    "https://b.example/announce",
    "udp://192.0.2.1:80/announce",
    "udp://c.example:80/announce?x",
    "nonsense",
];
const TORRENTS: u64 = 4;

#[derive(Clone, Debug)]
enum Step {
    Add { torrent: u64, tiers: Vec<Vec<usize>> },
    Remove(u64),
    Start(u64),
    Stop(u64),
    Completed(u64),
    Reannounce(u64),
    AddTracker(u64, usize, u8),
    RemoveTracker(u64, usize),
    Replace(u64, Vec<Vec<usize>>),
    Scrape(u64),
    Totals(u64, u64),
    Pass(u32),
    Answer(usize, usize),
    Resolve(bool),
    Datagram(usize, u8),
    Junk(Vec<u8>),
}

fn tiers() -> impl Strategy<Value = Vec<Vec<usize>>> {
    prop::collection::vec(prop::collection::vec(0..URLS.len(), 0..4), 0..4)
}

fn step() -> impl Strategy<Value = Step> {
    let torrent = || 0..TORRENTS;
    prop_oneof![
        2 => (torrent(), tiers()).prop_map(|(torrent, tiers)| Step::Add { torrent, tiers }),
        1 => torrent().prop_map(Step::Remove),
        4 => torrent().prop_map(Step::Start),
        2 => torrent().prop_map(Step::Stop),
        1 => torrent().prop_map(Step::Completed),
        1 => torrent().prop_map(Step::Reannounce),
        1 => (torrent(), 0..URLS.len(), 0u8..4).prop_map(|(t, url, tier)| Step::AddTracker(t, url, tier)),
        1 => (torrent(), 0..URLS.len()).prop_map(|(torrent, url)| Step::RemoveTracker(torrent, url)),
        1 => (torrent(), tiers()).prop_map(|(torrent, tiers)| Step::Replace(torrent, tiers)),
        1 => torrent().prop_map(Step::Scrape),
        2 => (torrent(), 0u64..2).prop_map(|(torrent, left)| Step::Totals(torrent, left)),
        6 => prop_oneof![0u32..30, 0u32..5000].prop_map(Step::Pass),
        8 => (0usize..8, 0..BODIES.len() + 2).prop_map(|(which, body)| Step::Answer(which, body)),
        2 => any::<bool>().prop_map(Step::Resolve),
        8 => (0usize..8, 0u8..6).prop_map(|(which, answer)| Step::Datagram(which, answer)),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Step::Junk),
    ]
}

const BODIES: [&str; 7] = [
    "d8:intervali0e5:peers6:abcdefe",
    "d8:intervali1152921504606846976e12:min intervali7e5:peerslee",
    "d8:intervali900e12:min intervali800e10:tracker id2:xye",
    "d14:failure reason1:x8:retry in1:1e",
    "d14:failure reason1:x8:retry in5:nevere",
    "d5:filesdee",
    "l",
];

struct World {
    client: Client,
    now: Instant,
    added: BTreeMap<u64, u64>,
    next_torrent: u64,
    http: Vec<(JobId, String)>,
    resolves: Vec<JobId>,
    datagrams: Vec<(SocketAddr, Vec<u8>)>,
    waits_for_stop: BTreeSet<TorrentId>,
    /// When a tracker answered a torrent's announce last.
    answered: BTreeMap<(String, String), Instant>,
}

/// Which tracker, and which torrent, an announce over HTTP is for.
fn identity(url: &str) -> (String, String) {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    (base.to_owned(), query.split('&').next().unwrap_or_default().to_owned())
}

impl World {
    fn drain(&mut self) {
        let mut count = 0;
        while let Some(output) = self.client.poll_output() {
            count += 1;
            assert!(count < 1000, "outputs without end");
            match output {
                Output::Http { job, url, .. } => self.http_sent(job, url),
                Output::Resolve { job, .. } => self.resolves.push(job),
                Output::Cancel { job } => {
                    self.http.retain(|other| other.0 != job);
                    self.resolves.retain(|other| *other != job);
                }
                Output::Datagram { to, payload } => {
                    assert!(Request::decode(&payload).is_some());
                    self.datagrams.push((to, payload));
                    if self.datagrams.len() > 8 {
                        self.datagrams.remove(0);
                    }
                }
                Output::Stopped { torrent } => assert!(self.waits_for_stop.remove(&torrent), "{torrent:?}"),
                Output::Peers { endpoints, .. } => assert!(!endpoints.is_empty()),
                Output::Event(Event::Announced { interval, .. }) => assert!(interval >= MIN_INTERVAL),
                _ => {}
            }
        }
    }

    fn http_sent(&mut self, job: JobId, url: String) {
        let who = identity(&url);
        if url.contains("announce?") {
            let same = self.http.iter().filter(|(_, other)| identity(other) == who);
            assert_eq!(same.count(), 0, "two announces at the same time: {url}");
            if event_of(&url).is_none()
                && let Some(last) = self.answered.get(&who)
            {
                let since = self.now.saturating_duration_since(*last);
                assert!(since >= MIN_INTERVAL, "{since:?} after the last: {url}");
            }
        }
        self.http.push((job, url));
        let a_host = self.http.iter().filter(|(_, url)| url.starts_with("http://a.example")).count();
        assert!(a_host <= 2, "{a_host} at one host");
    }

    fn input(&mut self, input: Input) {
        self.client.handle_input(self.now, input);
        self.drain();
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut calls = 0;
        while let Some(at) = self.client.poll_timeout().filter(|at| *at <= end) {
            calls += 1;
            assert!(calls < 20_000, "a timer that never rests");
            self.now = self.now.max(at);
            self.client.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
        let due = self.client.poll_timeout();
        self.client.handle_timeout(self.now);
        assert_eq!(self.client.poll_output(), None, "a spurious call changes nothing");
        assert_eq!(self.client.poll_timeout(), due);
    }

    fn take(&mut self, step: Step) {
        let urls = |tiers: &[Vec<usize>]| -> Vec<Vec<String>> {
            tiers.iter().map(|tier| tier.iter().map(|url| URLS[*url].to_owned()).collect()).collect()
        };
        let id =
            |world: &Self, torrent: u64| TorrentId(world.added.get(&torrent).copied().unwrap_or(u64::MAX));
        match step {
            Step::Add { torrent, tiers } => {
                if !self.added.contains_key(&torrent) {
                    self.next_torrent += 1;
                    self.added.insert(torrent, self.next_torrent);
                    let info_hash = hash(TorrentId(torrent));
                    let torrent = TorrentId(self.next_torrent);
                    self.input(Input::Add { torrent, info_hash, tiers: urls(&tiers) });
                }
            }
            Step::Remove(torrent) => {
                if let Some(id) = self.added.remove(&torrent) {
                    self.waits_for_stop.insert(TorrentId(id));
                    self.input(Input::Remove { torrent: TorrentId(id) });
                }
            }
            Step::Start(torrent) => self.input(Input::Start { torrent: id(self, torrent) }),
            Step::Stop(torrent) => {
                if let Some(id) = self.added.get(&torrent).copied() {
                    self.waits_for_stop.insert(TorrentId(id));
                    self.input(Input::Stop { torrent: TorrentId(id) });
                }
            }
            Step::Completed(torrent) => self.input(Input::Completed { torrent: id(self, torrent) }),
            Step::Reannounce(torrent) => {
                self.input(Input::Reannounce { torrent: id(self, torrent), ignore_min_interval: false });
            }
            Step::AddTracker(torrent, url, tier) => {
                self.input(Input::AddTracker { torrent: id(self, torrent), url: URLS[url].to_owned(), tier });
            }
            Step::RemoveTracker(torrent, url) => {
                self.input(Input::RemoveTracker { torrent: id(self, torrent), url: URLS[url].to_owned() });
            }
            Step::Replace(torrent, tiers) => {
                self.input(Input::ReplaceTrackers { torrent: id(self, torrent), tiers: urls(&tiers) });
            }
            Step::Scrape(torrent) => self.input(Input::Scrape { torrent: id(self, torrent) }),
            Step::Totals(torrent, left) => {
                let totals = Totals { left, ..Totals::default() };
                self.input(Input::Totals { torrent: id(self, torrent), totals });
            }
            Step::Pass(seconds) => self.pass(Duration::from_secs(u64::from(seconds))),
            Step::Answer(which, body) => {
                if which < self.http.len() {
                    let (job, url) = self.http.remove(which);
                    let result = match BODIES.get(body) {
                        Some(body) => Ok(HttpResponse { status: 200, body: (*body).into() }),
                        None if body == BODIES.len() => Err(HttpError::Connect(String::new())),
                        None => Ok(HttpResponse { status: 404, body: Vec::new() }),
                    };
                    // Refusals count too, but what never reached the tracker does not.
                    if body < 4 && url.contains("announce?") && event_of(&url) != Some("stopped") {
                        self.answered.insert(identity(&url), self.now);
                    }
                    self.input(Input::HttpDone { job, result });
                }
            }
            Step::Resolve(good) => {
                if let Some(job) = self.resolves.pop() {
                    let address = "192.0.2.7:80".parse().expect("an address");
                    let result =
                        if good { Ok(vec![address]) } else { Err(ResolveError { message: String::new() }) };
                    self.input(Input::Resolved { job, result });
                }
            }
            Step::Datagram(which, answer) => {
                if which < self.datagrams.len() {
                    let (from, payload) = self.datagrams.remove(which);
                    let transaction = match Request::decode(&payload) {
                        Some(
                            Request::Connect { transaction }
                            | Request::Announce { transaction, .. }
                            | Request::Scrape { transaction, .. },
                        ) => transaction,
                        None => 0,
                    };
                    let response = match answer {
                        0 | 1 => Response::Connect { connection: 9 },
                        2 | 3 => Response::Announce { interval: 0, leechers: 1, seeds: 1, peers: b"abcdef" },
                        4 => Response::Scrape { counts: &[1; 12] },
                        _ => Response::Error { message: b"no" },
                    };
                    self.input(Input::Datagram { from, payload: response.encode(transaction) });
                }
            }
            Step::Junk(payload) => {
                let from = "192.0.2.1:80".parse().expect("an address");
                self.input(Input::Datagram { from, payload: payload.clone() });
                self.input(Input::HttpDone {
                    job: JobId(u64::MAX - payload.len() as u64),
                    result: Ok(HttpResponse { status: 200, body: payload }),
                });
            }
        }
    }
}

fn world() -> World {
    let settings = Settings { in_flight_per_host: 2, requests_per_second_per_host: 3, ..Settings::default() };
    World {
        client: Client::new(Seed::from_u64(1), settings),
        now: Instant::ORIGIN,
        added: BTreeMap::new(),
        next_torrent: 0,
        http: Vec::new(),
        resolves: Vec::new(),
        datagrams: Vec::new(),
        waits_for_stop: BTreeSet::new(),
        answered: BTreeMap::new(),
    }
}

proptest! {
    #[test]
    fn one_announce_at_a_time_never_too_early_and_every_stop_ends(steps in prop::collection::vec(step(), 0..150)) {
        let mut world = world();
        steps.into_iter().for_each(|step| world.take(step));
        // Whatever is under way comes to an end without any answer.
        world.pass(Duration::from_secs(20));
        prop_assert!(world.waits_for_stop.is_empty(), "{:?}", world.waits_for_stop);
        let left: Vec<u64> = world.added.values().copied().collect();
        for torrent in left {
            world.waits_for_stop.insert(TorrentId(torrent));
            world.input(Input::Remove { torrent: TorrentId(torrent) });
        }
        world.pass(Duration::from_secs(20));
        prop_assert!(world.waits_for_stop.is_empty(), "{:?}", world.waits_for_stop);
        world.pass(Duration::from_secs(100));
        prop_assert_eq!(world.client.poll_timeout(), None, "nothing is left to do");
    }

    #[test]
    fn the_same_inputs_give_the_same_outputs(steps in prop::collection::vec(step(), 0..60)) {
        let run = |steps: Vec<Step>| {
            let mut world = world();
            steps.into_iter().for_each(|step| world.take(step));
            (world.http, world.datagrams, world.client.poll_timeout())
        };
        prop_assert_eq!(run(steps.clone()), run(steps));
    }
}
