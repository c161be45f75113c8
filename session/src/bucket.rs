//! A limit on bytes per second.

use core::time::Duration;

use downpour_base::Instant;

/// How much may pile up: a quarter of a second's worth, so that a pause is made good but not a flood saved up.
const BURST: Duration = Duration::from_millis(250);
const NANOS: u128 = 1_000_000_000;

/// A token bucket in whole numbers: over any time, no more than rate × time + burst comes out.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    bytes_per_second: u64,
    /// Bytes times 10^9, so that no fraction is lost however often it is asked.
    tokens: u128,
    updated: Instant,
}

impl TokenBucket {
    /// An empty bucket.
    #[must_use]
    pub fn new(now: Instant, bytes_per_second: u64) -> Self {
        Self { bytes_per_second, tokens: 0, updated: now }
    }

    /// Changes the rate from `now` on.
    pub fn set_rate(&mut self, now: Instant, bytes_per_second: u64) {
        self.available(now);
        self.bytes_per_second = bytes_per_second;
    }

    /// How many bytes can be taken at `now`.
    pub fn available(&mut self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.updated).as_nanos();
        self.updated = self.updated.max(now);
        let rate = u128::from(self.bytes_per_second);
        let burst = rate * BURST.as_nanos();
        self.tokens = self.tokens.saturating_add(rate.saturating_mul(elapsed)).min(burst);
        u64::try_from(self.tokens / NANOS).unwrap_or(u64::MAX)
    }

    /// Takes `bytes` of what is [`available`](Self::available); no more than there is.
    pub fn take(&mut self, bytes: u64) {
        self.tokens = self.tokens.saturating_sub(u128::from(bytes) * NANOS);
    }
}
