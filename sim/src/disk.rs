//! A disk in memory: it knows which pieces it holds.

use std::collections::BTreeMap;

use downpour_base::{Bitfield, Block, Instant, TorrentId};
use downpour_swarm::{DiskFailure, Input, JobId, StoreResult};

use crate::Token;
use crate::event::Torrent;
use crate::network::duration;

/// A piece to store.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) job: JobId,
    pub(crate) piece: u32,
    pub(crate) blocks: Vec<Token>,
    pub(crate) digests: bool,
}

/// Hashes and writes one piece after another; reads at once, as from a page cache.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pieces: BTreeMap<TorrentId, Bitfield>,
    free: Instant,
    /// It takes nothing more.
    pub(crate) full: bool,
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

    /// Verifies the blocks of a piece. Returns the verdict for the swarm and when it is known.
    pub(crate) fn store(
        &mut self,
        now: Instant,
        bytes_per_second: u64,
        (id, torrent): (TorrentId, &Torrent),
        store: Store,
    ) -> (Input<Token>, Instant) {
        let Store { job, piece, blocks, digests } = store;
        self.free = self.free.max(now) + duration(torrent.piece_size(piece), bytes_per_second);
        let right = torrent.blocks(piece).count() == blocks.len()
            && torrent.blocks(piece).zip(&blocks).all(|(block, token)| token.is(id, block));
        if right && self.full {
            let failure = DiskFailure { message: "the disk is full".to_owned(), disk_full: true };
            return (Input::NotStored { job, failure, blocks }, self.free);
        }
        let result = if right { StoreResult::Stored } else { StoreResult::HashMismatch };
        let wanted = digests || !right;
        let digests = if wanted { blocks.iter().map(Token::digest).collect() } else { Vec::new() };
        (Input::Stored { job, result, digests }, self.free)
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
