//! How much may be under way: LEDBAT (RFC 6817), with slow start and with halving at a loss (BEP 29).

use crate::limits::{INITIAL_WINDOW, MAX_WINDOW_GAIN};

/// The congestion window, in bytes of payload. All in integers: the window has 16 bits of fraction.
#[derive(Debug)]
pub(crate) struct Congestion {
    window: u64,
    slow_start: bool,
    /// Slow start ends here.
    threshold: u32,
}

/// What an acknowledgement said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acknowledged {
    /// Bytes that were acknowledged for the first time.
    pub(crate) bytes: u32,
    /// Bytes that were under way before it came.
    pub(crate) in_flight: u32,
    /// The queueing delay on our way to the peer, in microseconds.
    pub(crate) delay: u32,
    /// The queueing delay that we aim at, in microseconds, not zero.
    pub(crate) target: u32,
    /// The payload of a full packet, in bytes.
    pub(crate) segment: u32,
}

const FRACTION: u32 = 16;

impl Congestion {
    pub(crate) fn new() -> Self {
        Self { window: u64::from(INITIAL_WINDOW) << FRACTION, slow_start: true, threshold: u32::MAX }
    }

    /// In bytes.
    pub(crate) fn window(&self) -> u32 {
        u32::try_from(self.window >> FRACTION).unwrap_or(u32::MAX)
    }

    /// Adjusts the window to an acknowledgement.
    pub(crate) fn on_acknowledged(&mut self, ack: Acknowledged) {
        // Who does not use the window learns nothing about a larger one. A queue shrinks it all the same.
        let limited = u64::from(ack.in_flight) + u64::from(ack.segment) > u64::from(self.window());
        // The queue only shows what was sent a round trip ago, and slow start doubles in one: end it early.
        if self.slow_start && (ack.delay > ack.target / 4 * 3 || self.window() >= self.threshold) {
            self.slow_start = false;
        }
        if self.slow_start {
            if limited {
                self.window += u64::from(ack.bytes) << FRACTION;
            }
            return;
        }
        let off_target = i128::from(ack.target) - i128::from(ack.delay);
        let gain = (i128::from(MAX_WINDOW_GAIN) << FRACTION) * off_target * i128::from(ack.bytes)
            / i128::from(ack.target)
            / i128::from(ack.in_flight.max(ack.bytes).max(1));
        if gain > 0 && !limited {
            return;
        }
        let least = i128::from(2 * ack.segment) << FRACTION;
        let most = i128::from(u32::MAX) << FRACTION;
        self.window = (i128::from(self.window) + gain).clamp(least, most) as u64;
    }

    /// A packet was lost, the first in this round trip.
    pub(crate) fn on_loss(&mut self, segment: u32) {
        self.slow_start = false;
        self.threshold = (self.window() / 2).max(2 * segment);
        self.window = u64::from(self.threshold) << FRACTION;
    }

    /// All that is under way, `in_flight` bytes, is taken for lost: begins anew with one packet.
    pub(crate) fn on_timeout(&mut self, in_flight: u32, segment: u32) {
        self.threshold = (in_flight / 2).max(2 * segment);
        self.window = u64::from(segment) << FRACTION;
        self.slow_start = true;
    }

    /// Nothing was under way for `timeouts` times the timeout: the path may have changed.
    pub(crate) fn on_idle(&mut self, timeouts: u32) {
        let least = u64::from(INITIAL_WINDOW) << FRACTION;
        if timeouts > 0 && self.window > least {
            self.threshold = self.threshold.min(self.window()).max(self.window() / 4 * 3);
            self.window = (self.window >> timeouts.min(32)).max(least);
            self.slow_start = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: u32 = 100_000;

    fn full(congestion: &Congestion, delay: u32) -> Acknowledged {
        let window = congestion.window();
        Acknowledged { bytes: window, in_flight: window, delay, target: TARGET, segment: 1400 }
    }

    #[test]
    fn slow_start_doubles_until_a_queue_shows() {
        let mut congestion = Congestion::new();
        congestion.on_acknowledged(full(&congestion, 0));
        assert_eq!(congestion.window(), 2 * INITIAL_WINDOW);
        congestion.on_acknowledged(full(&congestion, TARGET));
        assert_eq!(congestion.window(), 2 * INITIAL_WINDOW, "at the target nothing changes");
        congestion.on_acknowledged(full(&congestion, 0));
        assert_eq!(congestion.window(), 2 * INITIAL_WINDOW + MAX_WINDOW_GAIN, "a round trip without a queue");
        congestion.on_acknowledged(full(&congestion, TARGET * 2));
        assert_eq!(congestion.window(), 2 * INITIAL_WINDOW, "a round trip with twice the target");
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        let mut congestion = Congestion::new();
        let ack = Acknowledged { bytes: 100, in_flight: 100, delay: 0, target: TARGET, segment: 1400 };
        congestion.on_acknowledged(ack);
        assert_eq!(congestion.window(), INITIAL_WINDOW);
    }

    #[test]
    fn losses_halve_and_timeouts_begin_anew() {
        let mut congestion = Congestion::new();
        (0..5).for_each(|_| congestion.on_acknowledged(full(&congestion, 0)));
        let before = congestion.window();
        congestion.on_loss(1400);
        assert_eq!(congestion.window(), before / 2);
        congestion.on_timeout(before / 2, 1400);
        assert_eq!(congestion.window(), 1400);
        (0..20).for_each(|_| congestion.on_acknowledged(full(&congestion, TARGET * 9)));
        assert_eq!(congestion.window(), 2800, "two packets are the least");
        congestion.on_acknowledged(Acknowledged {
            bytes: u32::MAX,
            in_flight: u32::MAX,
            delay: u32::MAX,
            target: 1,
            segment: u32::from(u16::MAX),
        });
        assert!(congestion.window() > 0);
    }
}
