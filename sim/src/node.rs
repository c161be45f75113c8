//! One client: its machines, its connections, its line and its disk.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use downpour_base::{ConnectionId, InfoHash, Instant, Machine, PeerEndpoint, PeerId, Rng, Seed, TorrentId};
use downpour_session::{Input as SessionInput, Link, LinkState, Next, Session};
use downpour_swarm::{Budget, Input, Recorder, StoreResult};
use downpour_wire::{Config as WireConfig, Segment};

use crate::connection::Connection;
use crate::disk::Disk;
use crate::event::{Context, Event, NodeNumber, Socket};
use crate::network::{Downlink, Packet, SEND_BUFFER, Uplink, duration};
use crate::{NodeConfig, Token};

pub(crate) const PORT: u16 = 6881;
/// After how long a call to an address where nobody is fails.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What an active torrent holds.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) swarm: Recorder<Token>,
    /// The last that the session granted.
    pub(crate) budget: Option<Budget>,
    pub(crate) armed: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) number: NodeNumber,
    pub(crate) config: NodeConfig,
    pub(crate) peer_id: PeerId,
    pub(crate) session: Session,
    session_armed: Option<Instant>,
    pub(crate) active: BTreeMap<TorrentId, Active>,
    pub(crate) connections: BTreeMap<ConnectionId, Connection>,
    next_connection: u64,
    pub(crate) disk: Disk,
    pub(crate) uplink: Uplink,
    downlink: Downlink,
    pub(crate) payload_received: u64,
    /// Whom the user named.
    pub(crate) introduced: BTreeMap<TorrentId, Vec<PeerEndpoint>>,
    pub(crate) finished: BTreeMap<TorrentId, Instant>,
    pub(crate) banned: Vec<PeerEndpoint>,
    pub(crate) calls: u64,
    pub(crate) recordings: BTreeMap<TorrentId, Vec<u8>>,
    pub(crate) rng: Rng,
    /// It is switched off.
    pub(crate) gone: bool,
    pub(crate) todo: VecDeque<Next<Token>>,
    /// Connections that have something to do.
    runnable: VecDeque<ConnectionId>,
}

impl Node {
    pub(crate) fn new(now: Instant, number: NodeNumber, config: NodeConfig, seed: Seed) -> Self {
        let mut rng = Rng::new(seed);
        let mut peer_id = PeerId(*b"-DP0100-            ");
        rng.fill(&mut peer_id.0[8..]);
        let session = Session::new(now, rng.fork(), config.settings.clone());
        Self {
            number,
            config,
            peer_id,
            session,
            session_armed: None,
            active: BTreeMap::new(),
            connections: BTreeMap::new(),
            next_connection: 0,
            disk: Disk::default(),
            uplink: Uplink::default(),
            downlink: Downlink::default(),
            payload_received: 0,
            introduced: BTreeMap::new(),
            finished: BTreeMap::new(),
            banned: Vec::new(),
            calls: 0,
            recordings: BTreeMap::new(),
            rng,
            gone: false,
            todo: VecDeque::new(),
            runnable: VecDeque::new(),
        }
    }

    /// An address of its own, in a network of its own.
    fn address(&self, port: u16) -> PeerEndpoint {
        let ip = Ipv4Addr::from(0x0a00_0001 + (self.number.0 << 8));
        PeerEndpoint::Tcp(SocketAddr::new(ip.into(), port))
    }

    /// Where it can be called.
    pub(crate) fn endpoint(&self) -> PeerEndpoint {
        self.address(PORT)
    }

    /// Lives through `event`, and everything that follows from it on this node.
    pub(crate) fn handle(&mut self, cx: &mut Context<'_>, event: Event) {
        if self.gone {
            return self.handle_gone(cx, &event);
        }
        match event {
            Event::Add { torrent, wake } => {
                let info_hash = InfoHash::V1(cx.torrents[&torrent].info_hash);
                let add = SessionInput::Add {
                    torrent,
                    info_hash,
                    trackers: Vec::new(),
                    private: false,
                    paused: false,
                    finished: false,
                };
                self.todo.push_back(Next::Session(add));
                if wake {
                    self.todo.push_back(Next::Session(SessionInput::Wake { torrent }));
                }
            }
            Event::SessionDue if self.session_armed == Some(cx.now) => {
                self.session_armed = None;
                self.with_session(cx, |session, now| session.handle_timeout(now));
            }
            Event::SwarmDue(torrent) => {
                if let Some(active) = self.active.get_mut(&torrent)
                    && active.armed == Some(cx.now)
                {
                    active.armed = None;
                    self.with_swarm(cx, torrent, |swarm, now| swarm.handle_timeout(now));
                }
            }
            Event::LinkDue(id) => {
                if let Some(connection) = self.connections.get_mut(&id)
                    && connection.armed == Some(cx.now)
                {
                    connection.armed = None;
                    self.wake(id);
                }
            }
            Event::DiskDone { torrent, piece, answer } => {
                if matches!(answer, Input::Stored { result: StoreResult::Stored, .. }) {
                    self.disk.written(torrent, piece);
                }
                self.todo.push_back(Next::Swarm(torrent, answer));
            }
            Event::UplinkFree => self.sent(cx),
            Event::Called { by, torrent, caller, endpoint } => {
                let connection = self.called(cx, by, caller);
                let peer = Socket { node: self.number, connection };
                let answered = Event::Answered { connection: by.connection, peer, torrent, endpoint };
                cx.events.schedule(cx.now + cx.delay(self.number, by.node), by.node, answered);
            }
            Event::Answered { connection, peer, torrent, endpoint } => {
                let info_hash = cx.torrents[&torrent].info_hash;
                let link = Link::outgoing(cx.now, connection, endpoint, self.wire_config(), info_hash);
                self.connections.insert(connection, Connection::new(link, peer, endpoint, Some(torrent)));
                self.wake(connection);
            }
            Event::Unanswered { torrent, endpoint } => {
                self.todo.push_back(Next::Swarm(torrent, Input::DialFailed { endpoint }));
            }
            Event::Arrived { connection, packet } => match self.config.downlink_bytes_per_second {
                Some(rate) => {
                    let at = self.downlink.pass(cx.now, packet.len(), rate);
                    cx.events.schedule(at, self.number, Event::Received { connection, packet });
                }
                None => self.received(connection, packet),
            },
            Event::Received { connection, packet } => self.received(connection, packet),
            Event::Acknowledged { connection: id, bytes } => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.acknowledged(bytes);
                    self.offer(cx, id);
                }
            }
            Event::Reset { connection } => self.disconnect(cx, connection),
            Event::SessionDue => {}
        }
        self.settle(cx);
    }

    /// Nobody answers a call to a machine that is switched off; a connection that it had dialled breaks.
    fn handle_gone(&mut self, cx: &mut Context<'_>, event: &Event) {
        match *event {
            Event::Called { by, torrent, endpoint, .. } => {
                let at = cx.now + CONNECT_TIMEOUT;
                cx.events.schedule(at, by.node, Event::Unanswered { torrent, endpoint });
            }
            Event::Answered { peer, .. } => self.reset(cx, peer),
            _ => {}
        }
    }

    /// Carries out everything there is to do, until nothing is left.
    pub(crate) fn settle(&mut self, cx: &mut Context<'_>) {
        loop {
            if let Some(next) = self.todo.pop_front() {
                self.carry(cx, next);
            } else if let Some(id) = self.runnable.pop_front() {
                self.turn(cx, id);
            } else {
                return;
            }
        }
    }

    /// Switches it off.
    pub(crate) fn leave(&mut self, cx: &mut Context<'_>) {
        let peers: Vec<Socket> = self.connections.values().map(|connection| connection.peer).collect();
        peers.into_iter().for_each(|peer| self.reset(cx, peer));
        self.connections.clear();
        self.active.clear();
        self.gone = true;
    }

    pub(crate) fn wire_config(&self) -> WireConfig {
        WireConfig::new(self.peer_id)
    }

    pub(crate) fn new_connection(&mut self) -> ConnectionId {
        self.next_connection += 1;
        ConnectionId(self.next_connection)
    }

    fn called(&mut self, cx: &Context<'_>, by: Socket, caller: PeerEndpoint) -> ConnectionId {
        self.calls += 1;
        let id = self.new_connection();
        let link = Link::incoming(cx.now, id, caller, self.wire_config());
        self.connections.insert(id, Connection::new(link, by, caller, None));
        self.wake(id);
        id
    }

    /// From where it calls: a port for each connection.
    pub(crate) fn calling_endpoint(&self, connection: ConnectionId) -> PeerEndpoint {
        self.address(20_000 + (connection.0 % 40_000) as u16)
    }

    /// Has `id` take a turn.
    pub(crate) fn wake(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id)
            && !std::mem::replace(&mut connection.woken, true)
        {
            self.runnable.push_back(id);
        }
    }

    fn received(&mut self, id: ConnectionId, packet: Packet) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.received(packet);
            self.wake(id);
        }
    }

    /// Reads, exchanges, writes: all that can be done now.
    fn turn(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.woken = false;
        connection.link.handle_timeout(cx.now);
        loop {
            self.route(id);
            self.write(cx, id);
            let Some(connection) = self.connections.get(&id) else { return };
            if connection.is_closed() {
                return self.disconnect(cx, id);
            }
            if !self.read(cx, id) {
                break;
            }
        }
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if let Some(at) = connection.link.poll_timeout()
            && connection.armed.is_none_or(|armed| at < armed)
        {
            connection.armed = Some(at);
            cx.events.schedule(at, self.number, Event::LinkDue(id));
        }
    }

    /// Asks the session whose an incoming connection is.
    fn route(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id)
            && let LinkState::Routing(info_hash) = connection.link.state()
            && !std::mem::replace(&mut connection.asked_session, true)
        {
            self.todo.push_back(Next::Session(SessionInput::Incoming { connection: id, info_hash }));
        }
    }

    /// Exchanges with the swarm and fills the send buffer, until it is full or there is nothing more to say.
    fn write(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        loop {
            let Some(connection) = self.connections.get_mut(&id) else { return };
            let room = connection.room() as usize;
            if let Some(torrent) = connection.torrent
                && !connection.is_handshaking()
            {
                connection.known_to_swarm = true;
                let Some(active) = self.active.get_mut(&torrent) else { return self.disconnect(cx, id) };
                connection.link.exchange(cx.now, &mut active.swarm, room);
                self.drain_swarm(cx, torrent);
            }
            let Some(connection) = self.connections.get_mut(&id) else { return };
            while connection.room() > 0
                && let Some(segment) = connection.link.poll_segment(cx.now)
            {
                let packet = match (segment, connection.torrent) {
                    (Segment::Bytes(bytes), _) => Packet::Bytes(bytes),
                    (Segment::Block { header, block }, Some(torrent)) => {
                        let percent = self.config.corrupts_percent;
                        let corrupt = percent > 0 && self.rng.below(100) < u64::from(percent);
                        let token = self.disk.read(torrent, block, corrupt);
                        Packet::Block { header, block, token }
                    }
                    (Segment::Block { block, .. }, None) => panic!("{block:?} for no torrent"),
                };
                connection.enqueue(packet);
            }
            let full = connection.room() == 0;
            let again = connection.link.was_cut_short();
            self.offer(cx, id);
            if full || !again {
                return;
            }
        }
    }

    /// Reads one packet, if there is one and the allowance lets it through.
    fn read(&mut self, cx: &mut Context<'_>, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        let Some(wanted) = connection.wanted_bytes() else { return false };
        let active = connection.torrent.and_then(|torrent| Some((torrent, self.active.get_mut(&torrent)?)));
        let granted = match active {
            Some((torrent, active)) => {
                let granted = active.swarm.reserve_read(id, wanted);
                self.drain_swarm(cx, torrent);
                granted
            }
            None => wanted,
        };
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        connection.grant(granted);
        if granted < wanted {
            // The rest of the allowance is gone: with none left, the swarm wakes the connection when there is more.
            return granted > 0;
        }
        let peer = connection.peer;
        let Some(packet) = connection.read(cx.now) else { return false };
        self.payload_received += u64::from(packet.payload_len());
        let acknowledged = Event::Acknowledged { connection: peer.connection, bytes: packet.len() };
        cx.events.schedule(cx.now + cx.delay(self.number, peer.node), peer.node, acknowledged);
        true
    }

    /// Lets the uplink send something of `id`, if there is something.
    fn offer(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id)
            && connection.can_send()
            && !std::mem::replace(&mut connection.in_turns, true)
        {
            self.uplink.turns.push_back(id);
        }
        self.send_next(cx);
    }

    fn send_next(&mut self, cx: &mut Context<'_>) {
        while self.uplink.sending.is_none()
            && let Some(id) = self.uplink.turns.pop_front()
        {
            let Some(connection) = self.connections.get_mut(&id) else { continue };
            connection.in_turns = false;
            if let Some(packet) = connection.dequeue() {
                let at = cx.now + duration(packet.len(), self.config.uplink_bytes_per_second);
                self.uplink.sending = Some((id, packet));
                cx.events.schedule(at, self.number, Event::UplinkFree);
            }
        }
    }

    /// The packet on the uplink is out.
    fn sent(&mut self, cx: &mut Context<'_>) {
        let Some((id, packet)) = self.uplink.sending.take() else { return };
        self.uplink.payload_bytes += u64::from(packet.payload_len());
        if let Some(connection) = self.connections.get(&id) {
            let peer = connection.peer;
            let arrived = Event::Arrived { connection: peer.connection, packet };
            cx.events.schedule(cx.now + cx.delay(self.number, peer.node), peer.node, arrived);
            if connection.room() > SEND_BUFFER / 2 {
                self.wake(id);
            }
        }
        self.offer(cx, id);
    }

    /// Ends a connection, as one closes a socket: what was not sent is not.
    pub(crate) fn disconnect(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else { return };
        self.reset(cx, connection.peer);
        let Some(torrent) = connection.torrent else { return };
        let input = if connection.known_to_swarm {
            Input::Disconnected { connection: id, misbehaved: connection.is_closed() }
        } else {
            Input::DialFailed { endpoint: connection.endpoint }
        };
        self.todo.push_back(Next::Swarm(torrent, input));
    }

    fn reset(&mut self, cx: &mut Context<'_>, peer: Socket) {
        let at = cx.now + cx.delay(self.number, peer.node);
        cx.events.schedule(at, peer.node, Event::Reset { connection: peer.connection });
    }

    pub(crate) fn with_session(&mut self, cx: &mut Context<'_>, call: impl FnOnce(&mut Session, Instant)) {
        call(&mut self.session, cx.now);
        while let Some(output) = self.session.poll_output() {
            self.todo.extend(downpour_session::after_session(output));
        }
        if let Some(at) = self.session.poll_timeout()
            && self.session_armed.is_none_or(|armed| at < armed)
        {
            self.session_armed = Some(at);
            cx.events.schedule(at, self.number, Event::SessionDue);
        }
    }

    pub(crate) fn with_swarm(
        &mut self,
        cx: &mut Context<'_>,
        torrent: TorrentId,
        call: impl FnOnce(&mut Recorder<Token>, Instant),
    ) {
        if let Some(active) = self.active.get_mut(&torrent) {
            call(&mut active.swarm, cx.now);
            self.drain_swarm(cx, torrent);
        }
    }

    fn drain_swarm(&mut self, cx: &mut Context<'_>, torrent: TorrentId) {
        let Some(active) = self.active.get_mut(&torrent) else { return };
        while let Some(output) = active.swarm.poll_output() {
            self.todo.extend(downpour_session::after_swarm(torrent, output));
        }
        if let Some(at) = active.swarm.poll_timeout()
            && active.armed.is_none_or(|armed| at < armed)
        {
            active.armed = Some(at);
            cx.events.schedule(at, self.number, Event::SwarmDue(torrent));
        }
    }
}
