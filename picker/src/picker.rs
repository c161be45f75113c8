//! Which block to ask from whom.

use std::collections::BTreeMap;

use downpour_base::{Bitfield, Block, ConnectionId, Instant, Map, MapKey, Rng, Seed};

use crate::partial::Partial;
use crate::{PeerPieces, PieceSet, Priority};

/// From how many peers a block is asked at once in endgame.
const ENDGAME_COPIES: usize = 4;
/// How many pieces one endgame pick looks at.
const ENDGAME_PIECES: usize = 16;
/// How many words of 64 pieces a pick looks at in one class before it tries the next. Two dense sets that have
/// nothing in common, such as the odd and the even pieces, can only be told apart by looking at all of them.
const PROBES: u32 = 64;
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
struct Class {
    /// 7 minus the priority.
    reluctance: u8,
    /// 0 for a started piece.
    fresh: u8,
    rarity: u8,
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
    missing: PieceSet,
    /// Started pieces whose blocks have all been asked for, but have not all come.
    exhausted: PieceSet,
    classes: BTreeMap<Class, PieceSet>,
    /// An empty set to reuse, since classes come and go.
    spare: Option<PieceSet>,
    /// Where each piece is.
    class_of: Vec<Option<Class>>,
    partials: Map<u32, Partial>,
    started_bytes: u64,
    /// Copies among the peers that are not seeds; a seed adds one to all alike, which changes no order.
    copies: Vec<u16>,
    seeds: u32,
    priorities: Vec<Priority>,
    deadlines: BTreeMap<(Instant, u32), ()>,
    deadline_of: Map<u32, Instant>,
    sequential: bool,
    rng: Rng,
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

    /// Whether a peer has a piece that is wanted.
    #[must_use]
    pub fn is_interesting(&self, pieces: &PeerPieces) -> bool {
        pieces.first_in(&self.missing, 0).is_some()
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

    /// Asks `connection`, which has `pieces`, for up to `max` blocks, and appends them to `out`.
    ///
    /// No more than `fresh_bytes` of pieces that nobody has started are started for it, a short last piece counting like
    /// the others. Returns whether one was passed over for that; then this peer may be asked for what others were
    /// asked for, as in endgame. See also [`drop_orphan`](Self::drop_orphan).
    pub fn pick(
        &mut self,
        connection: ConnectionId,
        pieces: &PeerPieces,
        max: usize,
        mut fresh_bytes: u64,
        out: &mut Vec<Block>,
    ) -> bool {
        let wanted = out.len().saturating_add(max);
        let mut passed_over = false;
        while out.len() < wanted {
            let Some(mut piece) = self.best_piece(pieces, !passed_over) else { break };
            if !self.may_start(piece, fresh_bytes) {
                passed_over = true;
                let Some(started) = self.best_piece(pieces, false) else { break };
                piece = started;
            }
            let started_before = self.started_bytes;
            self.pick_piece(connection, piece, wanted - out.len(), fresh_bytes, out);
            fresh_bytes = fresh_bytes.saturating_sub(self.started_bytes - started_before);
        }
        if out.len() < wanted && (passed_over || self.classes.is_empty()) {
            self.pick_endgame(connection, pieces, wanted, out);
        }
        passed_over
    }

    /// Asks `connection` for up to `max` blocks of `piece` alone, such as one that it allows when choked (BEP 6); none
    /// if nobody has started it and a piece has more than `fresh_bytes`.
    pub fn pick_piece(
        &mut self,
        connection: ConnectionId,
        piece: u32,
        max: usize,
        fresh_bytes: u64,
        out: &mut Vec<Block>,
    ) {
        let pickable = self.class_of.get(piece as usize).copied().flatten().is_some();
        if !pickable || !self.may_start(piece, fresh_bytes) {
            return;
        }
        let (size, reserved) = (self.piece_size(piece), u64::from(self.piece_length));
        let started_bytes = &mut self.started_bytes;
        let partial = self.partials.entry(piece).or_insert_with(|| {
            *started_bytes += reserved;
            Partial::new(size)
        });
        partial.take_free(piece, connection, max, out);
        self.reclassify(piece);
    }

    fn may_start(&self, piece: u32, fresh_bytes: u64) -> bool {
        self.partials.contains_key(&piece) || u64::from(self.piece_length) <= fresh_bytes
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
        if self.partials.remove(&piece).is_some() {
            self.started_bytes -= u64::from(self.piece_length);
        }
    }

    /// The piece to ask a peer for, only a started one unless `fresh`.
    fn best_piece(&mut self, pieces: &PeerPieces, fresh: bool) -> Option<u32> {
        let due = self.deadlines.keys().map(|key| key.1);
        let due =
            due.filter(|piece| self.class_of[*piece as usize].is_some_and(|class| fresh || class.fresh == 0));
        if let Some(piece) = due.into_iter().find(|piece| pieces.contains(*piece)) {
            return Some(piece);
        }
        let random = self.rng.below(u64::from(self.piece_count())) as u32;
        let from = if self.sequential { 0 } else { random };
        let class = |reluctance, fresh, rarity| Class { reluctance, fresh, rarity };
        (0..=7).find_map(|reluctance| {
            let level = class(reluctance, 0, 0)..=class(reluctance, u8::from(fresh), u8::MAX);
            let within = |budget| {
                self.classes
                    .range(level.clone())
                    .find_map(|(_, set)| pieces.first_in_within(set, from, budget))
            };
            // Whoever has a piece that can be picked gets one, however long it takes.
            within(PROBES).or_else(|| within(u32::MAX))
        })
    }

    fn pick_endgame(
        &mut self,
        connection: ConnectionId,
        pieces: &PeerPieces,
        wanted: usize,
        out: &mut Vec<Block>,
    ) {
        let mut from = self.rng.below(u64::from(self.piece_count())) as u32;
        let mut first = None;
        for _ in 0..ENDGAME_PIECES {
            let Some(piece) = pieces.first_in(&self.exhausted, from) else { return };
            if out.len() >= wanted || first == Some(piece) {
                return;
            }
            first = first.or(Some(piece));
            if let Some(partial) = self.partials.get_mut(&piece) {
                partial.take_endgame(piece, connection, ENDGAME_COPIES, wanted - out.len(), out);
            }
            from = piece + 1;
        }
    }

    /// `connection` will not deliver `block` after all. Returns whether it had been asked for it.
    pub fn abandon(&mut self, connection: ConnectionId, block: Block) -> bool {
        let Some(partial) = self.partials.get_mut(&block.piece) else { return false };
        let Some(index) = partial.position(block).filter(|index| partial.is_asked(connection, *index)) else {
            return false;
        };
        partial.abandon(connection, index);
        if partial.is_untouched() {
            self.drop_partial(block.piece);
        }
        self.reclassify(block.piece);
        true
    }

    /// A block came from `connection`. Whether it had been asked for is the caller's to know.
    pub fn received(&mut self, connection: ConnectionId, block: Block) -> Receipt {
        let Some(partial) = self.partials.get_mut(&block.piece) else { return Receipt::Unwanted };
        let Some(index) = partial.position(block) else { return Receipt::Unwanted };
        let Some(others) = partial.receive(connection, index) else { return Receipt::Unwanted };
        let complete = partial.is_complete();
        self.reclassify(block.piece);
        Receipt::Accepted { complete, others }
    }

    /// `piece` is had, verified and stored.
    pub fn piece_passed(&mut self, piece: u32) {
        self.drop_partial(piece);
        self.have.insert(piece);
        self.set_deadline(piece, None);
        self.reclassify(piece);
    }

    /// `piece` did not verify, or could not be stored: it is to be downloaded again.
    pub fn piece_failed(&mut self, piece: u32) {
        self.drop_partial(piece);
        self.reclassify(piece);
    }

    /// Who sent blocks of `piece`, which is not yet passed or failed: each once, ascending.
    #[must_use]
    pub fn senders(&self, piece: u32) -> Vec<ConnectionId> {
        let mut senders: Vec<_> = self.partials.get(&piece).into_iter().flat_map(Partial::senders).collect();
        senders.sort_unstable();
        senders.dedup();
        senders
    }

    /// `piece` is no longer had.
    pub fn piece_lost(&mut self, piece: u32) {
        self.have.remove(piece);
        self.reclassify(piece);
    }

    /// Puts `piece`, if there is one of that number, where it belongs. O(log n).
    fn reclassify(&mut self, piece: u32) {
        if piece >= self.piece_count() {
            return;
        }
        let priority = self.priority(piece);
        let due = self.deadline_of.contains_key(&piece);
        let wanted = !self.have.contains(piece) && (priority > Priority::SKIP || due);
        let partial = self.partials.get(&piece);
        let pickable = wanted && partial.is_none_or(Partial::has_free);
        let exhausted =
            wanted && partial.is_some_and(|partial| !partial.has_free() && !partial.is_complete());
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
