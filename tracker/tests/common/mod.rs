//! A client with a clock, whose outputs are kept.
#![allow(dead_code, reason = "each test file uses a part")]

use core::net::SocketAddr;
use core::time::Duration;

use downpour_base::{InfoHash, InfoHashV1, Instant, Machine, PeerId, Seed, TorrentId};
use downpour_tracker::client::{
    Client, Event, Failure, HttpError, HttpResponse, Input, JobId, Output, Settings, Totals,
};
use downpour_tracker::http::{AnnounceAnswer, encode_announce};
use downpour_tracker::udp::{Request, Response};

pub(crate) const TORRENT: TorrentId = TorrentId(1);
pub(crate) const TRACKER: &str = "203.0.113.5:80";

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn hash(torrent: TorrentId) -> InfoHash {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&torrent.0.to_be_bytes());
    InfoHash::V1(InfoHashV1(bytes))
}

pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) now: Instant,
    pub(crate) totals: Totals,
    /// Whether questions for totals are answered at once.
    pub(crate) tells_totals: bool,
    pub(crate) out: Vec<(u64, Output)>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let mut client = Client::new(Seed::from_u64(1), settings);
        let identity = Input::Identity { peer_id: PeerId([b'p'; 20]), port: 6881 };
        client.handle_input(Instant::ORIGIN, identity);
        let totals = Totals { uploaded: 1, downloaded: 2, left: 3, want: 50 };
        Self { client, now: Instant::ORIGIN, totals, tells_totals: true, out: Vec::new() }
    }

    pub(crate) fn second(&self) -> u64 {
        self.now.as_nanos() / 1_000_000_000
    }

    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.client.poll_output() {
            if let (Output::Totals { torrent }, true) = (&output, self.tells_totals) {
                let input = Input::Totals { torrent: *torrent, totals: self.totals };
                self.client.handle_input(self.now, input);
            }
            self.out.push((self.second(), output));
        }
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.client.handle_input(self.now, input);
        self.drain();
    }

    /// Lets time pass, timers and all.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.client.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.client.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    pub(crate) fn add(&mut self, torrent: TorrentId, tiers: &[&[&str]]) {
        let tiers = tiers.iter().map(|tier| tier.iter().map(|url| (*url).to_owned()).collect()).collect();
        self.input(Input::Add { torrent, info_hash: hash(torrent), tiers });
    }

    pub(crate) fn start(&mut self, tiers: &[&[&str]]) {
        self.add(TORRENT, tiers);
        self.input(Input::Start { torrent: TORRENT });
    }

    pub(crate) fn take(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.out).into_iter().map(|(_, output)| output).collect()
    }

    /// The HTTP requests among the outputs, which are taken.
    pub(crate) fn requests(&mut self) -> Vec<(JobId, String)> {
        let requests = self.take().into_iter().filter_map(|output| match output {
            Output::Http { job, url, .. } => Some((job, url)),
            _ => None,
        });
        requests.collect()
    }

    /// The one HTTP request among the outputs, which are taken.
    #[track_caller]
    pub(crate) fn request(&mut self) -> (JobId, String) {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    pub(crate) fn answer(&mut self, job: JobId, answer: &AnnounceAnswer<'_>) {
        self.body(job, encode_announce(answer));
    }

    pub(crate) fn body(&mut self, job: JobId, body: impl Into<Vec<u8>>) {
        self.input(Input::HttpDone { job, result: Ok(HttpResponse { status: 200, body: body.into() }) });
    }

    pub(crate) fn refuse_connection(&mut self, job: JobId) {
        let result = Err(HttpError::Connect("refused".to_owned()));
        self.input(Input::HttpDone { job, result });
    }

    pub(crate) fn interval(&mut self, job: JobId, interval: u64) {
        self.answer(job, &AnnounceAnswer { interval: Some(seconds(interval)), ..AnnounceAnswer::default() });
    }

    /// The datagrams among the outputs with the second in which they were sent.
    pub(crate) fn datagrams(&mut self) -> Vec<(u64, SocketAddr, Vec<u8>)> {
        let datagrams = std::mem::take(&mut self.out).into_iter().filter_map(|(at, output)| match output {
            Output::Datagram { to, payload } => Some((at, to, payload)),
            _ => None,
        });
        datagrams.collect()
    }

    pub(crate) fn respond(&mut self, from: &str, transaction: u32, response: Response<'_>) {
        let from = from.parse().expect("an address");
        self.input(Input::Datagram { from, payload: response.encode(transaction) });
    }
}

pub(crate) fn events(outputs: &[Output]) -> Vec<Event> {
    let events = outputs.iter().filter_map(|output| match output {
        Output::Event(event) => Some(event.clone()),
        _ => None,
    });
    events.collect()
}

pub(crate) fn failures(outputs: &[Output]) -> Vec<(Failure, Option<u64>)> {
    let failures = events(outputs).into_iter().filter_map(|event| match event {
        Event::Failed { reason, retry, .. } => Some((reason, retry.map(|retry| retry.as_secs()))),
        _ => None,
    });
    failures.collect()
}

/// What a datagram asks for, and its transaction.
#[track_caller]
pub(crate) fn kind(datagram: &[u8]) -> (&'static str, u32) {
    match Request::decode(datagram) {
        Some(Request::Connect { transaction }) => ("connect", transaction),
        Some(Request::Announce { transaction, .. }) => ("announce", transaction),
        Some(Request::Scrape { transaction, .. }) => ("scrape", transaction),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn event_of(url: &str) -> Option<&str> {
    url.split('&').find_map(|pair| pair.strip_prefix("event="))
}
