//! One UDP socket with all its connections.

use std::collections::VecDeque;

use core::net::SocketAddr;
use core::time::Duration;

use bytes::Bytes;
use downpour_base::{Deadlines, Instant, Machine, MapKey, Rng, Seed};

use crate::Settings;
use crate::connection::{Connection, Context, Owner, State};
use crate::interface::{ConnectError, Datagram, Event, Info, Read, Statistics, StreamId, Transmit};
use crate::interface::{UnknownStream, WriteError};
use crate::limits::{MAX_BACKLOG, MAX_HALF_OPEN, MAX_QUEUED_RESETS, MAX_RESETS_PER_SECOND};
use crate::packet::{Header, Kind, Packet};
use crate::table::Table;
use crate::wrap::micros;

/// How many connection ids are tried for a new connection.
const MAX_ID_TRIES: usize = 16;

/// A uTP endpoint (BEP 29): thousands of connections on one UDP socket.
///
/// The driver puts in datagrams with [`handle_input`](Machine::handle_input), as many as the socket has, then drains
/// [`poll_output`](Machine::poll_output) and sends what [`poll_transmit`](Self::poll_transmit) gives while the socket
/// takes it: acknowledgements of packets that came together then go as one. Commands are methods; those that
/// make something to send take the time, and after them the driver polls as well.
#[derive(Debug)]
pub struct Endpoint {
    settings: Settings,
    rng: Rng,
    table: Table,
    deadlines: Deadlines<u32>,
    /// Slots of connections that have something to send; each stands here once.
    ready: VecDeque<u32>,
    events: VecDeque<Event>,
    /// The last incoming connections; most have been answered since.
    half_open: VecDeque<StreamId>,
    backlog: VecDeque<StreamId>,
    resets: VecDeque<(SocketAddr, Header)>,
    /// The second in which answers to unknown packets are counted, and how many there were.
    answered: (Instant, u32),
    /// Bytes in all receive buffers.
    held: usize,
    statistics: Statistics,
}

impl Endpoint {
    /// An endpoint without connections.
    #[must_use]
    pub fn new(seed: Seed, settings: Settings) -> Self {
        let mut rng = Rng::new(seed);
        let key = MapKey::new(&mut rng);
        Self {
            settings,
            rng,
            table: Table::new(key),
            deadlines: Deadlines::new(key),
            ready: VecDeque::new(),
            events: VecDeque::new(),
            half_open: VecDeque::new(),
            backlog: VecDeque::new(),
            resets: VecDeque::new(),
            answered: (Instant::ORIGIN, 0),
            held: 0,
            statistics: Statistics::default(),
        }
    }

    /// Changes the settings, for connections that there are too.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Opens a connection. What is written before [`Event::Connected`] is sent then.
    ///
    /// # Errors
    /// If there are too many connections, or `to` is no address.
    pub fn connect(&mut self, now: Instant, to: SocketAddr) -> Result<StreamId, ConnectError> {
        if to.port() == 0 || to.ip().is_unspecified() {
            return Err(ConnectError::Address(to));
        }
        if self.table.len() >= self.settings.max_connections {
            return Err(ConnectError::TooMany(self.settings.max_connections));
        }
        let receive_id = (0..MAX_ID_TRIES)
            .map(|_| self.rng.next_u32() as u16)
            .find(|&id| self.table.route(to, id).is_none())
            .ok_or(ConnectError::NoFreeId(to))?;
        let first = self.rng.next_u32() as u16;
        let connection = Connection::outgoing(now, to, receive_id, first, self.settings.link_mtu);
        let slot = self.table.insert(connection);
        self.settle(now, slot);
        Ok(self.table.id(slot))
    }

    /// The next incoming connection and who opened it. The peer's address is proven: it got our answer.
    pub fn accept(&mut self) -> Option<(StreamId, SocketAddr)> {
        while let Some(id) = self.backlog.pop_front() {
            let Some(connection) = self.table.find(id).and_then(|slot| self.table.get(slot)) else {
                continue;
            };
            connection.owner = Owner::Host;
            if connection.receiver.is_readable() {
                connection.readable_told = true;
                self.events.push_back(Event::Readable(id));
            }
            return Some((id, connection.remote));
        }
        None
    }

    /// Takes as much from the front of `data` as the send buffer has room for. If something is left,
    /// [`Event::Writable`] says when there is room again.
    ///
    /// # Errors
    /// If there is no such connection, or the host shut it down.
    pub fn write(&mut self, now: Instant, id: StreamId, data: &mut Bytes) -> Result<(), WriteError> {
        let slot = self.find(id)?;
        let capacity = self.settings.send_buffer_bytes;
        let Some(connection) = self.table.get(slot) else { return Ok(()) };
        if connection.sender.is_finishing() {
            return Err(WriteError::ShutDown(id));
        }
        let room = capacity.saturating_sub(connection.sender.unsent_bytes());
        let part = data.split_to(data.len().min(room));
        connection.write_blocked |= !data.is_empty();
        connection.sender.write(part);
        self.settle(now, slot);
        Ok(())
    }

    /// The next bytes from the peer, uncopied unless they are few.
    ///
    /// # Errors
    /// If there is no such connection.
    pub fn read(&mut self, now: Instant, id: StreamId) -> Result<Read, UnknownStream> {
        let slot = self.find(id)?;
        let (capacity, budget) = (self.settings.receive_buffer_bytes, self.budget());
        let Some(connection) = self.table.get(slot) else { return Ok(Read::Empty) };
        let chunk = connection.read(capacity, budget);
        let end = connection.receiver.is_complete();
        self.held = self.held.saturating_sub(chunk.as_ref().map_or(0, Bytes::len));
        self.settle(now, slot);
        Ok(match chunk {
            Some(chunk) => Read::Data(chunk),
            None if end => Read::End,
            None => Read::Empty,
        })
    }

    /// Says that nothing more will be written (FIN, after all that was). Reading goes on.
    ///
    /// # Errors
    /// If there is no such connection.
    pub fn shutdown(&mut self, now: Instant, id: StreamId) -> Result<(), UnknownStream> {
        let slot = self.find(id)?;
        if let Some(connection) = self.table.get(slot) {
            connection.sender.finish();
        }
        self.settle(now, slot);
        Ok(())
    }

    /// Gives a connection up in good order: what was written is still sent, then FIN; what comes is forgotten. The
    /// host hears nothing more of it.
    ///
    /// # Errors
    /// If there is no such connection.
    pub fn close(&mut self, now: Instant, id: StreamId) -> Result<(), UnknownStream> {
        let slot = self.find(id)?;
        if let Some(connection) = self.table.get(slot) {
            let before = connection.receiver.held();
            connection.abandon();
            let after = connection.receiver.held();
            self.held = self.held.saturating_sub(before) + after;
        }
        self.settle(now, slot);
        Ok(())
    }

    /// Gives a connection up at once: the peer gets a RESET.
    ///
    /// # Errors
    /// If there is no such connection.
    pub fn reset(&mut self, now: Instant, id: StreamId) -> Result<(), UnknownStream> {
        let slot = self.find(id)?;
        if let Some(connection) = self.table.get(slot) {
            let reset = (connection.remote, connection.reset(now));
            if connection.state != State::SynSent && self.resets.len() < MAX_QUEUED_RESETS {
                self.resets.push_back(reset);
            }
        }
        self.remove(slot);
        Ok(())
    }

    /// The system refused to send datagrams of `size` bytes for a connection: the link is narrower than the
    /// settings say. What was lost is sent again in time.
    pub fn refuse_size(&mut self, id: StreamId, size: usize) {
        if let Some(connection) = self.table.find(id).and_then(|slot| self.table.get(slot)) {
            connection.path.refused(u16::try_from(size).unwrap_or(u16::MAX));
        }
    }

    /// How a connection is doing.
    ///
    /// # Errors
    /// If there is no such connection.
    pub fn info(&mut self, id: StreamId) -> Result<Info, UnknownStream> {
        self.find(id).and_then(|slot| self.table.get(slot).map(|c| c.info()).ok_or(UnknownStream(id)))
    }

    /// Connections, those half open and those that only linger included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.table.len()
    }

    /// Payload in all receive buffers, in bytes.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held
    }

    /// What happened so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Overwrites `buffer` with the next datagrams: up to `max_segments` of one size for one address. `None` when
    /// there is nothing to send now. Packets bear `now` as their time, so this is to be called when the socket
    /// takes them. Connections take turns.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        max_segments: usize,
        buffer: &mut Vec<u8>,
    ) -> Option<Transmit> {
        buffer.clear();
        if let Some((to, reset)) = self.resets.pop_front() {
            reset.encode(&[], 0, buffer);
            self.statistics.sent += 1;
            return Some(Transmit { to, segment_size: buffer.len(), stream: None });
        }
        while let Some(slot) = self.ready.pop_front() {
            let budget = self.budget();
            let Some(connection) = self.table.get(slot) else { continue };
            connection.queued = false;
            let (settings, statistics) = (&self.settings, &mut self.statistics);
            let mut cx = Context { now, settings, statistics, budget };
            let segment = connection.transmit(&mut cx, max_segments.max(1), buffer);
            let to = connection.remote;
            self.settle(now, slot);
            if let Some(segment_size) = segment {
                return Some(Transmit { to, segment_size, stream: Some(self.table.id(slot)) });
            }
        }
        None
    }

    fn budget(&self) -> usize {
        self.settings.receive_budget_bytes.saturating_sub(self.held)
    }

    /// The slot of a connection that the host still has.
    fn find(&mut self, id: StreamId) -> Result<u32, UnknownStream> {
        let slot = self.table.find(id).ok_or(UnknownStream(id))?;
        let given_up = self.table.get(slot).is_some_and(|connection| connection.owner == Owner::Nobody);
        if given_up { Err(UnknownStream(id)) } else { Ok(slot) }
    }

    /// Calls `act` with a connection and carries on what it changed.
    fn with(&mut self, now: Instant, slot: u32, act: impl FnOnce(&mut Connection, &mut Context<'_>)) {
        let budget = self.budget();
        let Some(connection) = self.table.get(slot) else { return };
        let before = connection.receiver.held();
        let (settings, statistics) = (&self.settings, &mut self.statistics);
        act(connection, &mut Context { now, settings, statistics, budget });
        self.held = self.held.saturating_sub(before) + connection.receiver.held();
        self.settle(now, slot);
    }

    /// Carries on what changed in a connection: events, the queue of those that send, the timer.
    fn settle(&mut self, now: Instant, slot: u32) {
        let id = self.table.id(slot);
        let capacity = self.settings.send_buffer_bytes;
        let Some(connection) = self.table.get(slot) else { return };
        let wants = connection.wants_transmit();
        if wants && !connection.queued {
            connection.queued = true;
            self.ready.push_back(slot);
        }
        if !wants {
            connection.settle(now);
        }
        let changes = std::mem::take(&mut connection.changes);
        let (owner, closed) = (connection.owner, changes.closed);
        if owner == Owner::Host {
            if changes.connected {
                self.events.push_back(Event::Connected(id));
            }
            if changes.readable {
                self.events.push_back(Event::Readable(id));
            }
            if connection.write_blocked
                && connection.sender.unsent_bytes() <= capacity / 2
                && closed.is_none()
            {
                connection.write_blocked = false;
                self.events.push_back(Event::Writable(id));
            }
            if let Some(reason) = closed {
                connection.owner = Owner::Nobody;
                self.events.push_back(Event::Closed(id, reason));
            }
        } else if owner == Owner::Waiting && changes.connected {
            self.backlog.push_back(id);
            self.events.push_back(Event::Incoming);
        }
        if changes.gone {
            self.remove(slot);
            return;
        }
        let deadline = connection.deadline();
        // Deadlines mostly move later: the timer that is set comes too early then, and is set again.
        if deadline.is_some_and(|at| connection.armed.is_none_or(|armed| at < armed)) {
            connection.armed = deadline;
            self.deadlines.set(slot, deadline);
        }
    }

    fn remove(&mut self, slot: u32) {
        if let Some(connection) = self.table.remove(slot) {
            self.held = self.held.saturating_sub(connection.receiver.held());
            self.deadlines.set(slot, None);
        }
    }

    fn handle_syn(&mut self, now: Instant, from: SocketAddr, syn: &Header) {
        if let Some(slot) = self.table.route(from, syn.connection_id.wrapping_add(1)) {
            return self.with(now, slot, |connection, _| connection.handle_syn(syn));
        }
        let full = self.table.len() >= self.settings.max_connections || self.backlog.len() >= MAX_BACKLOG;
        if !self.settings.accept_incoming || full {
            self.statistics.refused += 1;
            return;
        }
        // In a flood of forged addresses, an honest peer has the time that as many SYN packets take to answer.
        if self.half_open.len() >= MAX_HALF_OPEN
            && let Some(oldest) = self.half_open.pop_front()
            && self.is_half_open(oldest)
        {
            self.statistics.refused += 1;
            self.remove(oldest.slot);
        }
        let first = self.rng.next_u32() as u16;
        let slot = self.table.insert(Connection::incoming(now, from, syn, first, self.settings.link_mtu));
        self.statistics.received += 1;
        self.half_open.push_back(self.table.id(slot));
        self.settle(now, slot);
    }

    fn is_half_open(&mut self, id: StreamId) -> bool {
        let connection = self.table.find(id).and_then(|slot| self.table.get(slot));
        connection.is_some_and(|connection| matches!(connection.state, State::SynReceived(_)))
    }

    fn handle_reset(&mut self, now: Instant, from: SocketAddr, reset: &Header) {
        let id = reset.connection_id;
        for route in [id, id.wrapping_sub(1), id.wrapping_add(1)] {
            let Some(slot) = self.table.route(from, route) else { continue };
            if self.table.get(slot).is_some_and(|connection| connection.answers_to(id)) {
                return self.with(now, slot, |connection, cx| connection.handle_reset(cx, reset));
            }
        }
        self.statistics.unknown += 1;
    }

    /// Somebody believes in a connection that there is not. The answer is no larger than the question, and there are
    /// not many.
    fn answer_unknown(&mut self, now: Instant, from: SocketAddr, header: &Header) {
        self.statistics.unknown += 1;
        if now.saturating_duration_since(self.answered.0) >= Duration::from_secs(1) {
            self.answered = (now, 0);
        }
        if self.answered.1 >= MAX_RESETS_PER_SECOND || self.resets.len() >= MAX_QUEUED_RESETS {
            return;
        }
        self.answered.1 += 1;
        let reset = Header {
            kind: Kind::Reset,
            connection_id: header.connection_id,
            timestamp: micros(now),
            timestamp_difference: 0,
            window: 0,
            sequence: self.rng.next_u32() as u16,
            acknowledged: header.sequence,
        };
        self.resets.push_back((from, reset));
    }
}

impl Machine for Endpoint {
    type Input = Datagram;
    type Output = Event;

    fn handle_input(&mut self, now: Instant, Datagram { from, payload }: Datagram) {
        let packet = match Packet::decode(&payload) {
            Ok(packet) if from.port() != 0 => packet,
            _ => {
                self.statistics.invalid += 1;
                return;
            }
        };
        match packet.header.kind {
            Kind::Syn => self.handle_syn(now, from, &packet.header),
            Kind::Reset => self.handle_reset(now, from, &packet.header),
            Kind::Data | Kind::State | Kind::Fin => {
                let Some(slot) = self.table.route(from, packet.header.connection_id) else {
                    return self.answer_unknown(now, from, &packet.header);
                };
                let body = payload.slice_ref(packet.payload);
                self.with(now, slot, |connection, cx| connection.handle(cx, &packet, body));
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        while let Some(slot) = self.deadlines.pop_due(now) {
            let Some(connection) = self.table.get(slot) else { continue };
            connection.armed = None;
            let due = connection.deadline().is_some_and(|at| at <= now);
            self.with(now, slot, |connection, cx| {
                if due {
                    connection.handle_timeout(cx);
                }
            });
        }
    }

    fn poll_output(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }
}
