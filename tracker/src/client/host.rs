//! What is known of a host that trackers live on: how busy it is, and whether it answers at all.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeSet;

use downpour_base::Instant;

use super::interface::{JobId, Settings};
use crate::limits::{MAX_UDP_DOUBLINGS, UDP_TIMEOUT};
use crate::{Scheme, TrackerUrl};

/// From how many unanswered requests on a host is taken for down: then it is asked by one at a time, on the schedule
/// of BEP 15, and nobody else waits for it.
const DOWN: u8 = 2;

#[derive(Debug)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: u16,
    /// How many tracker URLs name it.
    pub(super) urls: u32,
    /// Who waits for a turn; those with `false`, the `stopped` ones, first.
    pub(super) queue: BTreeSet<(bool, JobId)>,
    /// How many have got their turn and are not done.
    pub(super) in_flight: u32,
    /// The pacing's clock: how far ahead of now the requests are that went out (generic cell rate algorithm).
    paced_to: Instant,
    /// Requests in a row that were not answered, a burst counted as one.
    pub(super) silent: u8,
    /// While it is silent: by when the last request should be answered. No other goes out before.
    pub(super) quiet_until: Instant,
    /// When the last failure was counted.
    failed_at: Instant,
    answered_at: Instant,
    /// What only UDP needs.
    pub(super) udp: Option<Box<Udp>>,
}

#[derive(Debug, Default)]
pub(super) struct Udp {
    /// Where it is; the first is in use.
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) addresses_until: Instant,
    pub(super) resolving: Option<JobId>,
    /// The connection id, and until when it can be used.
    pub(super) connection: Option<(u64, Instant)>,
    /// The transaction of the connect request that is under way, and the n of its 15 · 2^n seconds.
    pub(super) connecting: Option<(u32, u8)>,
    /// Who waits for a connection id.
    pub(super) waiting: Vec<JobId>,
}

/// The time after which a datagram is sent again (BEP 15).
pub(super) fn patience(n: u8) -> Duration {
    UDP_TIMEOUT * (1 << n.min(MAX_UDP_DOUBLINGS))
}

impl Host {
    pub(super) fn new(url: &TrackerUrl<'_>) -> Self {
        let udp = (url.scheme == Scheme::Udp).then(|| {
            let addresses: Vec<SocketAddr> =
                url.ip().map(|ip| SocketAddr::new(ip, url.port)).into_iter().collect();
            // An address that stands in the URL does not grow old.
            let addresses_until = if addresses.is_empty() { Instant::ORIGIN } else { Instant::FAR_FUTURE };
            Box::new(Udp { addresses, addresses_until, ..Udp::default() })
        });
        Self {
            name: url.host.to_owned(),
            port: url.port,
            urls: 0,
            queue: BTreeSet::new(),
            in_flight: 0,
            paced_to: Instant::ORIGIN,
            silent: 0,
            quiet_until: Instant::ORIGIN,
            failed_at: Instant::ORIGIN,
            answered_at: Instant::ORIGIN,
            udp,
        }
    }

    /// Whether the next request to it is only a probe.
    pub(super) fn is_down(&self) -> bool {
        self.silent >= DOWN
    }

    /// Whether there is no use in waiting for a turn.
    pub(super) fn is_quiet(&self, now: Instant) -> bool {
        self.is_down() && now < self.quiet_until && self.in_flight == 0
    }

    /// Takes the next who has waited, if another request may go out now; else says when.
    pub(super) fn next(&mut self, now: Instant, settings: &Settings) -> Result<JobId, Option<Instant>> {
        let most = if self.is_down() { 1 } else { settings.in_flight_per_host.max(1) };
        if self.in_flight >= most {
            return Err(None);
        }
        let first = *self.queue.first().ok_or(None)?;
        let period = Duration::from_secs(1) / settings.requests_per_second_per_host.max(1);
        let ready = self.paced_to - (Duration::from_secs(1) - period);
        if ready > now {
            return Err(Some(ready));
        }
        self.paced_to = self.paced_to.max(now) + period;
        self.queue.remove(&first);
        self.in_flight += 1;
        Ok(first.1)
    }

    /// It answered.
    pub(super) fn answered(&mut self, now: Instant) {
        self.silent = 0;
        self.answered_at = now;
    }

    /// A datagram of `sent_at` with the n-th patience was not answered. If another was since, the host is not silent.
    pub(super) fn unanswered(&mut self, n: u8, sent_at: Instant) {
        if self.answered_at <= sent_at {
            self.silent = self.silent.max(n.saturating_add(1)).min(MAX_UDP_DOUBLINGS);
        }
    }

    /// It could not be reached by a request that went out at `sent_at`. Others that were out then do not count.
    pub(super) fn unreachable(&mut self, now: Instant, sent_at: Instant) {
        if self.silent == 0 || sent_at >= self.failed_at {
            self.silent = self.silent.saturating_add(1).min(MAX_UDP_DOUBLINGS);
            self.failed_at = now;
            self.quiet_until = now + patience(self.silent);
        }
    }
}
