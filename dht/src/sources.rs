//! How much each source gets, and how much those get who may not be who they seem.

use core::net::IpAddr;
use core::time::Duration;

use downpour_base::{Instant, Map, MapKey};

use crate::Settings;
use crate::address::Source;
use crate::limits::{MAX_SOURCES, SWEEP_INTERVAL, VERIFIED_FOR};

/// A leaky bucket: the moment at which all that was taken has been earned.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket(Instant);

impl Bucket {
    /// Takes what costs `cost`, if no more than `burst` is owed then.
    fn take(&mut self, now: Instant, cost: Duration, burst: Duration) -> bool {
        let paid = self.0.max(now) + cost;
        let fits = paid.saturating_duration_since(now) <= burst;
        if fits {
            self.0 = paid;
        }
        fits
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Record {
    queries: Bucket,
    verified_until: Instant,
}

/// The sources that were heard lately. When all of [`MAX_SOURCES`] are busy, newcomers share one bucket.
pub(crate) struct Sources {
    records: Map<Source, Record>,
    newcomers: Bucket,
    unverified: Bucket,
    swept: Instant,
}

impl Sources {
    pub(crate) fn new(key: MapKey) -> Self {
        let (newcomers, unverified) = (Bucket::default(), Bucket::default());
        Self { records: key.map(), newcomers, unverified, swept: Instant::ORIGIN }
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether a query from there is to be answered at all.
    pub(crate) fn admit(&mut self, now: Instant, from: &IpAddr, settings: &Settings) -> bool {
        if settings.queries_per_second_per_source == 0 {
            return true;
        }
        let cost = Duration::from_secs(1) / settings.queries_per_second_per_source;
        let burst = cost.saturating_mul(settings.burst_per_source.max(1));
        match self.record(now, Source::of(from)) {
            Some(record) => record.queries.take(now, cost, burst),
            None => self.newcomers.take(now, cost, burst),
        }
    }

    /// Notes that a host answers at this address.
    pub(crate) fn verify(&mut self, now: Instant, address: &IpAddr) {
        if let Some(record) = self.record(now, Source::of(address)) {
            record.verified_until = now + VERIFIED_FOR;
        }
    }

    /// Whether `bytes` may be sent to an address that asked.
    pub(crate) fn may_send(&mut self, now: Instant, to: &IpAddr, bytes: usize, settings: &Settings) -> bool {
        let verified = self.records.get(&Source::of(to)).is_some_and(|record| record.verified_until > now);
        let rate = u64::from(settings.unverified_bytes_per_second);
        if verified || rate == 0 {
            return true;
        }
        let cost = Duration::from_nanos(bytes as u64 * 1_000_000_000 / rate);
        self.unverified.take(now, cost, Duration::from_secs(1))
    }

    fn record(&mut self, now: Instant, source: Source) -> Option<&mut Record> {
        if self.records.len() >= MAX_SOURCES && !self.records.contains_key(&source) {
            self.sweep(now);
            if self.records.len() >= MAX_SOURCES {
                return None;
            }
        }
        Some(self.records.entry(source).or_default())
    }

    /// Forgets who owes nothing and proved nothing; if that is not enough, also who proved something. Not often, for it
    /// looks at all.
    pub(crate) fn sweep(&mut self, now: Instant) {
        if now.saturating_duration_since(self.swept) < SWEEP_INTERVAL {
            return;
        }
        self.swept = now;
        self.records.retain(|_, record| record.queries.0 > now || record.verified_until > now);
        if self.records.len() >= MAX_SOURCES {
            self.records.retain(|_, record| record.queries.0 > now);
        }
    }
}

#[cfg(test)]
mod tests {
    use downpour_base::{Rng, Seed};

    use super::*;

    fn sources() -> Sources {
        Sources::new(MapKey::new(&mut Rng::new(Seed::from_u64(1))))
    }

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(core::net::Ipv4Addr::from_bits(0x0800_0000 + number))
    }

    #[test]
    fn a_source_gets_its_burst_and_then_its_rate() {
        let (mut sources, settings) = (sources(), Settings::default());
        let mut admitted = |seconds: u64, from| {
            let now = Instant::ORIGIN + Duration::from_secs(seconds);
            (0..1000).filter(|_| sources.admit(now, &address(from), &settings)).count()
        };
        assert_eq!(admitted(100, 1), 50);
        assert_eq!(admitted(101, 1), 10);
        assert_eq!(admitted(101, 2), 50, "another source has its own");
    }

    #[test]
    fn only_who_answered_us_is_free_of_the_cap_on_bytes() {
        let (mut sources, settings) = (sources(), Settings::default());
        let now = Instant::ORIGIN + Duration::from_secs(9);
        sources.verify(now, &address(1));
        let mut sent =
            |now, to| (0..1000).filter(|_| sources.may_send(now, &address(to), 1024, &settings)).count();
        assert_eq!(sent(now, 1), 1000);
        assert_eq!(sent(now, 2) + sent(now, 3), 64);
        assert_eq!(sent(now + VERIFIED_FOR, 1), 64, "that ends");
    }

    #[test]
    fn many_that_proved_themselves_do_not_lock_others_out() {
        let (mut sources, settings) = (sources(), Settings::default());
        let now = Instant::ORIGIN + Duration::from_secs(9);
        (0..100_000).for_each(|number| sources.verify(now, &address(number)));
        assert_eq!(sources.len(), MAX_SOURCES);
        let later = now + SWEEP_INTERVAL;
        let admitted =
            (200_000..201_000).filter(|from| sources.admit(later, &address(*from), &settings)).count();
        assert_eq!(admitted, 1000);
    }

    #[test]
    fn forged_sources_do_not_fill_the_memory() {
        let (mut sources, settings) = (sources(), Settings::default());
        let now = Instant::ORIGIN + Duration::from_secs(9);
        let admitted = (0..100_000).filter(|from| sources.admit(now, &address(*from), &settings)).count();
        assert_eq!(sources.records.len(), MAX_SOURCES);
        assert_eq!(admitted, MAX_SOURCES + 50);
        sources.sweep(now + Duration::from_secs(60));
        assert_eq!(sources.records.len(), 0);
    }
}
