//! How many requests a peer is kept busy with.

use core::time::Duration;

use downpour_base::{BLOCK_SIZE, Instant};

use crate::limits::{DEFAULT_REQUEST_QUEUE, MAX_REQUESTS};
use crate::rate::Rate;

const INITIAL: u32 = 16;
const MINIMUM: u32 = 4;
/// How long the requests in flight should last beyond the round trip: covers our own and the peer's pauses.
const SLACK: Duration = Duration::from_millis(1000);
/// How long slow start waits for the rate to grow.
const PROBE: Duration = Duration::from_millis(250);

/// Finds the number of requests in flight from the measured rate and delay of a peer.
///
/// Slow start: one more with every block, which doubles the number each round trip, until the rate stops growing.
/// From then on: rate × (least round trip + one second).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pipeline {
    pub(crate) rate: Rate,
    target: u32,
    /// The most that the peer takes (BEP 10 `reqq`).
    limit: u32,
    least_delay: Option<Duration>,
    slow_start: bool,
    probe: Option<(Instant, u64)>,
    last_gain: u64,
}

impl Default for Pipeline {
    fn default() -> Self {
        Self {
            rate: Rate::default(),
            target: INITIAL,
            limit: DEFAULT_REQUEST_QUEUE,
            least_delay: None,
            slow_start: true,
            probe: None,
            last_gain: 0,
        }
    }
}

impl Pipeline {
    pub(crate) fn set_limit(&mut self, request_queue: u32) {
        self.limit = request_queue.clamp(1, MAX_REQUESTS);
    }

    pub(crate) fn target(&self) -> u32 {
        self.target.min(self.limit)
    }

    /// A block of `bytes` came, `delay` after it was asked for.
    pub(crate) fn received(&mut self, now: Instant, bytes: u64, delay: Duration) {
        self.rate.add(now, bytes);
        self.least_delay = Some(self.least_delay.map_or(delay, |least| least.min(delay)));
        if self.slow_start {
            self.target = (self.target + 1).min(MAX_REQUESTS);
            self.probe(now);
        } else {
            let window = self.least_delay.unwrap_or_default() + SLACK;
            let bytes = u128::from(self.rate.per_second(now)) * window.as_millis() / 1000;
            let blocks = u32::try_from(bytes / u128::from(BLOCK_SIZE)).unwrap_or(u32::MAX);
            self.target = blocks.clamp(MINIMUM, MAX_REQUESTS);
        }
    }

    /// Ends slow start when a probe brought less than a tenth more than the one before.
    fn probe(&mut self, now: Instant) {
        let total = self.rate.total();
        let Some((since, at_start)) = self.probe else {
            self.probe = Some((now, total));
            return;
        };
        if now.saturating_duration_since(since) < PROBE {
            return;
        }
        let gain = total - at_start;
        if gain < self.last_gain + self.last_gain / 10 {
            self.slow_start = false;
        }
        self.last_gain = gain;
        self.probe = Some((now, total));
    }

    /// The peer keeps us waiting: one request at a time from now on.
    pub(crate) fn snubbed(&mut self) {
        self.slow_start = false;
        self.target = 1;
    }
}
