//! A torrent and its trackers, as long as nothing is asked: a few hundred bytes.

use downpour_base::{InfoHash, Instant, Rng};

use super::interface::{JobId, Totals};
use super::registry::TrackerId;

#[derive(Debug)]
pub(super) struct Torrent {
    pub(super) info_hash: InfoHash,
    /// BEP 7: the same for all trackers, as long as the torrent is there.
    pub(super) key: u32,
    pub(super) running: bool,
    /// It is removed, and waits for its `stopped` to go out.
    pub(super) leaving: bool,
    /// `stopped` goes out, and somebody waits for it.
    pub(super) stopping: bool,
    /// It became complete while it ran.
    pub(super) completed: bool,
    pub(super) totals: Totals,
    pub(super) totals_at: Option<Instant>,
    /// When the trackers are gone through the next time.
    pub(super) next: Instant,
    pub(super) scrape: Option<JobId>,
    /// Ordered by tier; inside a tier in the order in which they are tried.
    pub(super) entries: Vec<Entry>,
}

/// A tracker of a torrent.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) tracker: TrackerId,
    pub(super) tier: u8,
    /// How often it failed since it last answered.
    pub(super) failures: u8,
    /// It knows that we are there.
    pub(super) started: bool,
    /// It knows that we are complete.
    pub(super) completed: bool,
    /// It does not want to be asked ever again (BEP 31).
    pub(super) dead: bool,
    /// When it may be asked again: the end of its minimum interval, or of the pause after a failure.
    pub(super) not_before: Instant,
    /// What it wants to hear as `trackerid`.
    pub(super) tracker_id: Option<Box<[u8]>>,
    /// The announce that is under way or waits for its turn.
    pub(super) job: Option<JobId>,
}

impl Entry {
    pub(super) fn new(tracker: TrackerId, tier: u8) -> Self {
        Self {
            tracker,
            tier,
            failures: 0,
            started: false,
            completed: false,
            dead: false,
            not_before: Instant::ORIGIN,
            tracker_id: None,
            job: None,
        }
    }

    /// Whether it answered the last time.
    pub(super) fn is_working(&self) -> bool {
        self.started && self.failures == 0
    }
}

/// What to do about a torrent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask the tracker at this position.
    Ask(usize),
    /// Come back then.
    Wait(Instant),
    /// No tracker is left that wants to be asked.
    Never,
}

impl Torrent {
    pub(super) fn new(info_hash: InfoHash, key: u32) -> Self {
        Self {
            info_hash,
            key,
            running: false,
            leaving: false,
            stopping: false,
            completed: false,
            totals: Totals::default(),
            totals_at: None,
            next: Instant::ORIGIN,
            scrape: None,
            entries: Vec::new(),
        }
    }

    /// Whether a tracker is being asked, or waits for its turn.
    pub(super) fn is_busy(&self) -> bool {
        self.entries.iter().any(|entry| entry.job.is_some())
    }

    pub(super) fn position(&self, tracker: TrackerId) -> Option<usize> {
        self.entries.iter().position(|entry| entry.tracker == tracker)
    }

    /// Goes through the trackers from position `from` on, in their order (BEP 12): the first that may be asked is; one
    /// that works and may not be asked yet is waited for; one that fails and is not due is passed over.
    pub(super) fn step(&self, now: Instant, from: usize) -> Step {
        for (at, entry) in self.entries.iter().enumerate().skip(from) {
            if !entry.dead && (entry.not_before <= now || self.has_news_for(entry)) {
                return Step::Ask(at);
            } else if !entry.dead && entry.is_working() {
                return Step::Wait(entry.not_before);
            }
        }
        let alive = self.entries.iter().filter(|entry| !entry.dead);
        alive.map(|entry| entry.not_before).min().map_or(Step::Never, Step::Wait)
    }

    /// Whether a tracker is to hear at once that the download is complete.
    pub(super) fn has_news_for(&self, entry: &Entry) -> bool {
        self.completed && !entry.completed && entry.is_working()
    }

    /// Puts the tracker at the front of its tier (BEP 12).
    pub(super) fn promote(&mut self, at: usize) {
        let Some(tier) = self.entries.get(at).map(|entry| entry.tier) else { return };
        let start = self.entries.partition_point(|entry| entry.tier < tier);
        if let Some(part) = self.entries.get_mut(start..=at) {
            part.rotate_right(1);
        }
    }

    /// Adds a tracker at the end of its tier.
    pub(super) fn insert(&mut self, entry: Entry) {
        let at = self.entries.partition_point(|other| other.tier <= entry.tier);
        self.entries.insert(at, entry);
    }
}

/// Shuffles a tier (BEP 12).
pub(super) fn shuffle<T>(items: &mut [T], rng: &mut Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, rng.index(last + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn torrent(tiers: &[u8]) -> Torrent {
        let mut torrent = Torrent::new(InfoHash::V1(downpour_base::InfoHashV1([1; 20])), 0);
        for (number, tier) in tiers.iter().enumerate() {
            torrent.insert(Entry::new(TrackerId(number as u32), *tier));
        }
        torrent
    }

    fn order(torrent: &Torrent) -> Vec<u32> {
        torrent.entries.iter().map(|entry| entry.tracker.0).collect()
    }

    #[test]
    fn a_working_tracker_moves_to_the_front_of_its_tier_only() {
        let mut torrent = torrent(&[0, 1, 1, 1, 2]);
        torrent.promote(3);
        assert_eq!(order(&torrent), [0, 3, 1, 2, 4]);
        torrent.promote(0);
        torrent.promote(4);
        torrent.promote(9);
        assert_eq!(order(&torrent), [0, 3, 1, 2, 4]);
    }

    #[test]
    fn a_tracker_is_added_at_the_end_of_its_tier() {
        assert_eq!(order(&torrent(&[1, 0, 1, 0])), [1, 3, 0, 2]);
    }
}
