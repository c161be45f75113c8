//! A set of pieces that can be intersected without looking at each.

/// A bitmap under a tree of summaries: bit `i` of a level says whether word `i` of the level below has a bit.
///
/// Two sets over 2^20 pieces meet in four steps when their summaries are sparse. `insert` and `remove` are
/// O(log n) with base 64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PieceSet {
    /// From the pieces themselves up to a single word.
    levels: Vec<Vec<u64>>,
    len: u32,
    count: u32,
}

impl PieceSet {
    /// The empty set over `len` pieces.
    #[must_use]
    pub fn new(len: u32) -> Self {
        let mut levels = Vec::new();
        let mut bits = len as usize;
        loop {
            let words = bits.div_ceil(64).max(1);
            levels.push(vec![0; words]);
            if words == 1 {
                break;
            }
            bits = words;
        }
        Self { levels, len, count: 0 }
    }

    /// How many pieces the set is over.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether no piece is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many pieces are in the set.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether `piece` is in the set; `false` past the end.
    #[must_use]
    pub fn contains(&self, piece: u32) -> bool {
        piece < self.len && self.levels[0][(piece / 64) as usize] & (1 << (piece % 64)) != 0
    }

    /// Puts `piece` in. Returns whether it was new; past the end nothing happens.
    pub fn insert(&mut self, piece: u32) -> bool {
        if piece >= self.len || self.contains(piece) {
            return false;
        }
        let mut at = piece as usize;
        for level in &mut self.levels {
            let word = &mut level[at / 64];
            let was_empty = *word == 0;
            *word |= 1 << (at % 64);
            if !was_empty {
                break;
            }
            at /= 64;
        }
        self.count += 1;
        true
    }

    /// Takes `piece` out. Returns whether it was there.
    pub fn remove(&mut self, piece: u32) -> bool {
        if !self.contains(piece) {
            return false;
        }
        let mut at = piece as usize;
        for level in &mut self.levels {
            let word = &mut level[at / 64];
            *word &= !(1 << (at % 64));
            if *word != 0 {
                break;
            }
            at /= 64;
        }
        self.count -= 1;
        true
    }

    /// The first piece at or after `from` that is in the set.
    #[must_use]
    pub fn first_from(&self, from: u32) -> Option<u32> {
        self.descend(None, self.levels.len() - 1, 0, from, &mut { u32::MAX })
    }

    /// The first piece at or after `from` that is in both sets, which must be over equally many pieces.
    #[must_use]
    pub fn first_common(&self, other: &Self, from: u32) -> Option<u32> {
        self.first_common_within(other, from, &mut { u32::MAX })
    }

    /// As [`first_common`](Self::first_common), but gives up when it has looked at `budget` words.
    pub(crate) fn first_common_within(&self, other: &Self, from: u32, budget: &mut u32) -> Option<u32> {
        debug_assert_eq!(self.len, other.len);
        self.descend(Some(other), self.levels.len() - 1, 0, from, budget)
    }

    fn descend(
        &self,
        other: Option<&Self>,
        level: usize,
        word: usize,
        from: u32,
        budget: &mut u32,
    ) -> Option<u32> {
        *budget = budget.checked_sub(1)?;
        let mut bits = self.levels[level][word] & other.map_or(u64::MAX, |other| other.levels[level][word]);
        let start = from as usize >> (6 * level);
        if start / 64 == word {
            // Children before `from` are out.
            bits &= u64::MAX << (start % 64);
        } else if start / 64 > word {
            return None;
        }
        while bits != 0 {
            let child = word * 64 + bits.trailing_zeros() as usize;
            if level == 0 {
                return Some(child as u32);
            }
            if let Some(found) = self.descend(other, level - 1, child, from, budget) {
                return Some(found);
            }
            bits &= bits - 1;
        }
        None
    }

    /// The pieces in the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(self.first_from(0), |piece| self.first_from(piece + 1))
    }
}
