//! Which pieces a peer has.

use downpour_base::Bitfield;

use crate::PieceSet;

/// The pieces of one peer. A seed costs nothing, and neither does a peer that has none.
#[derive(Clone, Debug)]
pub struct PeerPieces {
    len: u32,
    held: Held,
}

#[derive(Clone, Debug)]
enum Held {
    None,
    Some(PieceSet),
    All,
}

impl PeerPieces {
    /// A peer without pieces, of a torrent of `len` pieces.
    #[must_use]
    pub fn none(len: u32) -> Self {
        Self { len, held: Held::None }
    }

    /// A seed.
    #[must_use]
    pub fn all(len: u32) -> Self {
        Self { len, held: Held::All }
    }

    /// What a bitfield says.
    #[must_use]
    pub fn from_bitfield(bits: &Bitfield) -> Self {
        let mut pieces = Self::none(bits.len());
        if bits.is_full() {
            pieces.held = Held::All;
        } else {
            bits.iter().for_each(|piece| {
                pieces.insert(piece);
            });
        }
        pieces
    }

    /// Whether the peer has `piece`.
    #[must_use]
    pub fn contains(&self, piece: u32) -> bool {
        match &self.held {
            Held::None => false,
            Held::Some(set) => set.contains(piece),
            Held::All => piece < self.len,
        }
    }

    /// Takes note that the peer has `piece`. Returns whether that is news. A peer that completes this way
    /// becomes no [`all`](Self::all): it stays counted piece by piece, as it was.
    pub fn insert(&mut self, piece: u32) -> bool {
        match &mut self.held {
            Held::All => false,
            Held::Some(set) => set.insert(piece),
            Held::None if piece < self.len => {
                let mut set = PieceSet::new(self.len);
                set.insert(piece);
                self.held = Held::Some(set);
                true
            }
            Held::None => false,
        }
    }

    /// How many pieces the peer has.
    #[must_use]
    pub fn count(&self) -> u32 {
        match &self.held {
            Held::None => 0,
            Held::Some(set) => set.count(),
            Held::All => self.len,
        }
    }

    /// Whether the peer has every piece.
    #[must_use]
    pub fn is_seed(&self) -> bool {
        self.count() == self.len
    }

    /// Whether the peer was a seed from the start and is counted as such.
    pub(crate) fn is_all(&self) -> bool {
        matches!(self.held, Held::All)
    }

    /// The pieces of a peer that is counted piece by piece.
    pub(crate) fn counted(&self) -> impl Iterator<Item = u32> + '_ {
        let set = match &self.held {
            Held::Some(set) => Some(set),
            Held::None | Held::All => None,
        };
        set.into_iter().flat_map(PieceSet::iter)
    }

    /// The first piece at or after `from`, then from the start on, that is in `set` and that the peer has.
    pub(crate) fn first_in(&self, set: &PieceSet, from: u32) -> Option<u32> {
        self.first_in_within(set, from, u32::MAX)
    }

    /// As [`first_in`](Self::first_in), but gives up when it has looked at `budget` words.
    pub(crate) fn first_in_within(&self, set: &PieceSet, from: u32, mut budget: u32) -> Option<u32> {
        let mut find = |from| match &self.held {
            Held::None => None,
            Held::Some(held) => set.first_common_within(held, from, &mut budget),
            Held::All => set.first_from(from),
        };
        find(from).or_else(|| if from == 0 { None } else { find(0) })
    }
}
