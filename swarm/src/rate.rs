//! How fast, in whole numbers.

use core::time::Duration;

use downpour_base::Instant;

const WINDOW: Duration = Duration::from_secs(1);

/// A moving average in bytes per second that costs nothing while nothing flows: it is brought up to date when it is
/// touched. Each second weighs a quarter; the first whole second counts fully.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate {
    window_start: Instant,
    in_window: u64,
    average: u64,
    total: u64,
    started: bool,
}

impl Rate {
    /// Counts `bytes` at `now`.
    pub(crate) fn add(&mut self, now: Instant, bytes: u64) {
        if !self.started {
            (self.started, self.window_start) = (true, now);
        }
        self.settle(now);
        self.in_window += bytes;
        self.total += bytes;
    }

    fn settle(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.window_start).as_secs();
        if elapsed == 0 {
            return;
        }
        let first = self.average == 0 && self.in_window == self.total;
        self.average = if first { self.in_window } else { (self.average * 3 + self.in_window) / 4 };
        self.in_window = 0;
        // The empty seconds since; after 64 of them nothing is left.
        for _ in 1..elapsed.min(64) {
            self.average = self.average * 3 / 4;
        }
        if elapsed >= 64 {
            self.average = 0;
        }
        self.window_start += WINDOW * u32::try_from(elapsed).unwrap_or(u32::MAX);
    }

    /// Bytes per second at `now`. In the first second, what came so far is projected onto it.
    pub(crate) fn per_second(&self, now: Instant) -> u64 {
        let mut settled = *self;
        settled.settle(now);
        if settled.average > 0 || !settled.started {
            return settled.average;
        }
        let millis = now.saturating_duration_since(settled.window_start).as_millis().max(100) as u64;
        settled.in_window * 1000 / millis
    }

    /// All bytes ever.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }
}
