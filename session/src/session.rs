//! The decisions that concern the whole client.

use std::collections::{BTreeSet, VecDeque};

use core::net::IpAddr;
use core::time::Duration;

use downpour_base::{
    ConnectionId, Deadlines, InfoHash, InfoHashV1, Instant, Machine, Map, MapKey, PeerEndpoint, Rng, Seed,
    TorrentId,
};
use downpour_swarm::{Allowance, Budget, Demand, Direction};
use downpour_tracker::client;

use crate::announce::{Announcing, Role};
use crate::limits::MAX_WAITING;
use crate::queue::Queue;
use crate::visitors::Visitors;
use crate::{Input, Output, RefuseReason, SeedingGoal, Settings, TokenBucket};

/// How often hungry torrents are fed when there is a limit.
const FEEDING_INTERVAL: Duration = Duration::from_millis(50);

/// What is kept of each torrent: all that is kept of a dormant one.
#[derive(Debug)]
pub(crate) struct Record {
    info_hash: InfoHash,
    pub(crate) paused: bool,
    pub(crate) state: State,
    pub(crate) role: Role,
    /// Its place in the queue.
    pub(crate) place: i64,
    pub(crate) auto_managed: bool,
    /// Whether the user wants it to run.
    pub(crate) wanted: bool,
    pub(crate) queued: bool,
    /// Whether it was finished when last heard of.
    pub(crate) finished: bool,
    pub(crate) goal: Option<SeedingGoal>,
    /// Whether its goal is reached, and whether the user wants it seeded all the same.
    pub(crate) done: bool,
    pub(crate) goal_waived: bool,
    pub(crate) ratio_told: Option<u32>,
    pub(crate) seeding_since: Option<Instant>,
    pub(crate) seeded: Duration,
    /// Limits of its own, for [`Direction::Download`] and [`Direction::Upload`].
    limits: [Option<TokenBucket>; 2],
}

impl Record {
    /// Whether the user, the queue or a reached goal keeps it from running.
    pub(crate) fn is_stopped(&self) -> bool {
        self.paused || self.queued || self.done
    }
}

#[derive(Debug)]
pub(crate) enum State {
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
        since: Instant,
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
    pub(crate) active: BTreeSet<TorrentId>,
    pub(crate) queue: Queue,
    /// How many torrents wait, and when the queue is looked at next.
    pub(crate) queued: u32,
    pub(crate) manage_at: Option<Instant>,
    visitors: Visitors,
    external: [Option<IpAddr>; 2],
    /// Sums over the active torrents.
    connections: u32,
    interested_torrents: u32,
    unfinished_torrents: u32,
    /// What each active torrent was told that it may have.
    budget: Budget,
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
    SeedTime(TorrentId),
    Manage,
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
            queue: Queue::default(),
            queued: 0,
            manage_at: None,
            visitors: Visitors::new(key),
            external: [None; 2],
            connections: 0,
            interested_torrents: 0,
            unfinished_torrents: 0,
            budget: Budget { upload_slots: 0, connections: 0, connections_per_address: 0, memory_bytes: 0 },
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
        let all: Vec<TorrentId> = self.torrents.keys().copied().collect();
        all.into_iter().for_each(|torrent| self.set_goal(torrent));
        self.manage_soon(now, Duration::ZERO);
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

    /// Tells the active torrents their budget if it changed, and returns whether it did. The shares move in steps, so that
    /// most changes of demand change nothing here.
    fn share(&mut self) -> bool {
        let active = self.active.len() as u32;
        let connections = (self.settings.connections / active.max(1)).max(1);
        let slots = (self.settings.upload_slots / self.interested_torrents.max(1)).max(1);
        let memory =
            self.settings.memory_bytes / u64::from(self.unfinished_torrents.max(1).next_power_of_two());
        let new = Budget {
            upload_slots: if self.settings.upload_slots == 0 { 0 } else { slots },
            connections: connections.min(self.settings.connections_per_torrent),
            connections_per_address: self.settings.connections_per_address,
            memory_bytes: memory,
        };
        if new == self.budget {
            return false;
        }
        self.budget = new;
        let told = self.active.iter().map(|torrent| Output::Budget { torrent: *torrent, budget: new });
        self.outputs.extend(told);
        true
    }

    fn demand(&mut self, now: Instant, torrent: TorrentId, demand: Demand) {
        let Some(Record { state: State::Active { demand: old, .. }, .. }) = self.torrents.get_mut(&torrent)
        else {
            return;
        };
        // Two threads may tell of two changes in the wrong order.
        if demand.number < old.number {
            return;
        }
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
        if (old.finished, old.slow) != (demand.finished, demand.slow) {
            self.torrents_changed(now);
        }
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
        let demand = Demand { slow: true, ..Demand::default() };
        let active = State::Active { demand, since: now };
        let State::Waking(waiting) = std::mem::replace(&mut record.state, active) else { return };
        if record.done {
            // It was seeded long enough while it was loaded.
            record.state = State::Sleeping { wake: false, waiting };
            return self.outputs.push_back(Output::Deactivate { torrent });
        }
        self.active.insert(torrent);
        self.unfinished_torrents += 1;
        self.start_flow(torrent);
        if !self.share() {
            self.outputs.push_back(Output::Budget { torrent, budget: self.budget });
        }
        // A torrent that nobody needs after all goes back to sleep.
        self.timers.set(Timer::Sleep(torrent), None);
        self.demand(now, torrent, demand);
        if let Some(record) = self.torrents.get_mut(&torrent) {
            record.ratio_told = None;
        }
        self.set_goal(torrent);
        self.torrents_changed(now);
        for address in self.external.into_iter().flatten() {
            self.outputs.push_back(Output::ExternalAddress { torrent, address });
        }
        for connection in waiting {
            self.outputs.push_back(Output::Attach { connection, torrent });
        }
        self.role_activated(now, torrent);
    }

    /// Takes a torrent out of all sums.
    fn leave(&mut self, now: Instant, torrent: TorrentId) {
        let none = Demand { finished: true, slow: true, number: u64::MAX, ..Demand::default() };
        self.demand(now, torrent, none);
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
            State::Waking(waiting) => {
                // It is not tried again before the user wants it.
                record.wanted = false;
                self.refuse(waiting);
                self.set_queued(now, torrent, false);
                self.torrents_changed(now);
            }
            State::Sleeping { waiting, .. } => self.refuse(waiting),
            State::Dormant | State::Active { .. } => {}
        }
    }

    fn refuse(&mut self, waiting: Vec<ConnectionId>) {
        for connection in waiting {
            self.outputs.push_back(Output::Refuse { connection, reason: RefuseReason::NotLoaded });
        }
    }

    /// Somebody opened a connection to us. If it is not to be closed at once, [`Input::Incoming`] or
    /// [`Input::Closed`] tells what becomes of it.
    ///
    /// # Errors
    /// If it is to be closed: that address calls too often, or too many connections have yet to say what for they are. An
    /// [`Event::ConnectionRefused`](crate::Event::ConnectionRefused) tells of it.
    pub fn admit(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        endpoint: PeerEndpoint,
    ) -> Result<(), RefuseReason> {
        let admitted = self.visitors.admit(now, connection, endpoint, self.settings.incoming_per_minute);
        if let Err(reason) = admitted {
            let event = self.visitors.refused(now, endpoint, reason);
            self.outputs.extend(event.map(Output::Event));
        }
        admitted
    }

    fn incoming(&mut self, now: Instant, connection: ConnectionId, info_hash: InfoHashV1) {
        let endpoint = self.visitors.arrived(connection);
        if let Some(reason) = self.route(connection, info_hash) {
            self.outputs.push_back(Output::Refuse { connection, reason });
            let event = endpoint.and_then(|endpoint| self.visitors.refused(now, endpoint, reason));
            self.outputs.extend(event.map(Output::Event));
        }
    }

    /// Brings a connection to its torrent, or says why not.
    fn route(&mut self, connection: ConnectionId, info_hash: InfoHashV1) -> Option<RefuseReason> {
        let Some(torrent) = self.find(info_hash) else {
            return Some(RefuseReason::UnknownTorrent);
        };
        if self.connections >= self.settings.connections {
            return Some(RefuseReason::TooManyConnections);
        }
        let record = self.torrents.get(&torrent)?;
        if record.paused {
            return Some(RefuseReason::Paused);
        }
        if record.done {
            return Some(RefuseReason::SeedingDone);
        }
        let active = self.active.contains(&torrent);
        if record.queued || (record.auto_managed && !active && !self.has_seed_slot()) {
            return Some(RefuseReason::Queued);
        }
        self.activate(torrent);
        let record = self.torrents.get_mut(&torrent)?;
        record.wanted = true;
        match Some(&mut record.state) {
            Some(State::Active { .. }) => self.outputs.push_back(Output::Attach { connection, torrent }),
            Some(State::Waking(waiting) | State::Sleeping { waiting, .. }) if waiting.len() < MAX_WAITING => {
                waiting.push(connection);
            }
            _ => return Some(RefuseReason::TooManyConnections),
        }
        None
    }

    pub(crate) fn sleep(&mut self, now: Instant, torrent: TorrentId) {
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
                let place = self.queue.push(torrent);
                let record = Record {
                    info_hash,
                    paused,
                    state: State::Dormant,
                    role: Role::new(private),
                    place,
                    auto_managed: true,
                    wanted: false,
                    queued: false,
                    finished,
                    goal: None,
                    done: false,
                    goal_waived: false,
                    ratio_told: None,
                    seeding_since: None,
                    seeded: Duration::ZERO,
                    limits: [None; 2],
                };
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
                self.forget_announcing(now, torrent);
                self.sleep(now, torrent);
                self.set_queued(now, torrent, false);
                self.timers.set(Timer::SeedTime(torrent), None);
                let Some(record) = self.torrents.remove(&torrent) else { return };
                self.queue.remove(record.place);
                self.torrents_changed(now);
                if let Some(v1) = record.info_hash.v1() {
                    self.by_hash.remove(&v1);
                }
                // Who waits for it to wake up waits in vain.
                if let State::Waking(waiting) | State::Sleeping { waiting, .. } = record.state {
                    self.refuse(waiting);
                }
            }
            // It is announced when it is loaded: before, nobody knows how much of it is there.
            Input::Wake { torrent } => self.wake(now, torrent),
            Input::Pause { torrent, paused } => {
                if let Some(record) = self.torrents.get_mut(&torrent) {
                    record.paused = paused;
                    let seeding = record.finished && !paused;
                    if paused {
                        self.set_queued(now, torrent, false);
                    }
                    self.set_seeding(now, torrent, seeding);
                    self.torrents_changed(now);
                    self.start_or_stop_announcing(now, torrent);
                }
            }
            Input::Closed { connection } => {
                self.visitors.arrived(connection);
            }
            Input::AutoManage { torrent, on } => {
                if let Some(record) = self.torrents.get_mut(&torrent) {
                    record.auto_managed = on;
                    if !on && record.queued {
                        self.set_queued(now, torrent, false);
                        self.activate(torrent);
                    }
                    self.manage_soon(now, Duration::ZERO);
                }
            }
            Input::MoveInQueue { torrent, to } => self.move_in_queue(now, torrent, to),
            Input::SeedingGoal { torrent, goal } => {
                self.change_goal(now, torrent, goal);
            }
            Input::SeedRatioReached { torrent } => {
                if self.active.contains(&torrent) {
                    // The demand that says so too may come after this.
                    if let Some(record) = self.torrents.get_mut(&torrent) {
                        record.finished = true;
                    }
                    self.role_demands(now, torrent, true);
                }
                self.goal_reached(now, torrent);
            }
            Input::ExternalAddress(address) => {
                let slot = &mut self.external[usize::from(address.to_canonical().is_ipv6())];
                if slot.replace(address) != Some(address) {
                    for torrent in &self.active {
                        let torrent = *torrent;
                        self.outputs.push_back(Output::ExternalAddress { torrent, address });
                    }
                }
            }
            Input::Activated { torrent } => self.activated(now, torrent),
            Input::Deactivated { torrent } => self.deactivated(now, torrent),
            Input::Incoming { connection, info_hash } => self.incoming(now, connection, info_hash),
            Input::Demand { torrent, demand } => {
                self.demand(now, torrent, demand);
                if let Some(Record { state: State::Active { demand, .. }, finished, paused, .. }) =
                    self.torrents.get_mut(&torrent)
                {
                    *finished = demand.finished;
                    let (finished, seeding) = (demand.finished, demand.finished && !*paused);
                    self.set_seeding(now, torrent, seeding);
                    self.role_demands(now, torrent, finished);
                }
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
                Timer::SeedTime(torrent) => self.goal_reached(now, torrent),
                Timer::Manage => self.manage(now),
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
