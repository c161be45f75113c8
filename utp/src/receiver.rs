//! One direction of a connection, as its receiver keeps it: what may be read, and what came too early.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::limits::{MAX_REORDER_PACKETS, MAX_SELECTIVE_BYTES, MIN_RECEIVE_BYTES, SMALL_PAYLOAD};
use crate::wrap::offset;

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// There is more to read, or the end was reached.
    InOrder,
    /// Kept until those before it come.
    Early,
    /// It was here before.
    Duplicate,
    /// There is no room for it, or no sense in it. It will be sent again.
    Dropped,
}

/// What came from the peer.
#[derive(Debug)]
pub(crate) struct Receiver {
    /// The last packet before which none is missing.
    acknowledged: u16,
    /// Those that came too early; the first place belongs to `acknowledged + 1`, which is missing.
    early: VecDeque<Option<Bytes>>,
    early_bytes: usize,
    ready: VecDeque<Bytes>,
    /// Small payloads, which come after `ready`.
    gathered: BytesMut,
    ready_bytes: usize,
    /// The number of the FIN.
    end: Option<u16>,
    /// The host wants nothing more: what comes is acknowledged and forgotten.
    discarding: bool,
}

impl Receiver {
    /// The packet before the first is `acknowledged`.
    pub(crate) fn new(acknowledged: u16) -> Self {
        Self {
            acknowledged,
            early: VecDeque::new(),
            early_bytes: 0,
            ready: VecDeque::new(),
            gathered: BytesMut::new(),
            ready_bytes: 0,
            end: None,
            discarding: false,
        }
    }

    pub(crate) fn acknowledged(&self) -> u16 {
        self.acknowledged
    }

    /// Bytes that are held.
    pub(crate) fn held(&self) -> usize {
        self.ready_bytes + self.early_bytes
    }

    /// Whether something can be read, be it the end.
    pub(crate) fn is_readable(&self) -> bool {
        self.ready_bytes > 0 || self.is_complete()
    }

    /// Whether all came up to the peer's FIN.
    pub(crate) fn is_complete(&self) -> bool {
        self.end == Some(self.acknowledged)
    }

    /// How much more the peer may send: the connection's buffer, as far as the endpoint's budget goes.
    pub(crate) fn room(&self, capacity: usize, budget: usize) -> usize {
        let reserved = MIN_RECEIVE_BYTES.saturating_sub(self.held());
        capacity.saturating_sub(self.held()).min(budget.max(reserved))
    }

    /// Takes a DATA packet.
    pub(crate) fn data(&mut self, sequence: u16, payload: Bytes, capacity: usize, budget: usize) -> Arrival {
        let ahead = offset(self.acknowledged, sequence);
        if ahead <= 0 {
            return Arrival::Duplicate;
        }
        if self.end.is_some_and(|end| offset(sequence, end) <= 0) {
            return Arrival::Dropped;
        }
        if ahead > 1 {
            if payload.len() > capacity.saturating_sub(self.held()).min(budget) {
                return Arrival::Dropped;
            }
            return self.keep(ahead, payload);
        }
        // Packets before it were never read: what came early must not keep out what all wait for.
        let room = capacity.saturating_sub(self.ready_bytes);
        let room = room.min(budget.max(MIN_RECEIVE_BYTES.saturating_sub(self.ready_bytes)));
        if payload.len() > room && !self.discarding {
            return Arrival::Dropped;
        }
        self.early.pop_front();
        self.advance(payload);
        Arrival::InOrder
    }

    /// Takes a FIN packet, whose payload does not count.
    pub(crate) fn fin(&mut self, sequence: u16) -> Arrival {
        let ahead = offset(self.acknowledged, sequence);
        match self.end {
            Some(end) if end != sequence => return Arrival::Dropped,
            None if ahead <= 0 => return Arrival::Duplicate,
            None if ahead <= i32::from(MAX_REORDER_PACKETS) => self.end = Some(sequence),
            None => return Arrival::Dropped,
            Some(_) => {}
        }
        // What lies behind the end was never sent by an honest peer.
        self.early.truncate(usize::try_from(ahead - 1).unwrap_or(0));
        self.early_bytes = self.early.iter().flatten().map(Bytes::len).sum();
        match ahead {
            ..=0 => Arrival::Duplicate,
            1 => {
                self.early.pop_front();
                self.advance(Bytes::new());
                Arrival::InOrder
            }
            _ => self.keep(ahead, Bytes::new()),
        }
    }

    /// Puts a packet into its place in the reorder buffer.
    fn keep(&mut self, ahead: i32, payload: Bytes) -> Arrival {
        if ahead > i32::from(MAX_REORDER_PACKETS) {
            return Arrival::Dropped;
        }
        let at = (ahead - 1) as usize;
        if self.early.len() <= at {
            self.early.resize(at + 1, None);
        }
        let Some(place) = self.early.get_mut(at) else { return Arrival::Dropped };
        if place.is_some() {
            return Arrival::Duplicate;
        }
        let payload = match payload.len() {
            ..SMALL_PAYLOAD => Bytes::copy_from_slice(&payload),
            _ => payload,
        };
        self.early_bytes += payload.len();
        *place = Some(payload);
        Arrival::Early
    }

    /// The next packet in order is here, and with it those that waited for it.
    fn advance(&mut self, payload: Bytes) {
        self.acknowledged = self.acknowledged.wrapping_add(1);
        self.deliver(payload);
        while let Some(Some(next)) = self.early.front_mut() {
            let next = std::mem::take(next);
            self.early.pop_front();
            self.early_bytes -= next.len();
            self.acknowledged = self.acknowledged.wrapping_add(1);
            self.deliver(next);
        }
        if self.early.is_empty() && self.early.capacity() > 0 {
            self.early = VecDeque::new();
        }
    }

    fn deliver(&mut self, payload: Bytes) {
        if self.discarding || payload.is_empty() {
            return;
        }
        self.ready_bytes += payload.len();
        if payload.len() < SMALL_PAYLOAD {
            self.gathered.extend_from_slice(&payload);
            return;
        }
        if !self.gathered.is_empty() {
            self.ready.push_back(self.gathered.split().freeze());
        }
        self.ready.push_back(payload);
    }

    /// The next bytes.
    pub(crate) fn read(&mut self) -> Option<Bytes> {
        let chunk = match self.ready.pop_front() {
            Some(chunk) => chunk,
            None if self.gathered.is_empty() => return None,
            None => std::mem::take(&mut self.gathered).freeze(),
        };
        self.ready_bytes -= chunk.len();
        if self.ready_bytes == 0 {
            (self.ready, self.gathered) = (VecDeque::new(), BytesMut::new());
        }
        Some(chunk)
    }

    /// Forgets what is not read, and all that still comes.
    pub(crate) fn discard(&mut self) {
        self.discarding = true;
        (self.ready, self.gathered, self.ready_bytes) = (VecDeque::new(), BytesMut::new(), 0);
    }

    /// Which packets came early, as the bits of a selective acknowledgement, whose length is a multiple of four
    /// bytes; empty if none is missing.
    pub(crate) fn selective(&self) -> ([u8; MAX_SELECTIVE_BYTES], usize) {
        let mut bits = [0; MAX_SELECTIVE_BYTES];
        let length = self.selective_length();
        for (at, early) in self.early.iter().skip(1).take(length * 8).enumerate() {
            if early.is_some() {
                bits[at / 8] |= 1 << (at % 8);
            }
        }
        (bits, length)
    }

    /// The length of the selective acknowledgement, in bytes.
    pub(crate) fn selective_length(&self) -> usize {
        let places = self.early.len().saturating_sub(1);
        (places.div_ceil(32) * 4).min(MAX_SELECTIVE_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: usize = 1 << 20;

    fn data(receiver: &mut Receiver, sequence: u16, byte: u8) -> Arrival {
        receiver.data(sequence, Bytes::from(vec![byte; 300]), MANY, MANY)
    }

    #[test]
    fn packets_are_put_in_order_and_acknowledged_selectively() {
        let mut receiver = Receiver::new(0xfffe);
        assert_eq!(data(&mut receiver, 1, 3), Arrival::Early);
        assert_eq!(data(&mut receiver, 0, 2), Arrival::Early);
        assert_eq!(data(&mut receiver, 9, 9), Arrival::Early);
        assert_eq!(data(&mut receiver, 9, 9), Arrival::Duplicate);
        // The lowest bit is 0, two after 0xfffe.
        let (bits, length) = receiver.selective();
        assert_eq!(bits[..length], [0b0000_0011, 0b0000_0010, 0, 0]);
        assert_eq!(receiver.read(), None);
        assert_eq!(data(&mut receiver, 0xffff, 1), Arrival::InOrder);
        assert_eq!(receiver.acknowledged(), 1);
        let read: Vec<u8> = std::iter::from_fn(|| receiver.read()).map(|chunk| chunk[0]).collect();
        assert_eq!(read, [1, 2, 3]);
        assert_eq!(data(&mut receiver, 0xffff, 1), Arrival::Duplicate);
    }

    #[test]
    fn what_came_early_does_not_keep_out_what_is_missing() {
        let mut receiver = Receiver::new(0);
        let payload = || Bytes::from(vec![0; 1000]);
        assert_eq!(receiver.data(2, payload(), 2000, 1 << 20), Arrival::Early);
        assert_eq!(receiver.data(3, payload(), 2000, 1 << 20), Arrival::Early);
        assert_eq!(receiver.data(4, payload(), 2000, 1 << 20), Arrival::Dropped);
        assert_eq!(receiver.data(1, payload(), 2000, 0), Arrival::InOrder);
        assert_eq!(receiver.data(4, payload(), 2000, 1 << 20), Arrival::Dropped, "nobody reads");
        assert_eq!(receiver.room(2000, 1 << 20), 0);
    }

    #[test]
    fn nothing_comes_after_the_end() {
        let mut receiver = Receiver::new(0);
        assert_eq!(data(&mut receiver, 3, 3), Arrival::Early);
        assert_eq!(receiver.fin(2), Arrival::Early);
        assert_eq!(receiver.fin(3), Arrival::Dropped, "another end");
        assert_eq!(data(&mut receiver, 4, 4), Arrival::Dropped);
        assert_eq!(receiver.held(), 0, "what lay behind the end is forgotten");
        assert_eq!(data(&mut receiver, 1, 1), Arrival::InOrder);
        assert!(receiver.is_complete());
        assert_eq!(receiver.fin(2), Arrival::Duplicate);
    }

    #[test]
    fn small_payloads_are_gathered() {
        let mut receiver = Receiver::new(0);
        for sequence in 1..=100 {
            receiver.data(sequence, Bytes::from_static(b"tiny"), MANY, MANY);
        }
        assert_eq!(receiver.read(), Some(Bytes::from(b"tiny".repeat(100))));
        assert_eq!(receiver.read(), None);
        assert_eq!(receiver.held(), 0);
    }
}
