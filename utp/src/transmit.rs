//! What a connection sends next.

use bytes::Bytes;

use crate::connection::{Connection, Context, State};
use crate::packet::{HEADER_LENGTH, Header, Kind, selective_length};
use crate::wrap::micros;

/// The payload that asks whether a closed window is still closed, in bytes; more if the window is ajar.
const WINDOW_PROBE_BYTES: usize = 150;
/// Datagrams that go to the system in one call have a length of 16 bits together.
const MAX_BATCH_BYTES: usize = 65_507;

/// A packet to be.
#[derive(Clone, Copy, Debug)]
struct Next {
    what: What,
    /// The datagram's length.
    size: usize,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Syn,
    Resend,
    Data { payload: usize, padding: usize, small: bool },
    Fin,
    Acknowledge,
}

impl Connection {
    /// Whether there is something to send now.
    pub(crate) fn wants_transmit(&mut self) -> bool {
        self.next().is_some()
    }

    /// Appends datagrams of one size to `buffer`, of which the last may be shorter; returns the size.
    pub(crate) fn transmit(
        &mut self,
        cx: &mut Context<'_>,
        max_segments: usize,
        buffer: &mut Vec<u8>,
    ) -> Option<usize> {
        if self.sender.is_idle() {
            let idle = cx.now.saturating_duration_since(self.last_sent).as_millis();
            let timeouts = idle / self.round_trip.timeout().as_millis().max(1);
            self.congestion.on_idle(u32::try_from(timeouts).unwrap_or(u32::MAX));
        }
        let mut segment = None;
        for _ in 0..max_segments {
            let Some(next) = self.next() else { break };
            let first = *segment.get_or_insert(next.size);
            if next.size > first || buffer.len() + next.size > MAX_BATCH_BYTES.max(first) {
                break;
            }
            self.put(cx, next, buffer);
            if next.size < first {
                break;
            }
        }
        segment
    }

    fn next(&mut self) -> Option<Next> {
        let selective = selective_length(self.receiver.selective_length());
        let acknowledge = Next { what: What::Acknowledge, size: HEADER_LENGTH + selective };
        let acknowledge = self.acknowledge.then_some(acknowledge);
        match self.state {
            State::SynReceived(_) | State::Lingering(_) => return acknowledge,
            State::SynSent if self.sender.is_idle() => {
                return Some(Next { what: What::Syn, size: HEADER_LENGTH });
            }
            State::SynSent | State::Connected => {}
        }
        let urgent = self.sender.next_lost_is_urgent();
        if let Some((_, lost)) = self.sender.next_lost() {
            let (payload, kind) = (lost.payload.len(), lost.kind);
            let fits = self.sender.in_flight() + payload <= self.congestion.window() as usize;
            // What could not be resent with the acknowledgement in one packet is resent without.
            let size = HEADER_LENGTH + payload;
            let size = if self.resends_selective(kind, payload) { size + selective } else { size };
            let resend = Next { what: What::Resend, size };
            return (fits || urgent || self.sender.in_flight() == 0).then_some(resend).or(acknowledge);
        }
        if self.state == State::SynSent {
            return None;
        }
        self.next_data(selective).or(acknowledge)
    }

    fn resends_selective(&self, kind: Kind, payload: usize) -> bool {
        let selective = selective_length(self.receiver.selective_length());
        kind != Kind::Syn && HEADER_LENGTH + selective + payload <= usize::from(self.path.packet())
    }

    fn next_data(&self, selective: usize) -> Option<Next> {
        if !self.sender.has_room() {
            return None;
        }
        if self.sender.fin_is_due() {
            return Some(Next { what: What::Fin, size: HEADER_LENGTH + selective });
        }
        let (waiting, in_flight) = (self.sender.unsent_bytes(), self.sender.in_flight());
        let full = usize::from(self.path.packet()) - HEADER_LENGTH - selective;
        let payload = waiting.min(full);
        if payload == 0 {
            return None;
        }
        let peer_window = self.sender.peer_window as usize;
        let congestion_window = self.congestion.window() as usize;
        let data = |payload: usize, padding: usize| Next {
            what: What::Data { payload, padding, small: payload < full },
            size: HEADER_LENGTH + selective + padding + payload,
        };
        if self.window_probe && self.sender.is_idle() && peer_window < payload {
            return Some(data(payload.min(peer_window.max(WINDOW_PROBE_BYTES)), 0));
        }
        let allowed = in_flight == 0 || in_flight + payload <= congestion_window;
        if !allowed || in_flight + payload > peer_window {
            return None;
        }
        if payload < full && self.sender.must_gather() {
            return None;
        }
        // A probe travels between other packets, so that its loss shows soon, and can be told from congestion.
        let probe = self.path.probe().map_or(0, usize::from);
        let padding = probe.saturating_sub(HEADER_LENGTH + selective + payload);
        let surrounded = payload == full && waiting >= 3 * full && congestion_window >= 4 * full;
        Some(data(payload, if surrounded && padding >= 2 { padding } else { 0 }))
    }

    fn put(&mut self, cx: &mut Context<'_>, next: Next, buffer: &mut Vec<u8>) {
        let (mut kind, mut sequence, mut payload) = (Kind::State, self.sender.sequence(), Bytes::new());
        let mut padding = 0;
        let mut with_selective = true;
        match next.what {
            What::Syn => {
                kind = Kind::Syn;
                sequence = self.sender.sent(cx.now, kind, Bytes::new(), None, false);
            }
            What::Resend => {
                let Some(resent) = self.sender.resent(cx.now) else { return };
                (sequence, kind, payload) = resent;
                with_selective = self.resends_selective(kind, payload.len());
                match self.after_timeout {
                    true => cx.statistics.timeout_resent += 1,
                    false => cx.statistics.fast_resent += 1,
                }
            }
            What::Data { payload: length, padding: padded, small } => {
                (kind, padding) = (Kind::Data, padded);
                payload = self.sender.take(length);
                let probe = (padded > 0).then(|| u16::try_from(next.size).unwrap_or(u16::MAX));
                if probe.is_some() {
                    self.path.probe_sent();
                    cx.statistics.probes += 1;
                }
                self.window_probe = false;
                sequence = self.sender.sent(cx.now, kind, payload.clone(), probe, small);
            }
            What::Fin => {
                kind = Kind::Fin;
                sequence = self.sender.sent(cx.now, kind, Bytes::new(), None, false);
            }
            What::Acknowledge => {}
        }
        let syn = kind == Kind::Syn;
        let room = self.receiver.room(cx.settings.receive_buffer_bytes, cx.budget);
        let header = Header {
            kind,
            connection_id: if syn { self.receive_id } else { self.send_id },
            timestamp: micros(cx.now),
            timestamp_difference: self.reply_micros,
            window: u32::try_from(room).unwrap_or(u32::MAX),
            sequence,
            acknowledged: self.receiver.acknowledged(),
        };
        let (selective, length) = self.receiver.selective();
        let length = if with_selective { length } else { 0 };
        header.encode(selective.get(..length).unwrap_or_default(), padding, buffer);
        buffer.extend_from_slice(&payload);
        if kind != Kind::State && self.retransmit_at.is_none() {
            self.retransmit_at = Some(cx.now + self.round_trip.timeout());
        }
        self.told_window = room;
        self.acknowledge = false;
        self.last_sent = cx.now;
        cx.statistics.sent += 1;
    }
}
