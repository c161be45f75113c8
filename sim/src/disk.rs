//! A disk in memory: it knows which pieces it holds.

use std::collections::BTreeMap;

use downpour_base::{Bitfield, Block, Instant, TorrentId};
use downpour_swarm::StoreResult;

use crate::Token;
use crate::event::Torrent;
use crate::network::duration;

/// Hashes and writes one piece after another; reads at once, as from a page cache.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pieces: BTreeMap<TorrentId, Bitfield>,
    free: Instant,
}

impl Disk {
    pub(crate) fn prepare(&mut self, id: TorrentId, torrent: &Torrent, full: bool) {
        let count = torrent.piece_count();
        let pieces = || if full { Bitfield::full(count) } else { Bitfield::new(count) };
        self.pieces.entry(id).or_insert_with(pieces);
    }

    pub(crate) fn pieces(&self, torrent: TorrentId) -> Option<&Bitfield> {
        self.pieces.get(&torrent)
    }

    /// Verifies the blocks of `piece`. Returns the verdict and when it is known.
    pub(crate) fn store(
        &mut self,
        now: Instant,
        bytes_per_second: u64,
        (id, torrent): (TorrentId, &Torrent),
        piece: u32,
        blocks: &[Token],
    ) -> (StoreResult, Instant) {
        self.free = self.free.max(now) + duration(torrent.piece_size(piece), bytes_per_second);
        let right = torrent.blocks(piece).count() == blocks.len()
            && torrent.blocks(piece).zip(blocks).all(|(block, token)| token.is(id, block));
        (if right { StoreResult::Stored } else { StoreResult::HashMismatch }, self.free)
    }

    /// A piece is written.
    pub(crate) fn written(&mut self, torrent: TorrentId, piece: u32) {
        if let Some(pieces) = self.pieces.get_mut(&torrent) {
            pieces.insert(piece);
        }
    }

    /// The content of a block.
    ///
    /// # Panics
    /// If its piece is not stored: then a machine serves what it does not have.
    pub(crate) fn read(&self, torrent: TorrentId, block: Block, corrupt: bool) -> Token {
        let had = self.pieces.get(&torrent).is_some_and(|pieces| pieces.contains(block.piece));
        assert!(had, "a machine sends {block:?} of {torrent:?}, which is not stored");
        Token::new(torrent, block, corrupt)
    }
}
