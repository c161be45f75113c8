//! Which torrents run when not all may: libtorrent's queue.
//!
//! Torrents that are managed start in the order of the queue while there are slots. One that is slow keeps running and
//! takes no slot, so that a torrent without seeds holds up nobody. A finished torrent that nobody calls is dormant, which costs
//! nothing; so the limit on seeds is one on those that are active, and dormant ones wake while there are slots.

use core::time::Duration;
use std::collections::BTreeMap;

use downpour_base::{Instant, TorrentId};

use crate::limits::{AUTO_MANAGE_DELAY, AUTO_MANAGE_STARTUP};
use crate::session::{Record, Session, State, Timer};
use crate::{Event, Output};

/// Where a torrent goes in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueMove {
    /// One place nearer to the front.
    Up,
    /// One place further back.
    Down,
    /// To the front.
    Top,
    /// To the end.
    Bottom,
}

/// The order of all torrents.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    order: BTreeMap<i64, TorrentId>,
}

impl Queue {
    /// The place behind all others.
    pub(crate) fn push(&mut self, torrent: TorrentId) -> i64 {
        let place = self.order.last_key_value().map_or(0, |(last, _)| last + 1);
        self.order.insert(place, torrent);
        place
    }

    pub(crate) fn remove(&mut self, place: i64) {
        self.order.remove(&place);
    }

    /// Moves who is at `place`. Returns who is where now, of those that moved.
    fn shift(&mut self, place: i64, to: QueueMove) -> Vec<(TorrentId, i64)> {
        let Some(&torrent) = self.order.get(&place) else { return Vec::new() };
        let neighbour = match to {
            QueueMove::Up => self.order.range(..place).next_back(),
            QueueMove::Down => self.order.range(place + 1..).next(),
            QueueMove::Top | QueueMove::Bottom => None,
        };
        if let Some((&other_place, &other)) = neighbour {
            self.order.insert(other_place, torrent);
            self.order.insert(place, other);
            return vec![(torrent, other_place), (other, place)];
        }
        let (first, last) = (self.order.first_key_value(), self.order.last_key_value());
        let new = match (to, first, last) {
            (QueueMove::Top, Some((first, _)), _) if *first < place => first - 1,
            (QueueMove::Bottom, _, Some((last, _))) if *last > place => last + 1,
            _ => return Vec::new(),
        };
        self.order.remove(&place);
        self.order.insert(new, torrent);
        vec![(torrent, new)]
    }
}

impl Record {
    /// Whether the queue decides when it runs.
    pub(crate) fn is_managed(&self) -> bool {
        self.auto_managed && self.wanted && !self.paused
    }

    /// When it stops to count as active, `None` for not while it goes on as now.
    fn counts_until(&self) -> Option<Instant> {
        match &self.state {
            State::Active { demand, since, .. } if demand.slow => Some(*since + AUTO_MANAGE_STARTUP),
            _ => None,
        }
    }
}

impl Session {
    pub(crate) fn is_queueing(&self) -> bool {
        let settings = &self.settings;
        [settings.active_downloads, settings.active_seeds, settings.active_limit].iter().any(Option::is_some)
    }

    /// Has the queue looked at in a while.
    pub(crate) fn manage_soon(&mut self, now: Instant, delay: Duration) {
        if self.is_queueing() || self.queued > 0 {
            let at = self.manage_at.map_or(now + delay, |at| at.min(now + delay));
            self.manage_at = Some(at);
            self.timers.set(Timer::Manage, Some(at));
        }
    }

    pub(crate) fn torrents_changed(&mut self, now: Instant) {
        self.manage_soon(now, AUTO_MANAGE_DELAY);
    }

    /// Starts and stops torrents by their place in the queue. O(torrents).
    pub(crate) fn manage(&mut self, now: Instant) {
        self.manage_at = None;
        let mut all = self.settings.active_limit.unwrap_or(u32::MAX);
        let mut downloads = self.settings.active_downloads.unwrap_or(u32::MAX);
        let mut seeds = self.settings.active_seeds.unwrap_or(u32::MAX);
        let mut next = None::<Instant>;
        // Downloads come first, and seeds that somebody wants something of before others.
        let mut order: Vec<(u8, i64, TorrentId)> = Vec::new();
        for (&place, &torrent) in &self.queue.order {
            let Some(record) = self.torrents.get(&torrent).filter(|record| record.is_managed()) else {
                continue;
            };
            let rank = match &record.state {
                _ if !record.finished => 0,
                State::Active { demand, .. } if demand.interested > 0 => 1,
                State::Active { .. } => 2,
                _ => continue,
            };
            order.push((rank, place, torrent));
        }
        order.sort_unstable();
        for (rank, _, torrent) in order {
            let Some(record) = self.torrents.get(&torrent) else { continue };
            let until = record.counts_until().filter(|_| self.settings.dont_count_slow_torrents);
            let counts = until.is_none_or(|until| until > now);
            if let Some(until) = until.filter(|until| *until > now) {
                next = Some(next.map_or(until, |next| next.min(until)));
            }
            let slots = if rank == 0 { &mut downloads } else { &mut seeds };
            let runs = all > 0 && (*slots > 0 || (!counts && self.active.contains(&torrent)));
            if runs {
                all -= 1;
                *slots = slots.saturating_sub(u32::from(counts));
            }
            self.set_queued(now, torrent, !runs && rank == 0);
            if runs {
                self.activate(torrent);
            } else {
                self.sleep(now, torrent);
            }
        }
        if let Some(next) = next.filter(|_| self.is_queueing()) {
            self.manage_soon(now, next.saturating_duration_since(now));
        }
    }

    pub(crate) fn set_queued(&mut self, now: Instant, torrent: TorrentId, waits: bool) {
        let Some(record) = self.torrents.get_mut(&torrent).filter(|record| record.queued != waits) else {
            return;
        };
        record.queued = waits;
        self.queued = if waits { self.queued + 1 } else { self.queued - 1 };
        self.outputs.push_back(Output::Event(Event::Queued { torrent, waits }));
        self.start_or_stop_announcing(now, torrent);
    }

    /// Whether one more finished torrent may become active.
    pub(crate) fn has_seed_slot(&self) -> bool {
        let finished = |torrent: &&TorrentId| {
            self.torrents.get(*torrent).is_some_and(|record| record.finished && record.is_managed())
        };
        let limit = |limit: Option<u32>, count: usize| limit.is_none_or(|limit| count < limit as usize);
        limit(self.settings.active_limit, self.active.len())
            && (self.settings.active_seeds.is_none()
                || limit(self.settings.active_seeds, self.active.iter().filter(finished).count()))
    }

    pub(crate) fn move_in_queue(&mut self, now: Instant, torrent: TorrentId, to: QueueMove) {
        let Some(place) = self.torrents.get(&torrent).map(|record| record.place) else { return };
        for (torrent, place) in self.queue.shift(place, to) {
            if let Some(record) = self.torrents.get_mut(&torrent) {
                record.place = place;
            }
        }
        self.manage_soon(now, Duration::ZERO);
    }

    /// The torrents in the order of the queue, seeds included. O(torrents).
    pub fn queue(&self) -> impl Iterator<Item = TorrentId> + '_ {
        self.queue.order.values().copied()
    }

    /// Whether a torrent waits for its turn.
    #[must_use]
    pub fn is_queued(&self, torrent: TorrentId) -> bool {
        self.torrents.get(&torrent).is_some_and(|record| record.queued)
    }
}
