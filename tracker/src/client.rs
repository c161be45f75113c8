//! The client side: when to announce what to which tracker, for all torrents of a session.

mod interface;

pub use interface::{
    Event, Failure, HttpError, HttpResponse, Input, JobId, Output, ResolveError, ScrapeCounts, Settings,
    Totals, TrackerStatus,
};

use std::collections::VecDeque;

use downpour_base::{Instant, Machine, Seed, TorrentId};

/// Announces all torrents of a session.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    outputs: VecDeque<Output>,
}

impl Client {
    /// A client without torrents.
    #[must_use]
    pub fn new(_seed: Seed, settings: Settings) -> Self {
        Self { settings, outputs: VecDeque::new() }
    }

    /// The trackers of a torrent in the order in which they are tried.
    pub fn trackers(&self, _torrent: TorrentId) -> impl Iterator<Item = TrackerStatus> + '_ {
        std::iter::empty()
    }
}

impl Machine for Client {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, _now: Instant, input: Input) {
        if let Input::Settings(settings) = input {
            self.settings = settings;
        }
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
