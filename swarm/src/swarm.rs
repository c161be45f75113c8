//! The machine: who comes, what is said, what is due.

use core::net::IpAddr;
use std::collections::{BTreeSet, VecDeque};

use downpour_base::{
    Bitfield, ConnectionId, Deadlines, Instant, Machine, Map, MapKey, PeerEndpoint, PeerId, Rng, Set,
};
use downpour_picker::{Choker, Picker, Priority};
use downpour_wire::Message;

use crate::candidates::{Candidates, Release};
use crate::disk::Stores;
use crate::limits::MAX_QUEUED_MESSAGES;
use crate::pace::Pace;
use crate::peer::Peer;
use crate::totals::Memory;
use crate::{
    Allowance, Budget, CloseReason, Command, Config, Demand, Direction, Event, Geometry, Input, Output,
    Transmit,
};

/// One active torrent.
///
/// The driver puts in what happens ([`Input`]) and carries out what comes out ([`Output`]). What goes to a peer is
/// pulled: when an [`Output::Wake`] names a connection, or after its socket was read or became writable, the driver
/// calls [`poll_transmit`](Self::poll_transmit) for as long as it can take more.
///
/// A swarm starts [`Budget`]-less: it dials and unchokes nobody before the session granted it something.
#[derive(Debug)]
pub struct Swarm<P> {
    pub(crate) config: Config,
    pub(crate) torrent: Option<Picker>,
    pub(crate) peers: Map<ConnectionId, Peer>,
    pub(crate) by_peer_id: Map<PeerId, ConnectionId>,
    /// How many peers are connected at each address.
    pub(crate) at_address: Map<IpAddr, u32>,
    /// Who gives way first: the useless, and of those alike the lowest canonical priority.
    pub(crate) ranks: BTreeSet<(bool, u32, ConnectionId)>,
    /// Whether the turnover timer is set.
    pub(crate) turning_over: bool,
    pub(crate) memory: Memory,
    pub(crate) candidates: Candidates,
    pub(crate) dialling: Set<PeerEndpoint>,
    pub(crate) timers: Deadlines<Timer>,
    pub(crate) outputs: VecDeque<Output<P>>,
    pub(crate) stores: Stores<P>,
    pub(crate) choker: Choker,
    pub(crate) budget: Budget,
    pub(crate) paused: bool,
    pub(crate) finished: bool,
    /// Who could ask for more if there were memory, and who if there were blocks.
    pub(crate) short_of_memory: BTreeSet<ConnectionId>,
    pub(crate) short_of_blocks: BTreeSet<ConnectionId>,
    /// Peers that do not read what they are told.
    pub(crate) deaf: BTreeSet<ConnectionId>,
    pub(crate) download: Flow,
    pub(crate) upload: Flow,
    /// Peers that want data from us.
    pub(crate) interested: BTreeSet<ConnectionId>,
    pub(crate) unchoked: u32,
    pub(crate) wasted: u64,
    /// Whether pieces were stored since the last checkpoint.
    pub(crate) unsaved: bool,
    pub(crate) pace: Pace,
    /// In thousandths.
    pub(crate) seed_ratio: Option<u32>,
    demand: Demand,
}

/// What wants to be woken. The order is that of service when several are due at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    Peer(ConnectionId),
    Rechoke,
    Dial,
    Checkpoint,
    DiskProbe,
    Turnover,
    Pace,
}

/// One direction of payload.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    pub(crate) rate: crate::rate::Rate,
    /// What may still flow; below zero is debt. `None`: no limit.
    pub(crate) left: Option<i64>,
    /// Who waits for more.
    pub(crate) waiting: BTreeSet<ConnectionId>,
}

impl<P> Swarm<P> {
    /// A swarm without peers; without `geometry`, one that has yet to learn the metadata.
    #[must_use]
    pub fn new(config: Config, geometry: Option<&Geometry>) -> Self {
        let mut rng = Rng::new(config.seed);
        let key = MapKey::new(&mut rng);
        let choker = Choker::new(rng.fork());
        let candidates = Candidates::new(key, &mut rng, config.listen_port);
        let mut swarm = Self {
            config,
            torrent: None,
            peers: key.map(),
            by_peer_id: key.map(),
            at_address: key.map(),
            ranks: BTreeSet::new(),
            turning_over: false,
            memory: Memory::new(key),
            candidates,
            dialling: key.set(),
            timers: Deadlines::new(key),
            outputs: VecDeque::new(),
            stores: Stores::new(key),
            choker,
            budget: Budget { upload_slots: 0, connections: 0, connections_per_address: 1, memory_bytes: 0 },
            paused: false,
            finished: false,
            short_of_memory: BTreeSet::new(),
            short_of_blocks: BTreeSet::new(),
            deaf: BTreeSet::new(),
            download: Flow::default(),
            upload: Flow::default(),
            interested: BTreeSet::new(),
            unchoked: 0,
            wasted: 0,
            unsaved: false,
            pace: Pace::default(),
            seed_ratio: None,
            demand: Demand { slow: true, ..Demand::default() },
        };
        if let Some(geometry) = geometry {
            swarm.set_geometry(geometry);
        }
        swarm
    }

    pub(crate) fn set_geometry(&mut self, geometry: &Geometry) {
        // The picker's sequence must not depend on when the metadata came.
        let mut rng = Rng::new(self.config.seed);
        let seed = { (rng.fork(), rng.fork()).1 };
        let mut picker = Picker::new(geometry.total_length, geometry.piece_length, seed);
        if let Ok(have) = Bitfield::from_bytes(&geometry.have, picker.piece_count()) {
            have.iter().for_each(|piece| picker.piece_passed(piece));
        }
        self.finished = picker.is_finished();
        self.torrent = Some(picker);
    }

    /// What to send to `connection` next, `None` when there is nothing for now.
    pub fn poll_transmit(&mut self, now: Instant, connection: ConnectionId) -> Option<Transmit> {
        if self.peers.get(&connection)?.control.is_empty() {
            self.request_more(now, connection);
        }
        let peer = self.peers.get_mut(&connection)?;
        if let Some(message) = peer.control.pop_front() {
            return Some(Transmit::Message(message));
        }
        if let Some(block) = self.next_upload(now, connection) {
            return Some(Transmit::Block(block));
        }
        self.peers.get_mut(&connection)?.woken = false;
        None
    }

    /// How many of `wanted` bytes may be read from `connection` now; they count as read. At zero, an
    /// [`Output::Wake`] tells when to try again.
    pub fn reserve_read(&mut self, connection: ConnectionId, wanted: u32) -> u32 {
        let Some(left) = self.download.left.as_mut() else { return wanted };
        let granted = (*left).clamp(0, i64::from(wanted)) as u32;
        *left = left.saturating_sub(i64::from(granted));
        if granted == 0 {
            if self.download.waiting.is_empty() {
                self.outputs.push_back(Output::Starved { direction: Direction::Download });
            }
            self.download.waiting.insert(connection);
            // A driver that cannot write does not poll to the end, and must be woken to read all the same.
            if let Some(peer) = self.peers.get_mut(&connection) {
                peer.woken = false;
            }
        }
        granted
    }

    /// Gives back what [`reserve_read`](Self::reserve_read) granted and the socket did not have.
    pub fn return_read(&mut self, unused: u32) {
        if let Some(left) = self.download.left.as_mut() {
            *left = left.saturating_add(i64::from(unused));
        }
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Tells the driver to poll `connection`, once until it did. One that is no peer yet may wait to read its
    /// handshake.
    pub(crate) fn wake(&mut self, connection: ConnectionId) {
        let woken =
            self.peers.get_mut(&connection).is_some_and(|peer| std::mem::replace(&mut peer.woken, true));
        if !woken {
            self.outputs.push_back(Output::Wake { connection });
        }
    }

    pub(crate) fn wake_all(&mut self, connections: BTreeSet<ConnectionId>) {
        connections.into_iter().for_each(|connection| self.wake(connection));
    }

    /// Queues a message for `connection`.
    pub(crate) fn tell(&mut self, connection: ConnectionId, message: Message) {
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        if peer.control.len() >= MAX_QUEUED_MESSAGES {
            // Closed at the end of this input, since whoever calls this may be going through all peers.
            self.deaf.insert(connection);
            return;
        }
        peer.control.push_back(message);
        self.wake(connection);
    }

    pub(crate) fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Pause => {
                self.paused = true;
                self.timers.set(Timer::DiskProbe, None);
                let everybody: BTreeSet<ConnectionId> = self.peers.keys().copied().collect();
                everybody.into_iter().for_each(|connection| self.close(now, connection, CloseReason::Paused));
            }
            Command::Resume => {
                self.paused = false;
                self.probe_disk(now);
                self.dial(now);
            }
            Command::SetPiecePriority { piece, priority } => {
                self.change_wishes(now, |picker| picker.set_priority(piece, Priority::new(priority)));
            }
            Command::SetPiecePriorities(priorities) => self.change_wishes(now, |picker| {
                picker.set_priorities(priorities.into_iter().map(Priority::new));
            }),
            Command::SetPieceDeadline { piece, deadline } => {
                self.change_wishes(now, |picker| picker.set_deadline(piece, deadline));
            }
            Command::SetSequential(on) => self.change_wishes(now, |picker| picker.set_sequential(on)),
            Command::PieceLost(piece) => self.change_wishes(now, |picker| picker.piece_lost(piece)),
            Command::SendExtended { connection, extension, payload } => {
                self.tell(connection, Message::Extended { extension, payload });
            }
        }
    }

    fn change_wishes(&mut self, now: Instant, change: impl FnOnce(&mut Picker)) {
        let Some(picker) = &mut self.torrent else { return };
        change(picker);
        let finished = picker.is_finished();
        self.update_all_interest();
        self.set_finished(now, finished);
        let waiting = std::mem::take(&mut self.short_of_blocks);
        self.wake_all(waiting);
    }

    /// Everything that is wanted is here, or is so no longer.
    pub(crate) fn set_finished(&mut self, now: Instant, finished: bool) {
        if std::mem::replace(&mut self.finished, finished) == finished {
            return;
        }
        if finished {
            self.checkpoint();
            self.event(Event::Finished);
            self.check_seed_ratio();
        } else {
            self.candidates.recall_seeds();
            self.dial(now);
        }
        let everybody: BTreeSet<ConnectionId> = self.peers.keys().copied().collect();
        for connection in everybody {
            self.tell(connection, Message::ExtensionHandshake(self.extension_handshake(None)));
            self.close_if_useless(now, connection);
        }
    }

    fn allow(&mut self, direction: Direction, allowance: Allowance) {
        let flow = match direction {
            Direction::Download => &mut self.download,
            Direction::Upload => &mut self.upload,
        };
        flow.left = match allowance {
            Allowance::Unlimited => None,
            Allowance::Bytes(more) => {
                let more = i64::try_from(more).unwrap_or(i64::MAX);
                Some(flow.left.unwrap_or(0).saturating_add(more))
            }
        };
        if flow.left.is_none_or(|left| left > 0) {
            let waiting = std::mem::take(&mut flow.waiting);
            self.wake_all(waiting);
        } else if !flow.waiting.is_empty() {
            // The allowance did not cover the debt of the last block.
            self.outputs.push_back(Output::Starved { direction });
        }
    }

    /// What every input and timeout ends with.
    fn settle(&mut self, now: Instant) {
        for connection in std::mem::take(&mut self.deaf) {
            if self.peers.contains_key(&connection) {
                self.close(now, connection, CloseReason::NotReading);
            }
        }
        self.report_demand();
    }

    fn report_demand(&mut self) {
        let mut demand = Demand {
            number: self.demand.number,
            slow: self.pace.is_slow(),
            interested: self.interested.len() as u32,
            connections: (self.peers.len() + self.dialling.len()) as u32,
            finished: self.finished,
        };
        if demand != self.demand {
            demand.number += 1;
            self.demand = demand;
            self.outputs.push_back(Output::Demand(demand));
        }
    }
}

impl<P> Machine for Swarm<P> {
    type Input = Input<P>;
    type Output = Output<P>;

    fn handle_input(&mut self, now: Instant, input: Input<P>) {
        match input {
            Input::Connected { connection, endpoint, outgoing, peer_id, fast, extensions } => {
                let peer = Peer::new(now, endpoint, outgoing, peer_id, fast);
                self.connected(now, connection, peer, extensions);
            }
            Input::Message { connection, message } => self.message(now, connection, message),
            Input::Block { connection, block, payload } => self.block(now, connection, block, payload),
            Input::Disconnected { connection, misbehaved } => self.remove_peer(now, connection, misbehaved),
            Input::DialFailed { endpoint } => {
                self.dialling.remove(&endpoint);
                self.candidates.release(now, endpoint, Release::Ended);
                self.dial(now);
            }
            Input::Peers { endpoints, source } => {
                if !self.config.private || source.is_allowed_in_private() {
                    endpoints.into_iter().for_each(|endpoint| self.candidates.add(now, endpoint, source));
                    self.dial(now);
                }
            }
            Input::Stored { job, result, digests } => self.stored(now, job, result, digests),
            Input::NotStored { job, failure, blocks } => self.not_stored(now, job, failure, blocks),
            Input::ReadFailed { connection, block } => {
                self.close(now, connection, CloseReason::ReadFailed);
                self.command(now, Command::PieceLost(block.piece));
            }
            Input::Metadata(geometry) => self.metadata(now, &geometry),
            Input::Budget(budget) => {
                self.budget = budget;
                self.fill_slots(now);
                self.dial(now);
                let waiting = std::mem::take(&mut self.short_of_memory);
                self.wake_all(waiting);
            }
            Input::Allowance { direction, allowance } => self.allow(direction, allowance),
            Input::ExternalAddress(address) => self.set_own_address(address),
            Input::SeedRatio(ratio) => {
                self.seed_ratio = ratio;
                self.check_seed_ratio();
            }
            Input::Command(command) => self.command(now, command),
        }
        self.settle(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Peer(connection) => self.look_at(now, connection),
                Timer::Rechoke => self.rechoke(now),
                Timer::Dial => self.dial(now),
                Timer::Checkpoint => self.checkpoint(),
                Timer::DiskProbe => self.probe_disk(now),
                Timer::Turnover => self.turn_over(now),
                Timer::Pace => self.measure_pace(now),
            }
        }
        self.settle(now);
    }

    fn poll_output(&mut self) -> Option<Output<P>> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }
}
