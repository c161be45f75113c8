//! The bytes of a block on their way from the socket to the disk.

use bytes::{Bytes, BytesMut};
use downpour_session::Payload;

/// Chunks below this size are copied together, so that a peer that sends byte by byte cannot make us keep a
/// handle for each byte.
const SMALL: usize = 2048;

/// The bytes of a block, in as few chunks as they came in.
#[derive(Debug, Default)]
pub(crate) struct BlockBytes {
    chunks: Vec<Bytes>,
    small: BytesMut,
}

impl Payload for BlockBytes {
    fn push(&mut self, chunk: Bytes) {
        if chunk.len() < SMALL {
            self.small.extend_from_slice(&chunk);
            return;
        }
        self.settle();
        self.chunks.push(chunk);
    }
}

impl BlockBytes {
    fn settle(&mut self) {
        if !self.small.is_empty() {
            self.chunks.push(self.small.split().freeze());
        }
    }

    /// The chunks, in order.
    pub(crate) fn chunks(&mut self) -> &[Bytes] {
        self.settle();
        &self.chunks
    }
}
