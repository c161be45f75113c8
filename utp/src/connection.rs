//! One connection: what its packets mean.

use core::net::SocketAddr;
use core::time::Duration;

use bytes::Bytes;
use downpour_base::Instant;

use crate::congestion::{Acknowledged, Congestion};
use crate::delay::{CurrentDelay, DelayHistory};
use crate::limits::{HALF_OPEN_TIMEOUT, KEEP_ALIVE_INTERVAL, LINGER};
use crate::limits::{MAX_FIN_TIMEOUTS, MAX_SYN_TRANSMISSIONS, MAX_TIMEOUTS};
use crate::packet::{HEADER_LENGTH, Header, Kind, Packet};
use crate::path::PathMtu;
use crate::receiver::{Arrival, Receiver};
use crate::round_trip::RoundTrip;
use crate::sender::{Progress, Sender};
use crate::wrap::micros;
use crate::{CloseReason, Info, Settings, Statistics};

/// What µTorrent sends when it has no delay to tell.
const NO_SAMPLE: u32 = 0x7fff_ffff;
/// A base delay that falls by more than this within one packet, in microseconds, is no drift of clocks.
const MAX_DRIFT: u32 = 10_000;

/// What a connection needs of its endpoint.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) settings: &'a Settings,
    pub(crate) statistics: &'a mut Statistics,
    /// Bytes that all connections may still hold.
    pub(crate) budget: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Our SYN waits for its answer.
    SynSent,
    /// We answered a SYN; the peer has not yet shown that it got the answer, so its address may be forged.
    SynReceived(Instant),
    Connected,
    /// Over, and only there to say so again.
    Lingering(Instant),
}

/// Who holds the other end, inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// It waits to be accepted.
    Waiting,
    Host,
    /// The host closed it.
    Nobody,
}

/// What the endpoint has to carry on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Changes {
    pub(crate) connected: bool,
    pub(crate) readable: bool,
    pub(crate) closed: Option<CloseReason>,
    /// It can be forgotten.
    pub(crate) gone: bool,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) remote: SocketAddr,
    /// What the peer calls this connection.
    pub(crate) receive_id: u16,
    /// What we call it towards the peer.
    pub(crate) send_id: u16,
    pub(crate) state: State,
    pub(crate) owner: Owner,
    pub(crate) sender: Sender,
    pub(crate) receiver: Receiver,
    pub(crate) congestion: Congestion,
    pub(crate) round_trip: RoundTrip,
    pub(crate) path: PathMtu,
    our_delay: DelayHistory,
    current_delay: CurrentDelay,
    their_delay: DelayHistory,
    /// What the peer is told about its packets' travel time.
    pub(crate) reply_micros: u32,
    pub(crate) acknowledge: bool,
    /// The window that the peer was told last.
    pub(crate) told_window: usize,
    pub(crate) retransmit_at: Option<Instant>,
    pub(crate) last_sent: Instant,
    /// Timeouts since something was acknowledged.
    silent: u32,
    /// Whether one packet may be sent though the peer's window is closed.
    pub(crate) window_probe: bool,
    /// What is sent again was found lost by a timeout.
    pub(crate) after_timeout: bool,
    read_to_end: bool,
    pub(crate) readable_told: bool,
    pub(crate) write_blocked: bool,
    pub(crate) changes: Changes,
    /// Whether it stands in the endpoint's queue of those that have something to send.
    pub(crate) queued: bool,
    /// When the endpoint will look after it.
    pub(crate) armed: Option<Instant>,
}

impl Connection {
    /// A connection that we open; `first` is the number of the SYN.
    pub(crate) fn outgoing(
        now: Instant,
        remote: SocketAddr,
        receive_id: u16,
        first: u16,
        link_mtu: u16,
    ) -> Self {
        let state = State::SynSent;
        Self {
            remote,
            receive_id,
            send_id: receive_id.wrapping_add(1),
            state,
            owner: Owner::Host,
            sender: Sender::new(first),
            receiver: Receiver::new(0),
            congestion: Congestion::new(),
            round_trip: RoundTrip::default(),
            path: PathMtu::new(remote, link_mtu),
            our_delay: DelayHistory::new(now),
            current_delay: CurrentDelay::default(),
            their_delay: DelayHistory::new(now),
            reply_micros: 0,
            acknowledge: false,
            told_window: 0,
            retransmit_at: None,
            last_sent: now,
            silent: 0,
            window_probe: false,
            after_timeout: false,
            read_to_end: false,
            readable_told: false,
            write_blocked: false,
            changes: Changes::default(),
            queued: false,
            armed: None,
        }
    }

    /// A connection that `syn` opens; `first` is the number of our first packet.
    pub(crate) fn incoming(
        now: Instant,
        remote: SocketAddr,
        syn: &Header,
        first: u16,
        link_mtu: u16,
    ) -> Self {
        let mut connection = Self::outgoing(now, remote, syn.connection_id.wrapping_add(1), first, link_mtu);
        connection.send_id = syn.connection_id;
        connection.state = State::SynReceived(now + HALF_OPEN_TIMEOUT);
        connection.owner = Owner::Waiting;
        connection.receiver = Receiver::new(syn.sequence);
        connection.sender.peer_window = syn.window;
        connection.measure(now, syn);
        connection.acknowledge = true;
        connection
    }

    /// A SYN for a connection that exists: the answer was lost, or somebody else's number collides.
    pub(crate) fn handle_syn(&mut self, syn: &Header) {
        if matches!(self.state, State::SynReceived(_)) && syn.sequence == self.receiver.acknowledged() {
            self.acknowledge = true;
        }
    }

    /// A RESET. Who forges one must guess what we sent.
    pub(crate) fn handle_reset(&mut self, cx: &mut Context<'_>, reset: &Header) {
        // An answer to an acknowledgement names the number that comes next.
        let before = reset.acknowledged.wrapping_sub(1);
        if !self.sender.is_plausible(reset.acknowledged) && !self.sender.is_latest(before) {
            cx.statistics.invalid += 1;
            return;
        }
        self.over(match self.state {
            State::SynSent => CloseReason::Refused,
            _ => CloseReason::Reset,
        });
    }

    /// A DATA, STATE or FIN packet; `payload` is its payload as a slice of the datagram.
    pub(crate) fn handle(&mut self, cx: &mut Context<'_>, packet: &Packet<'_>, payload: Bytes) {
        let header = &packet.header;
        cx.statistics.received += 1;
        let acceptable = match self.state {
            // The answer to the SYN. Data that overtook it comes again.
            State::SynSent => header.kind == Kind::State && self.sender.is_latest(header.acknowledged),
            // Only who got our answer knows its number.
            State::SynReceived(_) => self.sender.is_latest(header.acknowledged),
            State::Connected | State::Lingering(_) => self.sender.is_plausible(header.acknowledged),
        };
        if !acceptable {
            cx.statistics.invalid += 1;
            return;
        }
        match self.state {
            State::SynSent => {
                self.state = State::Connected;
                self.changes.connected = true;
                // A STATE packet bears the number of the next packet, for it has none itself.
                self.receiver = Receiver::new(header.sequence.wrapping_sub(1));
                // Now the peer knows that we are who we say.
                self.acknowledge = true;
            }
            State::SynReceived(_) => {
                self.state = State::Connected;
                self.changes.connected = true;
            }
            State::Connected | State::Lingering(_) => {}
        }
        let their_delay_fell = self.measure(cx.now, header);
        self.take_acknowledgement(cx, packet, their_delay_fell);
        let arrival = match header.kind {
            Kind::Data => {
                let capacity = cx.settings.receive_buffer_bytes;
                self.receiver.data(header.sequence, payload, capacity, cx.budget)
            }
            Kind::Fin => self.receiver.fin(header.sequence),
            _ => return,
        };
        match arrival {
            Arrival::InOrder => self.note_readable(),
            Arrival::Early => {}
            Arrival::Duplicate => cx.statistics.duplicates += 1,
            Arrival::Dropped => cx.statistics.dropped += 1,
        }
        // Whatever became of it, the peer should know where we are.
        self.acknowledge = true;
    }

    fn note_readable(&mut self) {
        if self.receiver.is_readable() && !self.readable_told && self.owner != Owner::Nobody {
            self.readable_told = true;
            self.changes.readable = true;
        }
    }

    /// Measures the packet's travel time; returns by how much its base fell.
    fn measure(&mut self, now: Instant, header: &Header) -> u32 {
        if header.timestamp == 0 {
            return 0;
        }
        self.reply_micros = micros(now).wrapping_sub(header.timestamp);
        let before = self.their_delay.base();
        self.their_delay.add(now, self.reply_micros);
        match (before, self.their_delay.base()) {
            (Some(before), Some(base)) if before != base => before.wrapping_sub(base),
            _ => 0,
        }
    }

    fn take_acknowledgement(&mut self, cx: &mut Context<'_>, packet: &Packet<'_>, their_delay_fell: u32) {
        let header = &packet.header;
        // Their packets cannot have become faster than the light: the clocks drift, and ours the other way.
        if (1..MAX_DRIFT).contains(&their_delay_fell) {
            self.our_delay.raise(their_delay_fell);
        }
        let sample = header.timestamp_difference;
        if sample != 0 && sample != NO_SAMPLE {
            let delay = self.our_delay.add(cx.now, sample);
            self.current_delay.add(delay);
        }
        let repeats = header.kind == Kind::State && header.window == self.sender.peer_window;
        self.sender.peer_window = header.window;
        let in_flight = self.sender.in_flight() as u32;
        let selective = packet.selective.unwrap_or_default();
        let progress = self.sender.acknowledge(header.acknowledged, selective, repeats);
        let mut round_trip = None;
        if let Some(sent_at) = progress.sent_at {
            let time = cx.now.saturating_duration_since(sent_at);
            self.round_trip.sample(time);
            round_trip = Some(time);
        }
        // Who keeps its window closed may take its time, but has to say so.
        if progress.packets > 0 || header.window < self.segment() {
            self.silent = 0;
        }
        if progress.packets > 0 {
            self.round_trip.recover();
            self.after_timeout = false;
            self.retransmit_at = (!self.sender.is_idle()).then(|| cx.now + self.round_trip.timeout());
        } else if self.sender.is_idle() && self.sender.has_unsent() {
            // The timer of a closed window: the window may be open now.
            self.retransmit_at = None;
        }
        if progress.bytes > 0 {
            // No packet can have waited longer than its round trip took.
            let most =
                round_trip.map_or(u32::MAX, |time| u32::try_from(time.as_micros()).unwrap_or(u32::MAX));
            self.congestion.on_acknowledged(Acknowledged {
                bytes: progress.bytes,
                in_flight,
                delay: self.current_delay.least().unwrap_or(0).min(most),
                target: u32::try_from(cx.settings.target_delay.as_micros()).unwrap_or(u32::MAX).max(1),
                segment: self.segment(),
            });
        }
        self.take_losses(cx, &progress);
    }

    fn take_losses(&mut self, cx: &mut Context<'_>, progress: &Progress) {
        cx.statistics.lost += u64::from(progress.lost);
        if let Some(size) = progress.probe_acknowledged {
            self.path.probe_acknowledged(size);
        }
        if let Some(size) = progress.probe_lost {
            self.path.probe_lost(size);
        }
        if progress.congested {
            self.congestion.on_loss(self.segment());
        }
    }

    /// The payload of a full packet, in bytes.
    pub(crate) fn segment(&self) -> u32 {
        u32::from(self.path.packet()) - HEADER_LENGTH as u32
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        if let State::SynReceived(until) | State::Lingering(until) = self.state {
            self.changes.gone |= until <= cx.now;
            return;
        }
        if self.state == State::Connected && self.last_sent + KEEP_ALIVE_INTERVAL <= cx.now {
            self.acknowledge = true;
        }
        if self.retransmit_at.is_some_and(|at| at <= cx.now) {
            self.retransmit(cx);
        }
    }

    fn retransmit(&mut self, cx: &mut Context<'_>) {
        let heard = self.silent == 0;
        if self.sender.is_idle() {
            self.window_probe = true;
        } else {
            self.silent += 1;
            cx.statistics.timeouts += 1;
            let indifferent = self.owner == Owner::Nobody || self.receiver.is_complete();
            let most = match self.sender.awaits_fin_only() && indifferent {
                true => MAX_FIN_TIMEOUTS,
                false => MAX_TIMEOUTS,
            };
            if self.state == State::SynSent && self.sender.oldest_transmissions() >= MAX_SYN_TRANSMISSIONS {
                return self.over(CloseReason::ConnectTimedOut);
            }
            if self.state == State::Connected && self.silent >= most {
                return self.over_in_silence();
            }
            let closed = (self.sender.peer_window as usize) < self.sender.in_flight();
            let (in_flight, progress) = self.sender.lose_all();
            self.after_timeout = true;
            cx.statistics.lost += u64::from(progress.lost);
            if let Some(size) = progress.probe_lost {
                self.path.probe_lost(size);
            }
            // A probe that was alone, or a window that the peer closed, say nothing about congestion.
            let excused = (progress.lost == 1 && progress.probe_lost.is_some()) || (closed && heard);
            if self.state == State::Connected && !excused {
                self.congestion.on_timeout(in_flight as u32, self.segment());
            }
            if closed && heard {
                self.retransmit_at = Some(cx.now + self.round_trip.timeout());
                return;
            }
        }
        self.round_trip.back_off();
        self.retransmit_at = Some(cx.now + self.round_trip.timeout());
    }

    /// The peer says nothing more. If it had said that it would not, and all but that is acknowledged, this is how
    /// connections end: it has forgotten this one.
    fn over_in_silence(&mut self) {
        let complete = self.receiver.is_complete() && self.sender.awaits_fin_only();
        self.over(if complete { CloseReason::Finished } else { CloseReason::TimedOut });
    }

    fn over(&mut self, reason: CloseReason) {
        if !matches!(self.state, State::Lingering(_)) {
            self.changes.closed = Some(reason);
        }
        self.changes.gone = true;
    }

    /// The next bytes for the host.
    pub(crate) fn read(&mut self, capacity: usize, budget: usize) -> Option<Bytes> {
        let chunk = self.receiver.read();
        if chunk.is_none() {
            self.readable_told = false;
            self.read_to_end = self.receiver.is_complete();
        }
        // The peer hears of a window that has opened by a good part of the buffer.
        let room = self.receiver.room(capacity, budget);
        if chunk.is_some() && room >= self.told_window.saturating_add(capacity / 4) {
            self.acknowledge = true;
        }
        chunk
    }

    /// The host no longer cares: what was written is sent, what comes is forgotten.
    pub(crate) fn abandon(&mut self) {
        self.owner = Owner::Nobody;
        self.receiver.discard();
        self.sender.finish();
        self.changes.gone |= self.state == State::SynSent;
    }

    /// Ends the connection if there is nothing more to do, and sets the timer of a window that is closed. To be
    /// called after all that may change something, when there is nothing to send.
    pub(crate) fn settle(&mut self, now: Instant) {
        if self.state != State::Connected {
            return;
        }
        let heard_all = self.owner == Owner::Nobody || (self.receiver.is_complete() && self.read_to_end);
        if self.sender.is_finished() && heard_all {
            self.state = State::Lingering(now + LINGER);
            self.retransmit_at = None;
            self.changes.closed = Some(CloseReason::Finished);
        } else if self.retransmit_at.is_none() && self.sender.is_idle() && self.sender.has_unsent() {
            self.retransmit_at = Some(now + self.round_trip.timeout());
        }
    }

    /// When to look after it next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::SynReceived(until) | State::Lingering(until) => Some(until),
            State::SynSent => self.retransmit_at,
            State::Connected => {
                let keep_alive = (!self.acknowledge).then(|| self.last_sent + KEEP_ALIVE_INTERVAL);
                [self.retransmit_at, keep_alive].into_iter().flatten().min()
            }
        }
    }

    /// Whether a RESET may name the connection so: µTorrent answers with the number that it was called by.
    pub(crate) fn answers_to(&self, id: u16) -> bool {
        id == self.receive_id || id == self.send_id
    }

    pub(crate) fn info(&self) -> Info {
        Info {
            remote: self.remote,
            round_trip: self.round_trip.mean(),
            queueing_delay: self.current_delay.least().map(|micros| Duration::from_micros(micros.into())),
            window_bytes: self.congestion.window(),
            in_flight_bytes: self.sender.in_flight(),
            unsent_bytes: self.sender.unsent_bytes(),
            unread_bytes: self.receiver.held(),
            packet_bytes: self.path.packet(),
        }
    }

    /// A packet that gives the connection up.
    pub(crate) fn reset(&self, now: Instant) -> Header {
        Header {
            kind: Kind::Reset,
            connection_id: self.send_id,
            timestamp: micros(now),
            timestamp_difference: self.reply_micros,
            window: 0,
            sequence: self.sender.sequence(),
            acknowledged: self.receiver.acknowledged(),
        }
    }
}
