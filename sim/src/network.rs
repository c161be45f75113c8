//! Lines: packets, uplinks, downlinks.

use core::time::Duration;
use std::collections::VecDeque;

use bytes::Bytes;
use downpour_base::{Block, ConnectionId, Instant};
use downpour_wire::PIECE_HEADER_LENGTH;

use crate::Token;

/// Bytes that may wait in a connection for the uplink, but for what the last packet is longer.
pub(crate) const SEND_BUFFER: u32 = 64 << 10;
/// Bytes of a connection that may be on the way or unread, but for what the last packet is longer.
pub(crate) const WINDOW: u32 = 1 << 20;
/// Headers of TCP and IP are not counted; an empty packet would take no time.
const NANOS: u128 = 1_000_000_000;

/// What goes over a connection in one piece.
#[derive(Clone, Debug)]
pub(crate) enum Packet {
    Bytes(Bytes),
    Block { header: [u8; PIECE_HEADER_LENGTH], block: Block, token: Token },
}

impl Packet {
    /// The bytes that it stands for.
    pub(crate) fn len(&self) -> u32 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u32,
            Self::Block { header, block, .. } => header.len() as u32 + block.length,
        }
    }

    /// Those of them that are payload.
    pub(crate) fn payload_len(&self) -> u32 {
        match self {
            Self::Bytes(_) => 0,
            Self::Block { block, .. } => block.length,
        }
    }
}

/// How long `bytes` take.
pub(crate) fn duration(bytes: u32, bytes_per_second: u64) -> Duration {
    let nanos = u128::from(bytes) * NANOS / u128::from(bytes_per_second.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Sends one packet at a time, of each connection in turn.
#[derive(Debug, Default)]
pub(crate) struct Uplink {
    /// Who has something to send, and a peer who takes it.
    pub(crate) turns: VecDeque<ConnectionId>,
    /// What is being sent.
    pub(crate) sending: Option<(ConnectionId, Packet)>,
    /// Payload sent to the end.
    pub(crate) payload_bytes: u64,
}

/// Lets packets through one after another.
#[derive(Debug, Default)]
pub(crate) struct Downlink {
    free: Instant,
}

impl Downlink {
    /// When a packet that arrives at `now` is through.
    pub(crate) fn pass(&mut self, now: Instant, bytes: u32, bytes_per_second: u64) -> Instant {
        self.free = self.free.max(now) + duration(bytes, bytes_per_second);
        self.free
    }
}
