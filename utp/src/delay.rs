//! One-way delays, told by clocks that do not agree (RFC 6817, section 3.4.2).

use core::time::Duration;

use downpour_base::Instant;

use crate::limits::{BASE_HISTORY_MINUTES, CURRENT_FILTER};
use crate::wrap::is_before;

const MINUTE: Duration = Duration::from_secs(60);

/// The base delay of one direction: the least of the last minutes. What a sample exceeds it by is queueing.
///
/// Samples are differences of two 32-bit clocks: they mean nothing alone, wrap around, and are only compared.
#[derive(Debug)]
pub(crate) struct DelayHistory {
    /// The least sample of each minute.
    minima: [u32; BASE_HISTORY_MINUTES],
    at: usize,
    minute_began: Instant,
    base: Option<u32>,
}

impl DelayHistory {
    pub(crate) fn new(now: Instant) -> Self {
        Self { minima: [0; BASE_HISTORY_MINUTES], at: 0, minute_began: now, base: None }
    }

    /// Takes a sample; returns by how many microseconds it exceeds the base.
    pub(crate) fn add(&mut self, now: Instant, sample: u32) -> u32 {
        let Some(mut base) = self.base else {
            self.minima = [sample; BASE_HISTORY_MINUTES];
            self.minute_began = now;
            self.base = Some(sample);
            return 0;
        };
        if now.saturating_duration_since(self.minute_began) >= MINUTE {
            self.minute_began = now;
            self.at = (self.at + 1) % BASE_HISTORY_MINUTES;
            self.minima[self.at] = sample;
            base = self.minima.iter().fold(sample, |least, &x| if is_before(x, least) { x } else { least });
        } else if is_before(sample, self.minima[self.at]) {
            self.minima[self.at] = sample;
        }
        if is_before(sample, base) {
            base = sample;
        }
        self.base = Some(base);
        sample.wrapping_sub(base)
    }

    /// The base, if there was a sample.
    pub(crate) fn base(&self) -> Option<u32> {
        self.base
    }

    /// Moves the whole history up: the clocks drift apart.
    pub(crate) fn raise(&mut self, by: u32) {
        for minimum in &mut self.minima {
            *minimum = minimum.wrapping_add(by);
        }
        self.base = self.base.map(|base| base.wrapping_add(by));
    }
}

/// The current queueing delay: the least of the last few, so that jitter does not count as queueing.
#[derive(Debug, Default)]
pub(crate) struct CurrentDelay {
    last: [Option<u32>; CURRENT_FILTER],
    at: usize,
}

impl CurrentDelay {
    pub(crate) fn add(&mut self, delay: u32) {
        self.last[self.at] = Some(delay);
        self.at = (self.at + 1) % CURRENT_FILTER;
    }

    /// In microseconds; `None` without samples.
    pub(crate) fn least(&self) -> Option<u32> {
        self.last.iter().copied().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(n: u64) -> Instant {
        Instant::ORIGIN + MINUTE * n as u32
    }

    #[test]
    fn the_base_falls_at_once_and_rises_after_the_history() {
        let mut history = DelayHistory::new(Instant::ORIGIN);
        // The sample wraps around zero.
        assert_eq!(history.add(minutes(0), 5), 0);
        assert_eq!(history.add(minutes(0), 0xffff_fffb), 0);
        assert_eq!(history.add(minutes(0), 95), 100);
        for minute in 1..BASE_HISTORY_MINUTES as u64 {
            assert_eq!(history.add(minutes(minute), 95), 100);
        }
        assert_eq!(history.add(minutes(10), 95), 0, "ten minutes later the route is a longer one");
    }

    #[test]
    fn drift_moves_the_base() {
        let mut history = DelayHistory::new(Instant::ORIGIN);
        history.add(minutes(0), 1000);
        history.raise(300);
        assert_eq!(history.base(), Some(1300));
        assert_eq!(history.add(minutes(0), 1400), 100);
    }

    #[test]
    fn one_slow_sample_is_no_queue() {
        let mut current = CurrentDelay::default();
        assert_eq!(current.least(), None);
        [20, 90_000, 30].into_iter().for_each(|delay| current.add(delay));
        assert_eq!(current.least(), Some(20));
        [80, 70, 60].into_iter().for_each(|delay| current.add(delay));
        assert_eq!(current.least(), Some(60));
    }
}
