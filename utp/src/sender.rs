//! One direction of a connection, as its sender keeps it: what waits, what is under way, what was lost.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use downpour_base::Instant;

use crate::limits::MAX_PACKETS_IN_FLIGHT;
use crate::packet::Kind;
use crate::wrap::offset;

/// How many later packets must be acknowledged until one counts as lost (BEP 29, "packet loss").
const LOSS_THRESHOLD: u64 = 3;

/// A packet that has a sequence number and is not yet acknowledged in order.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) kind: Kind,
    pub(crate) payload: Bytes,
    pub(crate) transmissions: u32,
    /// The size of the datagram, if it was made longer to probe the path.
    pub(crate) probe: Option<u16>,
    fate: Fate,
    sent_at: Instant,
    /// The number of its last transmission.
    order: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    InFlight,
    Lost,
    Acknowledged,
}

/// What waits to be sent and what was sent; the window is a ring of packets with consecutive numbers.
#[derive(Debug)]
pub(crate) struct Sender {
    /// The number of the next new packet.
    next: u16,
    unsent: VecDeque<Bytes>,
    unsent_bytes: usize,
    window: VecDeque<Sent>,
    in_flight: usize,
    /// Lost packets, oldest first; those that were acknowledged meanwhile are skipped.
    lost: VecDeque<u16>,
    transmissions: u64,
    /// The latest transmission that was acknowledged beyond doubt.
    latest_acknowledged: u64,
    duplicates: u32,
    /// The last packet that was smaller than it could be. Of those only one is under way at a time (Nagle).
    small: Option<u16>,
    /// The first packet that was sent after the window was last halved.
    recovered: u16,
    pub(crate) peer_window: u32,
    fin: Fin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fin {
    None,
    Queued,
    Sent,
}

/// What an acknowledgement brought.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Payload that was acknowledged for the first time.
    pub(crate) bytes: u32,
    /// Packets that were.
    pub(crate) packets: u32,
    /// When the newest of those that were sent only once was sent.
    pub(crate) sent_at: Option<Instant>,
    /// Packets that turned out to be lost.
    pub(crate) lost: u32,
    /// Whether the loss is the first in this round trip, and shows congestion.
    pub(crate) congested: bool,
    pub(crate) probe_acknowledged: Option<u16>,
    pub(crate) probe_lost: Option<u16>,
}

impl Sender {
    /// The first packet gets the number `first`.
    pub(crate) fn new(first: u16) -> Self {
        Self {
            next: first,
            unsent: VecDeque::new(),
            unsent_bytes: 0,
            window: VecDeque::new(),
            in_flight: 0,
            lost: VecDeque::new(),
            transmissions: 0,
            latest_acknowledged: 0,
            duplicates: 0,
            small: None,
            recovered: first,
            peer_window: 0,
            fin: Fin::None,
        }
    }

    /// The number that packets without payload carry. After a FIN it stays the FIN's: libtorrent ignores what lies
    /// behind it.
    pub(crate) fn sequence(&self) -> u16 {
        if self.fin == Fin::Sent { self.next.wrapping_sub(1) } else { self.next }
    }

    pub(crate) fn unsent_bytes(&self) -> usize {
        self.unsent_bytes
    }

    /// Payload under way, in bytes.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether nothing is waiting for an acknowledgement.
    pub(crate) fn is_idle(&self) -> bool {
        self.window.is_empty()
    }

    /// Bytes that were written and not yet acknowledged.
    pub(crate) fn has_unsent(&self) -> bool {
        self.unsent_bytes > 0 || self.fin == Fin::Queued
    }

    pub(crate) fn write(&mut self, data: Bytes) {
        self.unsent_bytes += data.len();
        if !data.is_empty() {
            self.unsent.push_back(data);
        }
    }

    /// After what was written so far comes the end.
    pub(crate) fn finish(&mut self) {
        if self.fin == Fin::None {
            self.fin = Fin::Queued;
        }
    }

    pub(crate) fn is_finishing(&self) -> bool {
        self.fin != Fin::None
    }

    /// Whether the peer has acknowledged all, the FIN too.
    pub(crate) fn is_finished(&self) -> bool {
        self.fin == Fin::Sent && self.window.is_empty()
    }

    /// Whether the FIN is all that the peer has not acknowledged.
    pub(crate) fn awaits_fin_only(&self) -> bool {
        self.fin == Fin::Sent && self.window.len() == 1
    }

    /// Whether a FIN can be sent now.
    pub(crate) fn fin_is_due(&self) -> bool {
        self.fin == Fin::Queued && self.unsent_bytes == 0
    }

    /// Whether the window has numbers left.
    pub(crate) fn has_room(&self) -> bool {
        self.window.len() < MAX_PACKETS_IN_FLIGHT
    }

    /// Whether a packet that is smaller than it could be must wait for one that is under way.
    pub(crate) fn must_gather(&self) -> bool {
        self.fin == Fin::None
            && self.small.is_some_and(|small| offset(self.first(), small) >= 0 && !self.window.is_empty())
    }

    /// The number of the oldest packet in the window.
    fn first(&self) -> u16 {
        self.next.wrapping_sub(self.window.len() as u16)
    }

    /// Takes `length` bytes of what waits; copied only when they lie in several chunks.
    pub(crate) fn take(&mut self, length: usize) -> Bytes {
        let length = length.min(self.unsent_bytes);
        self.unsent_bytes -= length;
        match self.unsent.front_mut() {
            Some(front) if front.len() > length => return front.split_to(length),
            Some(front) if front.len() == length => return self.unsent.pop_front().unwrap_or_default(),
            _ => {}
        }
        let mut gathered = BytesMut::with_capacity(length);
        while gathered.len() < length {
            let Some(front) = self.unsent.front_mut() else { break };
            let part = front.split_to(front.len().min(length - gathered.len()));
            gathered.extend_from_slice(&part);
            if front.is_empty() {
                self.unsent.pop_front();
            }
        }
        gathered.freeze()
    }

    /// A new packet goes out; returns its number. `small` says that it could have been larger.
    pub(crate) fn sent(
        &mut self,
        now: Instant,
        kind: Kind,
        payload: Bytes,
        probe: Option<u16>,
        small: bool,
    ) -> u16 {
        let sequence = self.next;
        self.next = self.next.wrapping_add(1);
        self.in_flight += payload.len();
        self.transmissions += 1;
        if small {
            self.small = Some(sequence);
        }
        if kind == Kind::Fin {
            self.fin = Fin::Sent;
        }
        let order = self.transmissions;
        let fate = Fate::InFlight;
        self.window.push_back(Sent { kind, payload, transmissions: 1, probe, fate, sent_at: now, order });
        sequence
    }

    /// The next lost packet and its number.
    pub(crate) fn next_lost(&mut self) -> Option<(u16, &Sent)> {
        let first = self.first();
        while let Some(&sequence) = self.lost.front() {
            let at = usize::try_from(offset(first, sequence)).ok();
            // Written so because of the borrow: the packet cannot be returned from inside the check.
            if at.and_then(|at| self.window.get(at)).is_some_and(|sent| sent.fate == Fate::Lost) {
                return at.and_then(|at| self.window.get(at)).map(|sent| (sequence, sent));
            }
            self.lost.pop_front();
        }
        None
    }

    /// Whether the next lost packet is the one that all wait for, and was not sent again before.
    pub(crate) fn next_lost_is_urgent(&mut self) -> bool {
        let first = self.first();
        self.next_lost().is_some_and(|(sequence, sent)| sequence == first && sent.transmissions == 1)
    }

    /// The packet that [`next_lost`](Self::next_lost) named goes out again; a probe no longer as one.
    pub(crate) fn resent(&mut self, now: Instant) -> Option<(u16, Kind, Bytes)> {
        let first = self.first();
        let sequence = self.next_lost()?.0;
        self.lost.pop_front();
        let sent = self.window.get_mut(usize::try_from(offset(first, sequence)).ok()?)?;
        self.transmissions += 1;
        sent.fate = Fate::InFlight;
        sent.transmissions += 1;
        sent.probe = None;
        sent.sent_at = now;
        sent.order = self.transmissions;
        self.in_flight += sent.payload.len();
        Some((sequence, sent.kind, sent.payload.clone()))
    }

    /// Whether `acknowledged` names something that was sent, or is an old number that may still be on its way.
    pub(crate) fn is_plausible(&self, acknowledged: u16) -> bool {
        let behind = offset(acknowledged, self.next.wrapping_sub(1));
        (0..=2 * MAX_PACKETS_IN_FLIGHT as i32).contains(&behind)
    }

    /// Whether the peer acknowledges all that was sent.
    pub(crate) fn is_latest(&self, acknowledged: u16) -> bool {
        acknowledged == self.next.wrapping_sub(1)
    }

    /// Takes an acknowledgement that [`is_plausible`](Self::is_plausible). `repeats` says that the packet brought
    /// nothing but it, so that it can be a duplicate. Linear in the bits of `selective`.
    pub(crate) fn acknowledge(&mut self, acknowledged: u16, selective: &[u8], repeats: bool) -> Progress {
        let mut progress = Progress::default();
        let count = offset(self.first(), acknowledged) + 1;
        for _ in 0..count.max(0) {
            let Some(sent) = self.window.pop_front() else { break };
            self.note(&sent, &mut progress);
            if sent.fate == Fate::InFlight {
                self.in_flight -= sent.payload.len();
            }
        }
        match count {
            1.. => self.duplicates = 0,
            0 if repeats && !self.window.is_empty() => self.duplicates += 1,
            _ => {}
        }
        self.acknowledge_selected(acknowledged, selective, &mut progress);
        // Without selective acknowledgements, three repeated ones say that the oldest is lost.
        let front_lost = self.duplicates == LOSS_THRESHOLD as u32 && selective.is_empty();
        if front_lost && self.window.front().is_some_and(|sent| sent.transmissions == 1) {
            self.lose(0, &mut progress);
        }
        if self.window.is_empty() {
            self.duplicates = 0;
            self.lost = VecDeque::new();
        }
        progress
    }

    fn acknowledge_selected(&mut self, acknowledged: u16, selective: &[u8], progress: &mut Progress) {
        // The first bit stands for `acknowledged + 2`.
        let base = offset(self.first(), acknowledged.wrapping_add(2));
        let bits = selective.iter().enumerate().flat_map(|(at, &byte)| {
            (0..8).filter(move |bit| byte & (1 << bit) != 0).map(move |bit| at as i32 * 8 + bit)
        });
        let mut highest = None;
        for bit in bits {
            let Ok(at) = usize::try_from(base + bit) else { continue };
            let Some(sent) = self.window.get_mut(at) else { break };
            highest = Some(at);
            if sent.fate == Fate::Acknowledged {
                continue;
            }
            let (fate, payload) = (sent.fate, std::mem::take(&mut sent.payload));
            sent.fate = Fate::Acknowledged;
            if fate == Fate::InFlight {
                self.in_flight -= payload.len();
            }
            let (sent_at, order, transmissions, probe) =
                (sent.sent_at, sent.order, sent.transmissions, sent.probe);
            let kind = sent.kind;
            self.note(&Sent { kind, payload, transmissions, probe, fate, sent_at, order }, progress);
        }
        let Some(highest) = highest else { return };
        let mut above = self.window.iter().take(highest + 1).filter(|x| x.fate == Fate::Acknowledged).count();
        for at in 0..highest {
            let Some(sent) = self.window.get(at) else { break };
            if sent.fate == Fate::Acknowledged {
                above -= 1;
                continue;
            }
            let passed = sent.transmissions == 1 || self.latest_acknowledged >= sent.order + LOSS_THRESHOLD;
            if (above as u64) < LOSS_THRESHOLD {
                break;
            }
            if sent.fate == Fate::InFlight && passed {
                self.lose(at, progress);
            }
        }
    }

    /// Accounts for a packet that is acknowledged for the first time.
    fn note(&mut self, sent: &Sent, progress: &mut Progress) {
        if sent.fate == Fate::Acknowledged {
            return;
        }
        progress.packets += 1;
        progress.bytes += sent.payload.len() as u32;
        if sent.transmissions == 1 {
            progress.sent_at = progress.sent_at.max(Some(sent.sent_at));
            self.latest_acknowledged = self.latest_acknowledged.max(sent.order);
        }
        if sent.probe.is_some() {
            progress.probe_acknowledged = sent.probe;
        }
    }

    /// Marks the packet at `at` of the window as lost.
    fn lose(&mut self, at: usize, progress: &mut Progress) {
        let sequence = self.first().wrapping_add(at as u16);
        let Some(sent) = self.window.get_mut(at) else { return };
        if sent.fate != Fate::InFlight {
            return;
        }
        sent.fate = Fate::Lost;
        self.in_flight -= sent.payload.len();
        self.lost.push_back(sequence);
        progress.lost += 1;
        // A lost probe says something about the path's packet size, and nothing about congestion.
        if sent.probe.is_some() {
            progress.probe_lost = sent.probe;
        } else if offset(self.recovered, sequence) >= 0 {
            progress.congested = true;
            self.recovered = self.next;
        }
    }

    /// Nothing was heard for too long: all that is under way is taken for lost. Returns what that was in bytes.
    pub(crate) fn lose_all(&mut self) -> (usize, Progress) {
        let before = self.in_flight;
        let mut progress = Progress::default();
        for at in 0..self.window.len() {
            self.lose(at, &mut progress);
        }
        // Oldest first: what was lost before may have been sent again since, and lost again.
        self.lost.make_contiguous().sort_unstable_by_key(|&sequence| offset(self.next, sequence));
        self.duplicates = 0;
        self.recovered = self.next;
        (before, progress)
    }

    /// How often the oldest packet was sent.
    pub(crate) fn oldest_transmissions(&self) -> u32 {
        self.window.front().map_or(0, |sent| sent.transmissions)
    }
}
