//! How long finished torrents are seeded.

use core::time::Duration;

use downpour_base::{Instant, TorrentId};

use crate::session::{Session, Timer};
use crate::{Event, Output};

/// When a finished torrent has been seeded enough: as soon as one of these is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeedingGoal {
    /// What was sent in proportion to what was received, or is had if that is more, in thousandths.
    pub ratio_per_mille: Option<u32>,
    /// How long it has been finished and not paused, dormant times included.
    pub time: Option<Duration>,
}

impl Session {
    /// The goal that a torrent has: its own, or that of the session; none once the user has woken it after it was reached.
    pub(crate) fn goal(&self, torrent: TorrentId) -> SeedingGoal {
        match self.torrents.get(&torrent) {
            Some(record) if !record.goal_waived => record.goal.unwrap_or(self.settings.seeding_goal),
            _ => SeedingGoal::default(),
        }
    }

    /// The user gives a torrent another goal. One that had reached its goal may be seeded again.
    pub(crate) fn change_goal(&mut self, now: Instant, torrent: TorrentId, goal: Option<SeedingGoal>) {
        let Some(record) = self.torrents.get_mut(&torrent) else { return };
        (record.goal, record.goal_waived) = (goal, false);
        let seeds = std::mem::take(&mut record.done) && !record.paused;
        self.set_goal(torrent);
        if seeds {
            self.set_seeding(now, torrent, true);
            self.start_or_stop_announcing(now, torrent);
        }
    }

    /// Tells the swarm what counts there, and sets the clock.
    pub(crate) fn set_goal(&mut self, torrent: TorrentId) {
        let goal = self.goal(torrent);
        let Some(record) = self.torrents.get(&torrent) else { return };
        let at =
            record.seeding_since.and_then(|since| Some(since + goal.time?.saturating_sub(record.seeded)));
        self.timers.set(Timer::SeedTime(torrent), at);
        let told = goal.ratio_per_mille;
        if self.active.contains(&torrent) && record.ratio_told != told {
            if let Some(record) = self.torrents.get_mut(&torrent) {
                record.ratio_told = told;
            }
            self.outputs.push_back(Output::SeedRatio { torrent, per_mille: told });
        }
    }

    /// A torrent is seeding now, or is not.
    pub(crate) fn set_seeding(&mut self, now: Instant, torrent: TorrentId, seeding: bool) {
        let Some(record) = self.torrents.get_mut(&torrent) else { return };
        match (record.seeding_since, seeding) {
            (None, true) => record.seeding_since = Some(now),
            (Some(since), false) => {
                record.seeded += now.saturating_duration_since(since);
                record.seeding_since = None;
            }
            _ => return,
        }
        self.set_goal(torrent);
    }

    pub(crate) fn goal_reached(&mut self, now: Instant, torrent: TorrentId) {
        self.set_seeding(now, torrent, false);
        let Some(record) = self.torrents.get_mut(&torrent).filter(|record| !record.goal_waived) else {
            return;
        };
        record.wanted = false;
        record.done = true;
        self.outputs.push_back(Output::Event(Event::SeedingGoalReached { torrent }));
        self.sleep(now, torrent);
        self.torrents_changed(now);
        self.start_or_stop_announcing(now, torrent);
    }

    /// The user wants a torrent to run. A goal that was reached counts no longer.
    pub(crate) fn wake(&mut self, now: Instant, torrent: TorrentId) {
        let Some(record) = self.torrents.get_mut(&torrent) else { return };
        record.wanted = true;
        record.goal_waived |= std::mem::take(&mut record.done);
        let managed = record.auto_managed;
        self.start_or_stop_announcing(now, torrent);
        if managed && self.is_queueing() {
            self.manage_soon(now, Duration::ZERO);
        } else {
            self.activate(torrent);
        }
    }
}
