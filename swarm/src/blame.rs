//! Who sent bad data: found by comparing the bad copies of a piece with the good one, block by block.

use std::collections::{BTreeMap, VecDeque};

use downpour_base::{BLOCK_SIZE, Block, ConnectionId, PeerEndpoint};
use thiserror::Error;

use crate::limits::{MAX_BAD_COPIES, MAX_SUSPECT_BLOCKS};

/// The SHA-1 of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BlockDigest(pub [u8; 20]);

/// What a peer was banned for. Either is certain: nobody is banned for what somebody else may have sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum BanReason {
    /// It alone sent a piece that did not verify.
    #[error("sent all of piece {0}, which failed the hash check")]
    CorruptPiece(u32),
    /// It sent a block that differs from that of the copy that verified.
    #[error("sent wrong data at {} of piece {}", .0.begin, .0.piece)]
    CorruptBlock(Block),
}

/// Who sent a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sender {
    pub(crate) connection: ConnectionId,
    pub(crate) endpoint: PeerEndpoint,
}

/// Who sent each block of one copy of a piece.
#[derive(Clone, Debug, Default)]
pub(crate) struct Senders {
    /// Each once, in the order in which they came.
    pub(crate) who: Vec<Sender>,
    /// For each block a place in `who`.
    of: Vec<u32>,
}

impl Senders {
    pub(crate) fn note(&mut self, index: u32, sender: Sender) {
        let known = self.who.iter().position(|other| other.connection == sender.connection);
        let place = known.unwrap_or_else(|| {
            self.who.push(sender);
            self.who.len() - 1
        });
        let index = index as usize;
        self.of.resize(self.of.len().max(index + 1), 0);
        self.of[index] = place as u32;
    }

    /// Those of whom a block has another digest in `good` than in `bad`, with the first such block.
    fn guilty(&self, piece: u32, bad: &[BlockDigest], good: &[BlockDigest]) -> Vec<(Sender, Block)> {
        let mut guilty: Vec<(Sender, Block)> = Vec::new();
        for (index, (place, (bad, good))) in (0..).zip(self.of.iter().zip(bad.iter().zip(good))) {
            let Some(sender) = self.who.get(*place as usize) else { continue };
            if bad != good && guilty.iter().all(|(known, _)| known != sender) {
                // The last block of all may be shorter; its place says enough.
                guilty.push((*sender, Block { piece, begin: index * BLOCK_SIZE, length: BLOCK_SIZE }));
            }
        }
        guilty
    }
}

/// A copy of a piece that did not verify.
#[derive(Debug)]
struct BadCopy {
    senders: Senders,
    digests: Vec<BlockDigest>,
}

/// What became of those who had a part in bad copies of a piece.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) guilty: Vec<(Sender, Block)>,
    /// Everybody else.
    pub(crate) cleared: Vec<ConnectionId>,
}

/// The bad copies of pieces that have no good copy yet. When there are too many, the oldest are forgotten: their
/// senders are then never blamed.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    copies: BTreeMap<u32, Vec<BadCopy>>,
    /// The piece of each copy, oldest first.
    order: VecDeque<u32>,
    blocks: usize,
}

impl Suspects {
    /// Several peers had a part in a bad copy.
    pub(crate) fn remember(&mut self, piece: u32, senders: Senders, digests: Vec<BlockDigest>) {
        self.blocks += digests.len();
        let copies = self.copies.entry(piece).or_default();
        copies.push(BadCopy { senders, digests });
        self.order.push_back(piece);
        if copies.len() > MAX_BAD_COPIES {
            self.forget_oldest(piece);
            if let Some(at) = self.order.iter().position(|other| *other == piece) {
                self.order.remove(at);
            }
        }
        while self.blocks > MAX_SUSPECT_BLOCKS {
            let Some(oldest) = self.order.pop_front() else { return };
            self.forget_oldest(oldest);
        }
    }

    fn forget_oldest(&mut self, piece: u32) {
        let Some(copies) = self.copies.get_mut(&piece).filter(|copies| !copies.is_empty()) else { return };
        self.blocks -= copies.remove(0).digests.len();
        if copies.is_empty() {
            self.copies.remove(&piece);
        }
    }

    /// Whether the digests of a good copy of `piece` would tell something.
    pub(crate) fn suspects(&self, piece: u32) -> bool {
        self.copies.contains_key(&piece)
    }

    /// A copy of `piece` verified, and these are the digests of its blocks.
    pub(crate) fn resolve(&mut self, piece: u32, good: &[BlockDigest]) -> Verdict {
        let mut verdict = Verdict::default();
        let Some(copies) = self.copies.remove(&piece) else { return verdict };
        self.order.retain(|other| *other != piece);
        for copy in &copies {
            self.blocks -= copy.digests.len();
            verdict.guilty.extend(copy.senders.guilty(piece, &copy.digests, good));
        }
        let everybody = copies.iter().flat_map(|copy| &copy.senders.who).map(|sender| sender.connection);
        let guilty = |connection: &ConnectionId| {
            verdict.guilty.iter().any(|(sender, _)| sender.connection == *connection)
        };
        verdict.cleared = everybody.filter(|connection| !guilty(connection)).collect();
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(number: u64) -> Sender {
        let address = ([10, 0, 0, number as u8], 1).into();
        Sender { connection: ConnectionId(number), endpoint: PeerEndpoint::Tcp(address) }
    }

    fn copy(parts: &[(u64, u8)]) -> (Senders, Vec<BlockDigest>) {
        let mut senders = Senders::default();
        (0..).zip(parts).for_each(|(index, part)| senders.note(index, sender(part.0)));
        (senders, parts.iter().map(|part| BlockDigest([part.1; 20])).collect())
    }

    #[test]
    fn who_sent_a_block_that_differs_is_guilty_and_the_others_are_cleared() {
        let mut suspects = Suspects::default();
        let (senders, digests) = copy(&[(1, 0), (2, 9), (3, 0), (2, 0)]);
        suspects.remember(7, senders, digests);
        let (senders, digests) = copy(&[(1, 0), (4, 0), (3, 8), (4, 0)]);
        suspects.remember(7, senders, digests);
        assert!(suspects.suspects(7) && !suspects.suspects(6));
        let verdict = suspects.resolve(7, &[BlockDigest([0; 20]); 4]);
        let guilty: Vec<u64> = verdict.guilty.iter().map(|(sender, _)| sender.connection.0).collect();
        assert_eq!(guilty, [2, 3]);
        assert_eq!(verdict.guilty[0].1.begin, BLOCK_SIZE);
        assert!(verdict.cleared.iter().all(|connection| [1, 4].contains(&connection.0)));
        assert_eq!((suspects.blocks, suspects.order.len(), suspects.copies.len()), (0, 0, 0));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_oldest_goes_first() {
        let mut suspects = Suspects::default();
        for round in 0..3 * MAX_SUSPECT_BLOCKS as u32 / 64 {
            let (senders, digests) = copy(&[(1, 0); 64]);
            suspects.remember(round % 2000, senders, digests);
            assert!(suspects.blocks <= MAX_SUSPECT_BLOCKS);
            assert!(suspects.copies.values().all(|copies| copies.len() <= MAX_BAD_COPIES));
            let count: usize = suspects.copies.values().flatten().map(|copy| copy.digests.len()).sum();
            assert_eq!((count, suspects.order.len() * 64), (suspects.blocks, suspects.blocks));
        }
        assert!(!suspects.suspects(0) || suspects.suspects(1));
    }
}
