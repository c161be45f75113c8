//! Round-trip times, and the timeout that follows from them (BEP 29, "timeouts").

use core::time::Duration;

use crate::limits::{INITIAL_TIMEOUT, MAX_TIMEOUT, MIN_TIMEOUT};

/// The estimate of a connection's round-trip time.
#[derive(Debug, Default)]
pub(crate) struct RoundTrip {
    mean: Option<Duration>,
    deviation: Duration,
    /// How often the timeout was doubled.
    doubled: u32,
}

impl RoundTrip {
    /// Takes the time of a packet that was sent once only; of one that was sent again nobody knows which was
    /// acknowledged (Karn's rule).
    pub(crate) fn sample(&mut self, time: Duration) {
        match self.mean {
            None => (self.mean, self.deviation) = (Some(time), time / 2),
            Some(mean) => {
                self.deviation = (self.deviation * 3 + mean.abs_diff(time)) / 4;
                self.mean = Some((mean * 7 + time) / 8);
            }
        }
    }

    /// The mean, if there was a sample.
    pub(crate) fn mean(&self) -> Option<Duration> {
        self.mean
    }

    /// How long to wait for an acknowledgement.
    pub(crate) fn timeout(&self) -> Duration {
        let base = self.mean.map_or(INITIAL_TIMEOUT, |mean| (mean + self.deviation * 4).max(MIN_TIMEOUT));
        base.saturating_mul(1 << self.doubled.min(16)).min(MAX_TIMEOUT)
    }

    /// Doubles the timeout until something is acknowledged.
    pub(crate) fn back_off(&mut self) {
        self.doubled += 1;
    }

    /// Something new was acknowledged.
    pub(crate) fn recover(&mut self) {
        self.doubled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_follows_the_measurements_and_doubles() {
        let mut round_trip = RoundTrip::default();
        assert_eq!(round_trip.timeout(), INITIAL_TIMEOUT);
        round_trip.back_off();
        assert_eq!(round_trip.timeout(), INITIAL_TIMEOUT * 2);
        (0..100).for_each(|_| round_trip.back_off());
        assert_eq!(round_trip.timeout(), MAX_TIMEOUT);
        round_trip.recover();
        round_trip.sample(Duration::from_millis(400));
        assert_eq!(round_trip.timeout(), Duration::from_millis(400 + 4 * 200));
        (0..100).for_each(|_| round_trip.sample(Duration::from_millis(10)));
        assert_eq!(round_trip.timeout(), MIN_TIMEOUT);
    }
}
