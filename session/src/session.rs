//! The decisions that concern the whole client.

use std::collections::{BTreeSet, VecDeque};

use core::net::SocketAddr;
use core::time::Duration;

use downpour_base::{
    ConnectionId, Deadlines, InfoHash, InfoHashV1, Instant, Machine, Map, MapKey, PeerEndpoint, PeerId, Rng,
    Seed, TorrentId,
};
use downpour_swarm::{Allowance, Budget, Demand, Direction};
use downpour_tracker::client;
use thiserror::Error;

use crate::announce::{Announcing, Role};
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
        /// Tracker URLs in tiers (BEP 12).
        trackers: Vec<Vec<String>>,
        /// Whether it says that peers may come from its trackers only (BEP 27).
        private: bool,
        /// Whether it is paused.
        paused: bool,
        /// Whether all that is wanted is had, as its resume state says. Then it is announced at once, and without
        /// being woken.
        finished: bool,
    },
    /// The user removed a torrent. Its last [`Totals`](Self::Totals) are told before.
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
    /// Who we are, for trackers.
    Identity {
        /// What we call ourselves.
        peer_id: PeerId,
        /// The port that peers can reach us on.
        port: u16,
    },
    /// The answer to `Effect::Totals`, at once if it can be; welcome unasked too.
    Totals {
        /// Which torrent.
        torrent: TorrentId,
        /// Bytes of payload sent, in this session.
        uploaded: u64,
        /// Bytes of payload received, in this session.
        downloaded: u64,
        /// Bytes that are missing.
        left: u64,
    },
    /// The answer to `Effect::Http`.
    HttpDone {
        /// Which one.
        job: client::JobId,
        /// What came.
        result: Result<client::HttpResponse, client::HttpError>,
    },
    /// The answer to `Effect::Resolve`.
    Resolved {
        /// Which one.
        job: client::JobId,
        /// The addresses, best first.
        result: Result<Vec<SocketAddr>, client::ResolveError>,
    },
    /// A datagram came.
    Datagram {
        /// From where.
        from: SocketAddr,
        /// What.
        payload: Vec<u8>,
    },
    /// The user wants an announce now.
    Reannounce {
        /// Of which torrent.
        torrent: TorrentId,
        /// Whether even before the tracker's minimum interval is over.
        ignore_min_interval: bool,
    },
    /// The user adds a tracker.
    AddTracker {
        /// To which torrent.
        torrent: TorrentId,
        /// Where it is.
        url: String,
        /// In which tier, from 0.
        tier: u8,
    },
    /// The user takes a tracker away.
    RemoveTracker {
        /// From which torrent.
        torrent: TorrentId,
        /// Where it is.
        url: String,
    },
    /// The user changes all trackers.
    ReplaceTrackers {
        /// Of which torrent.
        torrent: TorrentId,
        /// URLs in tiers.
        tiers: Vec<Vec<String>>,
    },
    /// The user asks for the numbers of a swarm (BEP 48).
    Scrape {
        /// Of which torrent.
        torrent: TorrentId,
    },
    /// The program ends: the trackers are told, and [`Output::ShutDown`] says when that is done or given up.
    Shutdown,
}

/// What a session wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Peers of a torrent became known. It is active.
    Peers {
        /// Of which torrent.
        torrent: TorrentId,
        /// Where they are.
        endpoints: Vec<PeerEndpoint>,
    },
    /// The client of trackers wants something done or known.
    Tracker(client::Output),
    /// After [`Input::Shutdown`]: the trackers are told, or the time for it is over.
    ShutDown,
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
pub(crate) struct Record {
    info_hash: InfoHash,
    pub(crate) paused: bool,
    state: State,
    pub(crate) role: Role,
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
    pub(crate) settings: Settings,
    pub(crate) torrents: Map<TorrentId, Record>,
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
    pub(crate) announcing: Announcing,
    pub(crate) timers: Deadlines<Timer>,
    pub(crate) outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    Announce,
    Feed,
    Sleep(TorrentId),
}

impl Session {
    /// A session without torrents.
    #[must_use]
    pub fn new(now: Instant, seed: Seed, settings: Settings) -> Self {
        let mut rng = Rng::new(seed);
        let key = MapKey::new(&mut rng);
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
            announcing: Announcing::new(key, rng.fork(), settings.trackers.clone()),
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

    /// Whether a torrent may learn of peers from its trackers only (BEP 27).
    #[must_use]
    pub fn is_private(&self, torrent: TorrentId) -> bool {
        self.torrents.get(&torrent).is_some_and(|record| record.role.private)
    }

    /// The trackers of a torrent, and how they are doing.
    pub fn trackers(&self, torrent: TorrentId) -> impl Iterator<Item = client::TrackerStatus> + '_ {
        self.announcing.client.trackers(torrent)
    }

    /// Whether a torrent has a swarm.
    #[must_use]
    pub fn is_active(&self, torrent: TorrentId) -> bool {
        self.active.contains(&torrent)
    }

    fn change_settings(&mut self, now: Instant, settings: Settings) {
        let limits = [settings.download_limit, settings.upload_limit];
        if settings.trackers != self.settings.trackers {
            self.tell_trackers(now, client::Input::Settings(settings.trackers.clone()));
        }
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

    pub(crate) fn activate(&mut self, torrent: TorrentId) {
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
        self.role_activated(now, torrent);
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
            Input::Add { torrent, info_hash, trackers, private, paused, finished } => {
                let (state, role) = (State::Dormant, Role::new(private, finished));
                let record = Record { info_hash, paused, state, role, limits: [None; 2] };
                self.torrents.insert(torrent, record);
                if let Some(v1) = info_hash.v1() {
                    self.by_hash.insert(v1, torrent);
                }
                self.tell_trackers(now, client::Input::Add { torrent, info_hash, tiers: trackers });
                if finished {
                    self.run(now, torrent);
                }
            }
            Input::Remove { torrent } => {
                self.tell_trackers(now, client::Input::Remove { torrent });
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
            // It is announced when it is loaded: before, nobody knows how much of it is there.
            Input::Wake { torrent } => self.activate(torrent),
            Input::Pause { torrent, paused } => {
                if let Some(record) = self.torrents.get_mut(&torrent) {
                    record.paused = paused;
                    self.role_paused(now, torrent);
                }
            }
            Input::Activated { torrent } => self.activated(now, torrent),
            Input::Deactivated { torrent } => self.deactivated(now, torrent),
            Input::Incoming { connection, info_hash } => self.incoming(connection, info_hash),
            Input::Demand { torrent, demand } => {
                self.demand(now, torrent, demand);
                self.role_demands(now, torrent, demand.finished);
            }
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
            Input::Identity { peer_id, port } => {
                self.tell_trackers(now, client::Input::Identity { peer_id, port });
            }
            Input::Totals { torrent, uploaded, downloaded, left } => {
                let want = self.peers_wanted(torrent);
                let totals = client::Totals { uploaded, downloaded, left, want };
                self.tell_trackers(now, client::Input::Totals { torrent, totals });
            }
            Input::HttpDone { job, result } => {
                self.tell_trackers(now, client::Input::HttpDone { job, result })
            }
            Input::Resolved { job, result } => {
                self.tell_trackers(now, client::Input::Resolved { job, result })
            }
            Input::Datagram { from, payload } => {
                self.tell_trackers(now, client::Input::Datagram { from, payload });
            }
            Input::Reannounce { torrent, ignore_min_interval } => {
                self.tell_trackers(now, client::Input::Reannounce { torrent, ignore_min_interval });
            }
            Input::AddTracker { torrent, url, tier } => {
                self.tell_trackers(now, client::Input::AddTracker { torrent, url, tier });
            }
            Input::RemoveTracker { torrent, url } => {
                self.tell_trackers(now, client::Input::RemoveTracker { torrent, url });
            }
            Input::ReplaceTrackers { torrent, tiers } => {
                self.tell_trackers(now, client::Input::ReplaceTrackers { torrent, tiers });
            }
            Input::Scrape { torrent } => self.tell_trackers(now, client::Input::Scrape { torrent }),
            Input::Shutdown => self.shut_down(now),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Announce => self.announce_due(now),
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
