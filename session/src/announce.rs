//! What trackers are told of the life of torrents, and what becomes of the peers that they name.

use std::collections::BTreeSet;

use downpour_base::{Instant, Machine, Map, MapKey, PeerEndpoint, Seed, TorrentId};
use downpour_tracker::client::{self, Client};

use crate::Output;
use crate::session::{Session, Timer};

/// Peers that are kept for a torrent while it wakes up.
const MAX_FOUND: usize = 200;
/// Peers that an unfinished torrent would like to hear of.
const WANTED_UNFINISHED: u32 = 200;
/// Peers that a finished torrent would like to hear of: most will call.
const WANTED_FINISHED: u32 = 50;

/// What a session holds for its trackers.
#[derive(Debug)]
pub(crate) struct Announcing {
    pub(crate) client: Client,
    /// Peers of torrents that are waking up.
    found: Map<TorrentId, Vec<PeerEndpoint>>,
    /// The session shuts down: nothing is started any more.
    closing: bool,
    /// Whose trackers are still to be told that it stops; a shutdown waits for them all.
    stopping: BTreeSet<TorrentId>,
    /// Whether the shutdown is told to be over.
    ended: bool,
}

/// A torrent as its trackers see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Role {
    /// BEP 27.
    pub(crate) private: bool,
    /// Whether this run saw it unfinished, so that it can become complete.
    unfinished_seen: bool,
    /// Whether it ran, so that it goes on when it is no longer paused.
    ran: bool,
    /// Whether it is announced.
    announced: bool,
}

impl Role {
    pub(crate) fn new(private: bool) -> Self {
        Self { private, unfinished_seen: false, ran: false, announced: false }
    }
}

impl Announcing {
    pub(crate) fn new(key: MapKey, seed: Seed, settings: client::Settings) -> Self {
        let client = Client::new(seed, settings);
        Self { client, found: key.map(), closing: false, stopping: BTreeSet::new(), ended: false }
    }
}

impl Session {
    pub(crate) fn tell_trackers(&mut self, now: Instant, input: client::Input) {
        self.announcing.client.handle_input(now, input);
        self.drain_trackers();
    }

    pub(crate) fn announce_due(&mut self, now: Instant) {
        self.announcing.client.handle_timeout(now);
        self.drain_trackers();
    }

    fn drain_trackers(&mut self) {
        while let Some(output) = self.announcing.client.poll_output() {
            match output {
                client::Output::Peers { torrent, endpoints } => self.found(torrent, endpoints),
                client::Output::Stopped { torrent } => self.left(torrent),
                output => self.outputs.push_back(Output::Tracker(output)),
            }
        }
        self.timers.set(Timer::Announce, self.announcing.client.poll_timeout());
    }

    /// A torrent runs from now on, if nothing keeps it from running.
    pub(crate) fn run(&mut self, now: Instant, torrent: TorrentId) {
        let Some(record) = self.torrents.get_mut(&torrent) else { return };
        record.role.ran = true;
        if !record.is_stopped() && !self.announcing.closing && !record.role.announced {
            record.role.announced = true;
            self.tell_trackers(now, client::Input::Start { torrent });
        }
    }

    /// What keeps a torrent from running, or nothing any more, is known to its trackers.
    pub(crate) fn start_or_stop_announcing(&mut self, now: Instant, torrent: TorrentId) {
        let Some(record) = self.torrents.get_mut(&torrent) else { return };
        if !record.is_stopped() {
            if record.role.ran {
                self.run(now, torrent);
            }
            return;
        }
        self.announcing.found.remove(&torrent);
        if std::mem::take(&mut record.role.announced) {
            self.stop_announcing(now, client::Input::Stop { torrent }, torrent);
        }
    }

    /// A torrent is gone.
    pub(crate) fn forget_announcing(&mut self, now: Instant, torrent: TorrentId) {
        self.announcing.found.remove(&torrent);
        self.stop_announcing(now, client::Input::Remove { torrent }, torrent);
    }

    /// Tells the trackers; `Stopped` will say when that is done.
    fn stop_announcing(&mut self, now: Instant, input: client::Input, torrent: TorrentId) {
        if self.torrents.contains_key(&torrent) {
            self.announcing.stopping.insert(torrent);
            self.tell_trackers(now, input);
        }
    }

    pub(crate) fn role_activated(&mut self, now: Instant, torrent: TorrentId) {
        let Some(record) = self.torrents.get_mut(&torrent) else { return };
        record.role.unfinished_seen = false;
        if let Some(endpoints) = self.announcing.found.remove(&torrent) {
            self.outputs.push_back(Output::Peers { torrent, endpoints });
        }
        self.run(now, torrent);
    }

    /// The swarm says whether it has all that is wanted.
    pub(crate) fn role_demands(&mut self, now: Instant, torrent: TorrentId, finished: bool) {
        let Some(record) = self.torrents.get_mut(&torrent) else { return };
        let role = &mut record.role;
        if !finished {
            role.unfinished_seen = true;
        } else if std::mem::take(&mut role.unfinished_seen) {
            self.tell_trackers(now, client::Input::Completed { torrent });
        }
    }

    pub(crate) fn peers_wanted(&self, torrent: TorrentId) -> u32 {
        match self.torrents.get(&torrent) {
            Some(record) if !record.finished => WANTED_UNFINISHED,
            // A sleeping torrent that has everything waits for calls.
            Some(_) if self.is_active(torrent) => WANTED_FINISHED,
            _ => 0,
        }
    }

    fn found(&mut self, torrent: TorrentId, mut endpoints: Vec<PeerEndpoint>) {
        if self.is_active(torrent) {
            return self.outputs.push_back(Output::Peers { torrent, endpoints });
        }
        let Some(record) = self.torrents.get(&torrent) else { return };
        if !record.is_stopped() && !record.finished {
            endpoints.truncate(MAX_FOUND);
            self.announcing.found.insert(torrent, endpoints);
            self.activate(torrent);
        }
    }

    pub(crate) fn shut_down(&mut self, now: Instant) {
        if std::mem::replace(&mut self.announcing.closing, true) {
            return;
        }
        let mut leaving = BTreeSet::new();
        for (torrent, record) in &mut self.torrents {
            if std::mem::take(&mut record.role.announced) {
                leaving.insert(*torrent);
            }
        }
        // All are known before the first has told its trackers.
        self.announcing.stopping.extend(&leaving);
        for torrent in leaving {
            self.stop_announcing(now, client::Input::Stop { torrent }, torrent);
        }
        self.end_if_left();
    }

    fn left(&mut self, torrent: TorrentId) {
        self.announcing.stopping.remove(&torrent);
        self.end_if_left();
    }

    fn end_if_left(&mut self) {
        let Announcing { closing, stopping, ended, .. } = &mut self.announcing;
        if *closing && stopping.is_empty() && !std::mem::replace(ended, true) {
            self.outputs.push_back(Output::ShutDown);
        }
    }
}
