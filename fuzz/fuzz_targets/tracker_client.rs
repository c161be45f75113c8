//! Whatever trackers answer: outputs and timers come to an end, and so does the torrent.
//!
//! The input is a list of steps: a byte that chooses what happens, a length, and so many bytes of it.
#![no_main]

use std::time::Duration;

use downpour_base::{InfoHash, InfoHashV1, Instant, Machine as _, Seed, TorrentId};
use downpour_tracker::client::{Client, HttpError, HttpResponse, Input, JobId, Output, Settings, Totals};
use downpour_tracker::limits::MAX_PEERS;
use downpour_tracker::udp::Request;
use libfuzzer_sys::fuzz_target;

const TORRENT: TorrentId = TorrentId(1);

struct Fuzzed {
    client: Client,
    now: Instant,
    jobs: Vec<JobId>,
    names: Vec<JobId>,
    transactions: Vec<u32>,
    stopped: bool,
}

impl Fuzzed {
    fn input(&mut self, input: Input) {
        self.client.handle_input(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        let mut count = 0;
        while let Some(output) = self.client.poll_output() {
            count += 1;
            assert!(count < 100, "outputs without end");
            match output {
                Output::Http { job, .. } => self.jobs.push(job),
                Output::Resolve { job, .. } => self.names.push(job),
                Output::Datagram { payload, .. } => match Request::decode(&payload) {
                    Some(
                        Request::Connect { transaction }
                        | Request::Announce { transaction, .. }
                        | Request::Scrape { transaction, .. },
                    ) => self.transactions.push(transaction),
                    None => panic!("not a request: {payload:?}"),
                },
                Output::Peers { endpoints, .. } => assert!(endpoints.len() <= MAX_PEERS),
                Output::Stopped { .. } => self.stopped = true,
                _ => {}
            }
        }
    }

    fn pass(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        let mut count = 0;
        while let Some(at) = self.client.poll_timeout().filter(|at| *at <= end) {
            count += 1;
            assert!(count < 10_000, "a timer that never rests");
            self.now = self.now.max(at);
            self.client.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }
}

fuzz_target!(|input: &[u8]| {
    let now = Instant::ORIGIN;
    let client = Client::new(Seed::from_u64(1), Settings::default());
    let (jobs, names, transactions) = (Vec::new(), Vec::new(), Vec::new());
    let mut fuzzed = Fuzzed { client, now, jobs, names, transactions, stopped: false };
    let urls = ["http://a.example/announce", "udp://192.0.2.1:80/x?y", "udp://b.example:80/announce"];
    let tiers = urls.iter().map(|url| vec![(*url).to_owned()]).collect();
    fuzzed.input(Input::Add { torrent: TORRENT, info_hash: InfoHash::V1(InfoHashV1([7; 20])), tiers });
    fuzzed.input(Input::Start { torrent: TORRENT });
    let mut left = input;
    while let [step, length, rest @ ..] = left {
        let (content, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        left = rest;
        match step % 12 {
            0 | 1 => {
                if let Some(job) = fuzzed.jobs.pop() {
                    let status = if *step > 127 { 200 } else { 404 };
                    let response = HttpResponse { status, body: content.to_vec() };
                    fuzzed.input(Input::HttpDone { job, result: Ok(response) });
                }
            }
            2 => {
                if let Some(job) = fuzzed.jobs.pop() {
                    fuzzed.input(Input::HttpDone { job, result: Err(HttpError::TimedOut) });
                }
            }
            3..6 => {
                // Past the door: the transaction is one of ours.
                let mut payload = content.to_vec();
                if let Some((transaction, place)) = fuzzed.transactions.last().zip(payload.get_mut(4..8)) {
                    place.copy_from_slice(&transaction.to_be_bytes());
                }
                fuzzed.input(Input::Datagram { from: ([192, 0, 2, 1], 80).into(), payload });
            }
            6 => {
                if let Some(job) = fuzzed.names.pop() {
                    fuzzed.input(Input::Resolved { job, result: Ok(vec![([192, 0, 2, 1], 80).into()]) });
                }
            }
            7 => fuzzed.pass(u64::from(*length) * 8),
            8 => {
                let url = String::from_utf8_lossy(content).into_owned();
                fuzzed.input(Input::AddTracker { torrent: TORRENT, url, tier: *step });
            }
            9 => {
                let totals = Totals { left: u64::from(*length), ..Totals::default() };
                fuzzed.input(Input::Totals { torrent: TORRENT, totals });
            }
            10 => fuzzed.input(Input::Scrape { torrent: TORRENT }),
            _ => fuzzed.input(Input::Completed { torrent: TORRENT }),
        }
    }
    fuzzed.input(Input::Remove { torrent: TORRENT });
    fuzzed.pass(60);
    assert!(fuzzed.stopped && fuzzed.client.poll_timeout().is_none(), "the torrent is not gone");
});
