//! The decisions that concern the whole client.

use std::collections::{BTreeSet, VecDeque};

use core::time::Duration;

use downpour_base::{
    ConnectionId, Deadlines, InfoHash, InfoHashV1, Instant, Machine, Map, MapKey, Rng, Seed, TorrentId,
};
use downpour_swarm::{Allowance, Budget, Demand, Direction};
use thiserror::Error;

use crate::{Settings, TokenBucket};

/// How often hungry torrents are fed when there is a limit.
const FEEDING_INTERVAL: Duration = Duration::from_millis(50);
/// Incoming connections that may wait while a dormant torrent wakes up.
const MAX_WAITING: usize = 64;

/// What happens to a session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// The user added a torrent. It is dormant until something wakes it.
    Add {
        /// Under which number it is known.
        torrent: TorrentId,
        /// Which torrent.
        info_hash: InfoHash,
    },
    /// The user removed a torrent.
    Remove {
        /// Which one.
        torrent: TorrentId,
    },
    /// The user wants a torrent to run.
    Wake {
        /// Which one.
        torrent: TorrentId,
    },
    /// The user paused a torrent, or lets it go on. Who calls for a paused torrent is refused.
    Pause {
        /// Which one.
        torrent: TorrentId,
        /// Whether it is paused now.
        paused: bool,
    },
    /// An [`Output::Activate`] is carried out: the torrent's swarm exists.
    Activated {
        /// Which one.
        torrent: TorrentId,
    },
    /// An [`Output::Deactivate`] is carried out, or an [`Output::Activate`] could not be.
    Deactivated {
        /// Which one.
        torrent: TorrentId,
    },
    /// Somebody called, for this torrent.
    Incoming {
        /// On which connection.
        connection: ConnectionId,
        /// As it stands in the handshake.
        info_hash: InfoHashV1,
    },
    /// A torrent's needs changed.
    Demand {
        /// Which one.
        torrent: TorrentId,
        /// To what.
        demand: Demand,
    },
    /// A torrent has used up its allowance.
    Starved {
        /// Which one.
        torrent: TorrentId,
        /// Which way.
        direction: Direction,
    },
    /// Limits on one torrent alone, in bytes per second.
    LimitTorrent {
        /// Which one.
        torrent: TorrentId,
        /// Which way.
        direction: Direction,
        /// `None` for no limit of its own.
        bytes_per_second: Option<u64>,
    },
    /// The user changed the settings.
    Settings(Settings),
}

/// What a session wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Load a torrent and make its swarm; answered by [`Input::Activated`] or [`Input::Deactivated`].
    Activate {
        /// Which one.
        torrent: TorrentId,
    },
    /// Drop a torrent's swarm, and everything it holds; answered by [`Input::Deactivated`].
    Deactivate {
        /// Which one.
        torrent: TorrentId,
    },
    /// A connection belongs to a torrent.
    Attach {
        /// Which connection.
        connection: ConnectionId,
        /// Which torrent.
        torrent: TorrentId,
    },
    /// A connection belongs to nobody here.
    Refuse {
        /// Which one.
        connection: ConnectionId,
        /// Why.
        reason: RefuseReason,
    },
    /// What a torrent may have from now on.
    Budget {
        /// Which one.
        torrent: TorrentId,
        /// How much.
        budget: Budget,
    },
    /// More bytes may flow.
    Allowance {
        /// Of which torrent.
        torrent: TorrentId,
        /// Which way.
        direction: Direction,
        /// How much.
        allowance: Allowance,
    },
}

/// Why an incoming connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RefuseReason {
    /// No torrent of this session has that info-hash.
    #[error("no such torrent here")]
    UnknownTorrent,
    /// The session has as many connections as it may.
    #[error("too many connections")]
    TooManyConnections,
    /// The torrent is paused.
    #[error("the torrent is paused")]
    Paused,
    /// The torrent could not be loaded.
    #[error("the torrent cannot be loaded")]
    NotLoaded,
}

/// What is kept of each torrent: all that is kept of a dormant one.
#[derive(Debug)]
struct Record {
    info_hash: InfoHash,
    paused: bool,
    state: State,
    /// Limits of its own, for [`Direction::Download`] and [`Direction::Upload`].
    limits: [Option<TokenBucket>; 2],
}

#[derive(Debug)]
enum State {
    Dormant,
    /// Being loaded; who called meanwhile.
    Waking(Vec<ConnectionId>),
    /// Being dropped; whether it is to wake up again at once, and who called meanwhile.
    Sleeping {
        wake: bool,
        waiting: Vec<ConnectionId>,
    },
    Active {
        demand: Demand,
        budget: Option<Budget>,
    },
}

/// Torrents, budgets, limits, routing.
///
/// It is not in the path of messages: a torrent gets its budget when something changes, and its allowance in
/// portions when there is a limit.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    torrents: Map<TorrentId, Record>,
    by_hash: Map<InfoHashV1, TorrentId>,
    active: BTreeSet<TorrentId>,
    /// Sums over the active torrents.
    connections: u32,
    interested_torrents: u32,
    unfinished_torrents: u32,
    global: [Option<TokenBucket>; 2],
    hungry: [BTreeSet<TorrentId>; 2],
    /// Whether the next feeding is set.
    feeding: bool,
    timers: Deadlines<Timer>,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    Feed,
    Sleep(TorrentId),
}

impl Session {
    /// A session without torrents.
    #[must_use]
    pub fn new(now: Instant, seed: Seed, settings: Settings) -> Self {
        let key = MapKey::new(&mut Rng::new(seed));
        let mut session = Self {
            settings: Settings::default(),
            torrents: key.map(),
            by_hash: key.map(),
            active: BTreeSet::new(),
            connections: 0,
            interested_torrents: 0,
            unfinished_torrents: 0,
            global: [None; 2],
            hungry: Default::default(),
            feeding: false,
            timers: Deadlines::new(key),
            outputs: VecDeque::new(),
        };
        session.change_settings(now, settings);
        session
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The torrent with this info-hash.
    #[must_use]
    pub fn find(&self, info_hash: InfoHashV1) -> Option<TorrentId> {
        self.by_hash.get(&info_hash).copied()
    }

    /// Whether a torrent has a swarm.
    #[must_use]
    pub fn is_active(&self, torrent: TorrentId) -> bool {
        self.active.contains(&torrent)
    }

    fn change_settings(&mut self, now: Instant, settings: Settings) {
        let limits = [settings.download_limit, settings.upload_limit];
        self.settings = settings;
        for (bucket, limit) in self.global.iter_mut().zip(limits) {
            match (bucket.as_mut(), limit) {
                (Some(bucket), Some(rate)) => bucket.set_rate(now, rate),
                (_, limit) => *bucket = limit.map(|rate| TokenBucket::new(now, rate)),
            }
        }
        for torrent in self.active.clone() {
            self.start_flow(torrent);
        }
        self.share();
    }

    fn is_limited(&self, torrent: TorrentId, direction: Direction) -> bool {
        let own = self.torrents.get(&torrent).is_some_and(|record| record.limits[index(direction)].is_some());
        own || self.global[index(direction)].is_some()
    }

    /// Tells a torrent whether it is limited; if it is, it starts with nothing and asks. Who has asked is still hungry.
    fn start_flow(&mut self, torrent: TorrentId) {
        for direction in [Direction::Download, Direction::Upload] {
            let limited = self.is_limited(torrent, direction);
            let allowance = if limited { Allowance::Bytes(0) } else { Allowance::Unlimited };
            self.outputs.push_back(Output::Allowance { torrent, direction, allowance });
            if !limited {
                self.hungry[index(direction)].remove(&torrent);
            }
        }
    }

    /// Divides what the limits let through among those who ran out.
    fn feed(&mut self, now: Instant) {
        for direction in [Direction::Download, Direction::Upload] {
            let at = index(direction);
            let mut hungry = self.hungry[at].len() as u64;
            for torrent in std::mem::take(&mut self.hungry[at]) {
                let Some(record) = self.torrents.get_mut(&torrent) else { continue };
                let own = record.limits[at].as_mut().map_or(u64::MAX, |bucket| bucket.available(now));
                let share =
                    self.global[at].as_mut().map_or(u64::MAX, |bucket| bucket.available(now) / hungry);
                hungry -= 1;
                let bytes = own.min(share);
                if bytes == 0 {
                    self.hungry[at].insert(torrent);
                    continue;
                }
                for bucket in [record.limits[at].as_mut(), self.global[at].as_mut()].into_iter().flatten() {
                    bucket.take(bytes);
                }
                let allowance = Allowance::Bytes(bytes);
                self.outputs.push_back(Output::Allowance { torrent, direction, allowance });
            }
        }
        self.feeding = self.hungry.iter().any(|hungry| !hungry.is_empty());
        if self.feeding {
            self.timers.set(Timer::Feed, Some(now + FEEDING_INTERVAL));
        }
    }

    /// Tells those torrents their budget for whom it changed. The shares move in steps, so that most changes of
    /// demand change nothing here.
    fn share(&mut self) {
        let active = self.active.len() as u32;
        let connections = (self.settings.connections / active.max(1)).max(1);
        let slots = (self.settings.upload_slots / self.interested_torrents.max(1)).max(1);
        let memory = self.settings.memory_bytes / u64::from(self.unfinished_torrents.max(1));
        let new = Budget {
            upload_slots: if self.settings.upload_slots == 0 { 0 } else { slots },
            connections: connections.min(self.settings.connections_per_torrent),
            connections_per_address: self.settings.connections_per_address,
            memory_bytes: memory,
        };
        for torrent in &self.active {
            if let Some(Record { state: State::Active { budget, .. }, .. }) = self.torrents.get_mut(torrent)
                && *budget != Some(new)
            {
                *budget = Some(new);
                self.outputs.push_back(Output::Budget { torrent: *torrent, budget: new });
            }
        }
    }

    fn demand(&mut self, now: Instant, torrent: TorrentId, demand: Demand) {
        let Some(Record { state: State::Active { demand: old, .. }, .. }) = self.torrents.get_mut(&torrent)
        else {
            return;
        };
        let old = std::mem::replace(old, demand);
        self.connections = self.connections - old.connections + demand.connections;
        self.interested_torrents =
            self.interested_torrents - u32::from(old.interested > 0) + u32::from(demand.interested > 0);
        self.unfinished_torrents =
            self.unfinished_torrents - u32::from(!old.finished) + u32::from(!demand.finished);
        let idle = demand.finished && demand.connections == 0;
        let sleep = idle.then_some(now + self.settings.dormant_after);
        self.timers.set(Timer::Sleep(torrent), sleep);
        self.share();
    }

    fn activate(&mut self, torrent: TorrentId) {
        let Some(record) = self.torrents.get_mut(&torrent) else { return };
        if let State::Sleeping { wake, .. } = &mut record.state {
            // The driver may still be saving what the new swarm would load.
            *wake = true;
        } else if matches!(record.state, State::Dormant) {
            record.state = State::Waking(Vec::new());
            self.outputs.push_back(Output::Activate { torrent });
        }
    }

    fn activated(&mut self, now: Instant, torrent: TorrentId) {
        let Some(record) = self.torrents.get_mut(&torrent) else { return };
        let active = State::Active { demand: Demand::default(), budget: None };
        let State::Waking(waiting) = std::mem::replace(&mut record.state, active) else { return };
        self.active.insert(torrent);
        self.unfinished_torrents += 1;
        self.start_flow(torrent);
        self.share();
        // A torrent that nobody needs after all goes back to sleep.
        self.timers.set(Timer::Sleep(torrent), None);
        self.demand(now, torrent, Demand::default());
        for connection in waiting {
            self.outputs.push_back(Output::Attach { connection, torrent });
        }
    }

    /// Takes a torrent out of all sums.
    fn leave(&mut self, now: Instant, torrent: TorrentId) {
        self.demand(now, torrent, Demand { finished: true, ..Demand::default() });
        self.timers.set(Timer::Sleep(torrent), None);
        self.active.remove(&torrent);
        self.hungry.iter_mut().for_each(|hungry| {
            hungry.remove(&torrent);
        });
        self.share();
    }

    /// The driver has dropped a torrent, or could not load it.
    fn deactivated(&mut self, now: Instant, torrent: TorrentId) {
        self.leave(now, torrent);
        let Some(record) = self.torrents.get_mut(&torrent) else { return };
        match std::mem::replace(&mut record.state, State::Dormant) {
            State::Sleeping { wake: true, waiting } => {
                record.state = State::Waking(waiting);
                self.outputs.push_back(Output::Activate { torrent });
            }
            State::Waking(waiting) | State::Sleeping { waiting, .. } => self.refuse(waiting),
            State::Dormant | State::Active { .. } => {}
        }
    }

    fn refuse(&mut self, waiting: Vec<ConnectionId>) {
        for connection in waiting {
            self.outputs.push_back(Output::Refuse { connection, reason: RefuseReason::NotLoaded });
        }
    }

    fn incoming(&mut self, connection: ConnectionId, info_hash: InfoHashV1) {
        let refuse = |reason| Output::Refuse { connection, reason };
        let Some(torrent) = self.find(info_hash) else {
            return self.outputs.push_back(refuse(RefuseReason::UnknownTorrent));
        };
        if self.connections >= self.settings.connections {
            return self.outputs.push_back(refuse(RefuseReason::TooManyConnections));
        }
        if self.torrents.get(&torrent).is_some_and(|record| record.paused) {
            return self.outputs.push_back(refuse(RefuseReason::Paused));
        }
        self.activate(torrent);
        match self.torrents.get_mut(&torrent).map(|record| &mut record.state) {
            Some(State::Active { .. }) => self.outputs.push_back(Output::Attach { connection, torrent }),
            Some(State::Waking(waiting) | State::Sleeping { waiting, .. }) if waiting.len() < MAX_WAITING => {
                waiting.push(connection);
            }
            _ => self.outputs.push_back(refuse(RefuseReason::TooManyConnections)),
        }
    }

    fn sleep(&mut self, now: Instant, torrent: TorrentId) {
        if self.active.contains(&torrent) {
            self.leave(now, torrent);
            if let Some(record) = self.torrents.get_mut(&torrent) {
                record.state = State::Sleeping { wake: false, waiting: Vec::new() };
            }
            self.outputs.push_back(Output::Deactivate { torrent });
        }
    }
}

fn index(direction: Direction) -> usize {
    match direction {
        Direction::Download => 0,
        Direction::Upload => 1,
    }
}

impl Machine for Session {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Add { torrent, info_hash } => {
                let record = Record { info_hash, paused: false, state: State::Dormant, limits: [None; 2] };
                self.torrents.insert(torrent, record);
                if let Some(v1) = info_hash.v1() {
                    self.by_hash.insert(v1, torrent);
                }
            }
            Input::Remove { torrent } => {
                self.sleep(now, torrent);
                let Some(record) = self.torrents.remove(&torrent) else { return };
                if let Some(v1) = record.info_hash.v1() {
                    self.by_hash.remove(&v1);
                }
                // Who waits for it to wake up waits in vain.
                if let State::Waking(waiting) | State::Sleeping { waiting, .. } = record.state {
                    self.refuse(waiting);
                }
            }
            Input::Wake { torrent } => self.activate(torrent),
            Input::Pause { torrent, paused } => {
                if let Some(record) = self.torrents.get_mut(&torrent) {
                    record.paused = paused;
                }
            }
            Input::Activated { torrent } => self.activated(now, torrent),
            Input::Deactivated { torrent } => self.deactivated(now, torrent),
            Input::Incoming { connection, info_hash } => self.incoming(connection, info_hash),
            Input::Demand { torrent, demand } => self.demand(now, torrent, demand),
            Input::Starved { torrent, direction } => {
                if !self.is_limited(torrent, direction) {
                    // A portion from before the limit was lifted overtook the news.
                    let allowance = Allowance::Unlimited;
                    self.outputs.push_back(Output::Allowance { torrent, direction, allowance });
                } else if self.active.contains(&torrent) {
                    self.hungry[index(direction)].insert(torrent);
                    if !self.feeding {
                        self.feeding = true;
                        self.timers.set(Timer::Feed, Some(now + FEEDING_INTERVAL));
                    }
                }
            }
            Input::LimitTorrent { torrent, direction, bytes_per_second } => {
                if let Some(record) = self.torrents.get_mut(&torrent) {
                    record.limits[index(direction)] =
                        bytes_per_second.map(|rate| TokenBucket::new(now, rate));
                    if self.active.contains(&torrent) {
                        self.start_flow(torrent);
                    }
                }
            }
            Input::Settings(settings) => self.change_settings(now, settings),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Feed => self.feed(now),
                Timer::Sleep(torrent) => self.sleep(now, torrent),
            }
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }
}
