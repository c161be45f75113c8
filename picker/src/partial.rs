//! A piece that has been started: what is known of each block.

use core::time::Duration;

use downpour_base::{Block, ConnectionId, Instant, block_count, block_length};

/// After how long without a block a started piece is stalled.
const STALLED_AFTER: Duration = Duration::from_secs(30);
/// After how long it is, however steadily its blocks trickle in.
const SLOW_AFTER: Duration = Duration::from_secs(5 * 60);

/// The state of each block of a started piece.
#[derive(Debug)]
pub(crate) struct Partial {
    blocks: Vec<BlockState>,
    length: u32,
    /// Blocks that nobody was asked for.
    free: u32,
    /// Blocks that have come.
    received: u32,
    /// No block before this one is free.
    first_free: u32,
    /// Who alone may be asked for it, if anybody.
    pub(crate) owner: Option<ConnectionId>,
    started: Instant,
    /// From when on others may help with what was asked for.
    pub(crate) stalls: Instant,
    /// Under which time the picker's list of stalls has it: no later than `stalls`, and put right when it is looked at, so
    /// that a block costs no change of the list.
    pub(crate) listed: Instant,
}

#[derive(Clone, Debug, Default)]
struct BlockState {
    /// Who was asked. Nearly always one at most; the rest is endgame.
    asked: Option<ConnectionId>,
    asked_too: Vec<ConnectionId>,
    from: Option<ConnectionId>,
}

impl BlockState {
    fn is_free(&self) -> bool {
        self.asked.is_none() && self.from.is_none()
    }

    fn requesters(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.asked.iter().chain(&self.asked_too).copied()
    }
}

impl Partial {
    pub(crate) fn new(now: Instant, piece_length: u32, owner: Option<ConnectionId>) -> Self {
        let count = block_count(piece_length);
        Self {
            blocks: vec![BlockState::default(); count as usize],
            length: piece_length,
            free: count,
            received: 0,
            first_free: 0,
            owner,
            started: now,
            stalls: now + STALLED_AFTER,
            listed: now + STALLED_AFTER,
        }
    }

    /// A block came.
    pub(crate) fn moved(&mut self, now: Instant) {
        self.stalls = (now + STALLED_AFTER).min(self.started + SLOW_AFTER);
    }

    /// Somebody was asked to help.
    pub(crate) fn helped(&mut self, now: Instant) {
        self.stalls = now + STALLED_AFTER;
    }

    pub(crate) fn has_free(&self) -> bool {
        self.free > 0
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.received as usize == self.blocks.len()
    }

    /// Something is missing, and nobody is asked for any of it.
    pub(crate) fn is_orphan(&self) -> bool {
        !self.is_complete() && self.free + self.received == self.blocks.len() as u32
    }

    /// How many bytes have come; the last block counts as a whole one.
    pub(crate) fn received_bytes(&self) -> u32 {
        (self.received * downpour_base::BLOCK_SIZE).min(self.length)
    }

    /// Nothing asked, nothing received: as if never started.
    pub(crate) fn is_untouched(&self) -> bool {
        self.free as usize == self.blocks.len()
    }

    fn block(&self, piece: u32, index: u32) -> Block {
        Block { piece, begin: index * downpour_base::BLOCK_SIZE, length: block_length(self.length, index) }
    }

    /// The position of `block`, if it is a block of this piece and not just any range of bytes.
    pub(crate) fn position(&self, block: Block) -> Option<u32> {
        let index = block.begin / downpour_base::BLOCK_SIZE;
        (index < self.blocks.len() as u32 && self.block(block.piece, index) == block).then_some(index)
    }

    /// Asks `connection` for up to `max` free blocks.
    pub(crate) fn take_free(
        &mut self,
        piece: u32,
        connection: ConnectionId,
        max: usize,
        out: &mut Vec<Block>,
    ) {
        let mut left = max;
        while left > 0 && self.free > 0 {
            let index = self.first_free;
            if self.blocks[index as usize].is_free() {
                self.blocks[index as usize].asked = Some(connection);
                self.free -= 1;
                left -= 1;
                out.push(self.block(piece, index));
            }
            self.first_free += 1;
        }
    }

    /// Asks `connection` too for up to `max` blocks that others were asked for, those with the fewest
    /// requesters first, and no block from more than `copies` peers.
    pub(crate) fn take_endgame(
        &mut self,
        piece: u32,
        connection: ConnectionId,
        copies: usize,
        max: usize,
        out: &mut Vec<Block>,
    ) {
        let mut open: Vec<(usize, u32)> = (0..)
            .zip(&self.blocks)
            .filter(|(_, block)| block.asked.is_some() && block.requesters().all(|asked| asked != connection))
            .map(|(index, block)| (block.requesters().count(), index))
            .filter(|(requesters, _)| *requesters < copies)
            .collect();
        open.sort_unstable();
        for (_, index) in open.into_iter().take(max) {
            self.blocks[index as usize].asked_too.push(connection);
            out.push(self.block(piece, index));
        }
    }

    /// `connection` will not deliver `index`.
    pub(crate) fn abandon(&mut self, connection: ConnectionId, index: u32) {
        let block = &mut self.blocks[index as usize];
        if block.asked == Some(connection) {
            block.asked = block.asked_too.pop();
        } else {
            block.asked_too.retain(|asked| *asked != connection);
        }
        if block.is_free() {
            // It was asked before: a block that came keeps `from`, so it is not counted twice.
            self.free += 1;
            self.first_free = self.first_free.min(index);
        }
    }

    /// Whether `connection` was asked for `index`.
    pub(crate) fn is_asked(&self, connection: ConnectionId, index: u32) -> bool {
        self.blocks[index as usize].requesters().any(|asked| asked == connection)
    }

    /// The block came from `connection`. `None` if it had come before; else the others that were asked.
    pub(crate) fn receive(&mut self, connection: ConnectionId, index: u32) -> Option<Vec<ConnectionId>> {
        let block = &mut self.blocks[index as usize];
        if block.from.is_some() {
            return None;
        }
        if block.is_free() {
            self.free -= 1;
        }
        let others = block.requesters().filter(|asked| *asked != connection).collect();
        *block = BlockState { from: Some(connection), ..BlockState::default() };
        self.received += 1;
        Some(others)
    }
}
