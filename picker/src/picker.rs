//! Which block to ask from whom.

use std::collections::{BTreeMap, BTreeSet};

use downpour_base::{Bitfield, Block, ConnectionId, Instant, Map, MapKey, Rng, Seed, Set};

use crate::partial::Partial;
use crate::{PeerPieces, PieceSet, Priority};

/// Up to this many copies, rarity is exact.
const EXACT_RARITY: u16 = 15;

/// What became of a block that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// It is wanted and now accounted for.
    Accepted {
        /// Whether the piece has all its blocks now and waits for
        /// [`piece_passed`](Picker::piece_passed) or [`piece_failed`](Picker::piece_failed).
        complete: bool,
        /// Who was asked for it too, and can be sent `cancel`.
        others: Vec<ConnectionId>,
    },
    /// It had come before, or belongs to no piece that is being downloaded.
    Unwanted,
}

/// Orders the classes: the lowest is picked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Class {
    /// 7 minus the priority.
    pub(crate) reluctance: u8,
    /// 0 for a started piece.
    pub(crate) fresh: u8,
    pub(crate) rarity: u8,
}

/// Keeps track of every piece and block of a torrent, and picks.
///
/// A piece that can be picked (wanted, missing, with a block that nobody was asked for) is in exactly one class.
/// Whoever changes availability, priority or progress of a piece reclassifies it at once.
#[derive(Debug)]
pub struct Picker {
    total_length: u64,
    piece_length: u32,
    have: Bitfield,
    /// Wanted and not had: decides interest.
    pub(crate) missing: PieceSet,
    /// Started pieces whose blocks have all been asked for, but have not all come.
    pub(crate) exhausted: PieceSet,
    pub(crate) classes: BTreeMap<Class, PieceSet>,
    /// An empty set to reuse, since classes come and go.
    spare: Option<PieceSet>,
    /// Where each piece is.
    pub(crate) class_of: Vec<Option<Class>>,
    pub(crate) partials: Map<u32, Partial>,
    /// The incomplete ones by when they stall.
    pub(crate) stalls: BTreeSet<(Instant, u32)>,
    /// Pieces that one peer alone is to be asked for, and those that it is.
    pub(crate) distrusted: Set<u32>,
    pub(crate) owned: BTreeSet<(ConnectionId, u32)>,
    pub(crate) started_bytes: u64,
    /// Copies among the peers that are not seeds; a seed adds one to all alike, which changes no order.
    copies: Vec<u16>,
    seeds: u32,
    priorities: Vec<Priority>,
    pub(crate) deadlines: BTreeMap<(Instant, u32), ()>,
    deadline_of: Map<u32, Instant>,
    pub(crate) sequential: bool,
    pub(crate) rng: Rng,
}

impl Picker {
    /// A picker for a torrent of `total_length` bytes in pieces of `piece_length`, of which nothing is had.
    #[must_use]
    pub fn new(total_length: u64, piece_length: u32, seed: Seed) -> Self {
        let piece_length = piece_length.max(1);
        let count = total_length.div_ceil(u64::from(piece_length)) as u32;
        let mut rng = Rng::new(seed);
        let key = MapKey::new(&mut rng);
        let mut picker = Self {
            total_length,
            piece_length,
            have: Bitfield::new(count),
            missing: PieceSet::new(count),
            exhausted: PieceSet::new(count),
            classes: BTreeMap::new(),
            spare: None,
            class_of: vec![None; count as usize],
            partials: key.map(),
            stalls: BTreeSet::new(),
            distrusted: key.set(),
            owned: BTreeSet::new(),
            started_bytes: 0,
            copies: vec![0; count as usize],
            seeds: 0,
            priorities: vec![Priority::DEFAULT; count as usize],
            deadlines: BTreeMap::new(),
            deadline_of: key.map(),
            sequential: false,
            rng,
        };
        (0..count).for_each(|piece| picker.reclassify(piece));
        picker
    }

    /// How many pieces there are.
    #[must_use]
    pub fn piece_count(&self) -> u32 {
        self.have.len()
    }

    /// The length of every piece but the last, in bytes.
    #[must_use]
    pub fn piece_length(&self) -> u32 {
        self.piece_length
    }

    /// The length of `piece` in bytes.
    #[must_use]
    pub fn piece_size(&self, piece: u32) -> u32 {
        let begin = u64::from(piece) * u64::from(self.piece_length);
        self.total_length.saturating_sub(begin).min(u64::from(self.piece_length)) as u32
    }

    /// The pieces that are had and verified.
    #[must_use]
    pub fn have(&self) -> &Bitfield {
        &self.have
    }

    /// Whether nothing that is wanted is missing.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.missing.is_empty()
    }

    /// How many pieces are wanted and missing.
    #[must_use]
    pub fn missing_count(&self) -> u32 {
        self.missing.count()
    }

    /// The number of copies of `piece` among the peers.
    #[must_use]
    pub fn availability(&self, piece: u32) -> u32 {
        self.copies.get(piece as usize).map_or(0, |copies| u32::from(*copies) + self.seeds)
    }

    /// Counts the pieces of a peer that came. O(pieces it has), O(1) for a seed.
    pub fn add_peer(&mut self, pieces: &PeerPieces) {
        if pieces.is_all() {
            self.seeds += 1;
        }
        pieces.counted().for_each(|piece| self.change_copies(piece, true));
    }

    /// Forgets the pieces of a peer that left.
    pub fn remove_peer(&mut self, pieces: &PeerPieces) {
        if pieces.is_all() {
            self.seeds = self.seeds.saturating_sub(1);
        }
        pieces.counted().for_each(|piece| self.change_copies(piece, false));
    }

    /// Counts one more copy of a piece; for a peer whose [`PeerPieces::insert`] said it is news.
    pub fn peer_has(&mut self, piece: u32) {
        self.change_copies(piece, true);
    }

    fn change_copies(&mut self, piece: u32, more: bool) {
        let Some(copies) = self.copies.get_mut(piece as usize) else { return };
        *copies = if more { copies.saturating_add(1) } else { copies.saturating_sub(1) };
        self.reclassify(piece);
    }

    /// A piece that a peer has and that is wanted, if there is one: a peer is interesting as long as that one is
    /// [`missing`](Self::is_missing). Searched from `from` on: who begins with the last answer looks at each piece once while a
    /// download lasts, and not with every piece that comes.
    #[must_use]
    pub fn interesting_piece(&self, pieces: &PeerPieces, from: u32) -> Option<u32> {
        pieces.first_in(&self.missing, from)
    }

    /// Whether `piece` is wanted and not had.
    #[must_use]
    pub fn is_missing(&self, piece: u32) -> bool {
        self.missing.contains(piece)
    }

    /// How much `piece` is wanted.
    #[must_use]
    pub fn priority(&self, piece: u32) -> Priority {
        self.priorities.get(piece as usize).copied().unwrap_or(Priority::SKIP)
    }

    /// Changes how much `piece` is wanted.
    pub fn set_priority(&mut self, piece: u32, priority: Priority) {
        if let Some(slot) = self.priorities.get_mut(piece as usize) {
            *slot = priority;
            self.reclassify(piece);
        }
    }

    /// Changes how much each piece is wanted: those past the end of `priorities` stay as they are. O(pieces).
    pub fn set_priorities(&mut self, priorities: impl IntoIterator<Item = Priority>) {
        (0..self.piece_count()).zip(priorities).for_each(|(piece, priority)| {
            if self.priority(piece) != priority {
                self.set_priority(piece, priority);
            }
        });
    }

    /// Sets or clears the time by which `piece` is needed. It is then wanted whatever its priority.
    pub fn set_deadline(&mut self, piece: u32, deadline: Option<Instant>) {
        if piece >= self.piece_count() {
            return;
        }
        let old = match deadline {
            Some(at) => self.deadline_of.insert(piece, at),
            None => self.deadline_of.remove(&piece),
        };
        if let Some(old) = old {
            self.deadlines.remove(&(old, piece));
        }
        if let Some(at) = deadline {
            self.deadlines.insert((at, piece), ());
        }
        self.reclassify(piece);
    }

    /// Picks by index instead of rarity, or goes back to that. O(pieces).
    pub fn set_sequential(&mut self, sequential: bool) {
        if self.sequential != sequential {
            self.sequential = sequential;
            (0..self.piece_count()).for_each(|piece| self.reclassify(piece));
        }
    }

    /// The next copy of `piece` is to come from one peer alone, so that it is clear who sent what.
    pub fn distrust(&mut self, piece: u32) {
        if piece < self.piece_count() {
            self.distrusted.insert(piece);
        }
    }

    /// The piece lengths of all pieces that are started and neither passed nor failed, in bytes.
    #[must_use]
    pub fn started_bytes(&self) -> u64 {
        self.started_bytes
    }

    /// Forgets a started piece that nobody is asked for any more, the one with the fewest blocks; a piece that is no longer
    /// wanted first. Returns which, and how many bytes of it had come. For a caller that has no memory left for others:
    /// its peers left, or have other pieces only.
    pub fn drop_orphan(&mut self) -> Option<(u32, u32)> {
        let orphans = self.partials.iter().filter(|(_, partial)| partial.is_orphan());
        let rank = |piece: u32, received: u32| (self.missing.contains(piece), received, piece);
        let (_, received, piece) =
            orphans.map(|(piece, partial)| rank(*piece, partial.received_bytes())).min()?;
        self.drop_partial(piece);
        self.reclassify(piece);
        Some((piece, received))
    }

    /// Forgets what is known of a started piece.
    fn drop_partial(&mut self, piece: u32) {
        if let Some(partial) = self.partials.remove(&piece) {
            self.stalls.remove(&(partial.listed, piece));
            if let Some(owner) = partial.owner {
                self.owned.remove(&(owner, piece));
            }
            self.started_bytes -= u64::from(self.piece_length);
        }
    }

    /// `connection` will not deliver `block` after all. Returns whether it had been asked for it.
    pub fn abandon(&mut self, connection: ConnectionId, block: Block) -> bool {
        let Some(partial) = self.partials.get_mut(&block.piece) else { return false };
        let Some(index) = partial.position(block).filter(|index| partial.is_asked(connection, *index)) else {
            return false;
        };
        partial.abandon(connection, index);
        let owner = partial.owner;
        if partial.is_untouched() {
            self.drop_partial(block.piece);
        } else if owner == Some(connection) {
            self.share(block.piece);
        }
        self.reclassify(block.piece);
        true
    }

    /// A block came from `connection`. Whether it had been asked for is the caller's to know.
    pub fn received(&mut self, now: Instant, connection: ConnectionId, block: Block) -> Receipt {
        let Some(partial) = self.partials.get_mut(&block.piece) else { return Receipt::Unwanted };
        let Some(index) = partial.position(block) else { return Receipt::Unwanted };
        let Some(others) = partial.receive(connection, index) else { return Receipt::Unwanted };
        let complete = partial.is_complete();
        partial.moved(now);
        if complete {
            self.stalls.remove(&(partial.listed, block.piece));
        } else if partial.stalls < partial.listed {
            self.list_stall(block.piece);
        }
        self.reclassify(block.piece);
        Receipt::Accepted { complete, others }
    }

    /// `piece` is had, verified and stored.
    pub fn piece_passed(&mut self, piece: u32) {
        self.drop_partial(piece);
        self.distrusted.remove(&piece);
        self.have.insert(piece);
        self.set_deadline(piece, None);
        self.reclassify(piece);
    }

    /// `piece` did not verify, or could not be stored: it is to be downloaded again.
    pub fn piece_failed(&mut self, piece: u32) {
        self.drop_partial(piece);
        self.reclassify(piece);
    }

    /// `piece` is no longer had.
    pub fn piece_lost(&mut self, piece: u32) {
        self.have.remove(piece);
        self.reclassify(piece);
    }

    /// Puts `piece`, if there is one of that number, where it belongs. O(log n).
    pub(crate) fn reclassify(&mut self, piece: u32) {
        if piece >= self.piece_count() {
            return;
        }
        let priority = self.priority(piece);
        let due = self.deadline_of.contains_key(&piece);
        let wanted = !self.have.contains(piece) && (priority > Priority::SKIP || due);
        let partial = self.partials.get(&piece);
        let shared = partial.is_none_or(|partial| partial.owner.is_none());
        let pickable = wanted && shared && partial.is_none_or(Partial::has_free);
        let exhausted =
            wanted && shared && partial.is_some_and(|partial| !partial.has_free() && !partial.is_complete());
        let class = pickable.then(|| Class {
            reluctance: 7 - priority.level(),
            fresh: u8::from(partial.is_none()),
            rarity: if self.sequential { 0 } else { rarity(self.copies[piece as usize]) },
        });
        if wanted {
            self.missing.insert(piece);
        } else {
            self.missing.remove(piece);
        }
        if exhausted {
            self.exhausted.insert(piece);
        } else {
            self.exhausted.remove(piece);
        }
        let old = std::mem::replace(&mut self.class_of[piece as usize], class);
        if old == class {
            return;
        }
        if let Some(old) = old
            && let Some(set) = self.classes.get_mut(&old)
        {
            set.remove(piece);
            if set.is_empty() {
                self.spare = self.classes.remove(&old);
            }
        }
        if let Some(class) = class {
            let (spare, count) = (&mut self.spare, self.have.len());
            let set = self.classes.entry(class);
            set.or_insert_with(|| spare.take().unwrap_or_else(|| PieceSet::new(count))).insert(piece);
        }
    }
}

/// The number of copies, exact while it matters most, then in powers of two: a piece with 40 copies and one with
/// 50 are equally safe.
fn rarity(copies: u16) -> u8 {
    if copies <= EXACT_RARITY { copies as u8 } else { 12 + (16 - copies.leading_zeros()) as u8 }
}
