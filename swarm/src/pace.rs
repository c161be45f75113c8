//! Whether payload flows, and how far a seeding goal is.

use downpour_base::Instant;
use downpour_picker::Picker;

use crate::limits::{PACE_INTERVAL, SLOW_RATE};
use crate::swarm::Timer;
use crate::{Output, Swarm};

/// Counts payload while some flows; an idle torrent has no timer.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// What had flowed when the count began, if one is under way.
    counting_from: Option<u64>,
    fast: bool,
}

impl Pace {
    pub(crate) fn is_slow(&self) -> bool {
        !self.fast
    }
}

impl<P> Swarm<P> {
    fn flowed(&self) -> u64 {
        self.download.rate.total() + self.upload.rate.total()
    }

    /// Payload came or went.
    pub(crate) fn payload_flows(&mut self, now: Instant) {
        if self.pace.counting_from.is_none() {
            self.pace.counting_from = Some(self.flowed());
            self.timers.set(Timer::Pace, Some(now + PACE_INTERVAL));
        }
    }

    pub(crate) fn measure_pace(&mut self, now: Instant) {
        let flowed = self.flowed() - self.pace.counting_from.take().unwrap_or(0);
        self.pace.fast = flowed >= SLOW_RATE * PACE_INTERVAL.as_secs();
        if flowed > 0 {
            self.payload_flows(now);
        }
    }

    /// Tells, once, that a finished torrent sent as much as it was to. What counts as received is at least what is had,
    /// so that who began as a seed has a goal too.
    pub(crate) fn check_seed_ratio(&mut self) {
        let (Some(ratio), true) = (self.seed_ratio, self.finished) else { return };
        let Some(picker) = &self.torrent else { return };
        let downloaded = self.config.before.downloaded_bytes.saturating_add(self.download.rate.total());
        let uploaded = self.config.before.uploaded_bytes.saturating_add(self.upload.rate.total());
        let base = downloaded.max(had_bytes(picker));
        if u128::from(uploaded) * 1000 >= u128::from(base) * u128::from(ratio) {
            self.seed_ratio = None;
            self.outputs.push_back(Output::SeedRatioReached);
        }
    }
}

/// The bytes that are had; a short last piece counts like the others.
fn had_bytes(picker: &Picker) -> u64 {
    u64::from(picker.have().count()) * u64::from(picker.piece_length())
}
