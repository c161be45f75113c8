//! The choice of blocks for one peer.

use downpour_base::{Block, ConnectionId, Instant};

use crate::partial::Partial;
use crate::picker::Class;
use crate::{PeerPieces, Picker};

/// From how many peers a block is asked at once in endgame.
const ENDGAME_COPIES: usize = 4;
/// How many pieces one endgame pick looks at.
const ENDGAME_PIECES: usize = 16;
/// From how many peers a block of a stalled piece is asked at once.
const STALLED_COPIES: usize = 2;
/// With how many stalled pieces one pick helps, and at how many it looks.
const STALLED_PIECES: usize = 4;
const STALLED_LOOKS: usize = 64;
/// How many words of 64 pieces a pick looks at in one class before it tries the next. Two dense sets that have
/// nothing in common, such as the odd and the even pieces, can only be told apart by looking at all of them.
const PROBES: u32 = 64;
type Stages = core::ops::RangeInclusive<u8>;
const STARTED: Stages = 0..=0;
const FRESH: Stages = 1..=1;
const ANY: Stages = 0..=1;

impl Picker {
    /// Asks `connection`, which has `pieces`, for up to `max` blocks, and appends them to `out`.
    ///
    /// A piece that stands still, because whoever was asked for the rest is slow or silent, is asked for from this peer
    /// too. No more than `fresh_bytes` of pieces that nobody has started are started for it, a short last piece counting like
    /// the others. Returns whether one was passed over for that; then this peer may be asked for what others were
    /// asked for, as in endgame. See also [`drop_orphan`](Self::drop_orphan).
    pub fn pick(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        pieces: &PeerPieces,
        max: usize,
        mut fresh_bytes: u64,
        out: &mut Vec<Block>,
    ) -> bool {
        let wanted = out.len().saturating_add(max);
        let mut passed_over = false;
        self.pick_owned(connection, wanted, out);
        self.pick_stalled(now, connection, pieces, wanted, out);
        while out.len() < wanted {
            let stages = if passed_over { STARTED } else { ANY };
            let Some(mut piece) = self.best_piece(pieces, stages) else { break };
            if !self.may_start(piece, fresh_bytes) {
                passed_over = true;
                let Some(started) = self.best_piece(pieces, STARTED) else { break };
                piece = started;
            }
            let started_before = self.started_bytes;
            self.pick_piece(now, connection, piece, wanted - out.len(), fresh_bytes, out);
            fresh_bytes = fresh_bytes.saturating_sub(self.started_bytes - started_before);
        }
        if out.len() < wanted && (passed_over || self.classes.is_empty()) {
            self.pick_endgame(connection, pieces, wanted, out);
        }
        passed_over
    }

    /// As [`pick`](Self::pick), for a peer that may have sent bad data: as long as there are others, it gets pieces that nobody
    /// else has a part in.
    pub fn pick_alone(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        pieces: &PeerPieces,
        max: usize,
        mut fresh_bytes: u64,
        out: &mut Vec<Block>,
    ) -> bool {
        let (before, wanted) = (out.len(), out.len().saturating_add(max));
        self.pick_owned(connection, wanted, out);
        while out.len() < wanted
            && let Some(piece) = self.best_piece(pieces, FRESH)
            && self.may_start(piece, fresh_bytes)
        {
            self.distrusted.insert(piece);
            let started_before = self.started_bytes;
            self.pick_piece(now, connection, piece, wanted - out.len(), fresh_bytes, out);
            fresh_bytes = fresh_bytes.saturating_sub(self.started_bytes - started_before);
        }
        out.len() == before && self.pick(now, connection, pieces, max, fresh_bytes, out)
    }

    /// Goes on with the pieces that `connection` alone is asked for.
    fn pick_owned(&mut self, connection: ConnectionId, wanted: usize, out: &mut Vec<Block>) {
        let owned = self.owned.range((connection, 0)..=(connection, u32::MAX)).map(|(_, piece)| *piece);
        for piece in owned {
            if let Some(partial) = self.partials.get_mut(&piece)
                && self.missing.contains(piece)
            {
                partial.take_free(piece, connection, wanted.saturating_sub(out.len()), out);
            }
        }
    }

    /// Helps with pieces that stand still.
    fn pick_stalled(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        pieces: &PeerPieces,
        wanted: usize,
        out: &mut Vec<Block>,
    ) {
        let stalled = self.stalled(now);
        let mut helped = 0;
        for piece in stalled {
            if out.len() >= wanted || helped == STALLED_PIECES {
                return;
            }
            let Some(partial) = self.partials.get(&piece) else { continue };
            // Whom nobody holds back needs no help, and must not stand before those that do.
            let is_held = self.missing.contains(piece) && (partial.owner.is_some() || !partial.is_orphan());
            if is_held && !pieces.contains(piece) {
                continue;
            }
            if is_held {
                self.share(piece);
            }
            let Some(partial) = self.partials.get_mut(&piece) else { continue };
            if is_held {
                partial.take_endgame(piece, connection, STALLED_COPIES, wanted - out.len(), out);
                helped += 1;
            }
            partial.helped(now);
            self.list_stall(piece);
        }
    }

    /// The pieces that have been stalled longest. Each block that came since it was listed is paid for here, once.
    fn stalled(&mut self, now: Instant) -> Vec<u32> {
        loop {
            let due = self.stalls.iter().take_while(|(at, _)| *at <= now).map(|(_, piece)| *piece);
            let due: Vec<u32> = due.take(STALLED_LOOKS).collect();
            let moved = |piece: &u32| {
                self.partials.get(piece).is_some_and(|partial| partial.listed != partial.stalls)
            };
            let moved: Vec<u32> = due.iter().copied().filter(moved).collect();
            if moved.is_empty() {
                return due;
            }
            moved.into_iter().for_each(|piece| self.list_stall(piece));
        }
    }

    /// Puts a started piece where it belongs in the list of stalls.
    pub(crate) fn list_stall(&mut self, piece: u32) {
        if let Some(partial) = self.partials.get_mut(&piece) {
            self.stalls.remove(&(partial.listed, piece));
            partial.listed = partial.stalls;
            self.stalls.insert((partial.listed, piece));
        }
    }

    /// Lets everybody be asked for the rest of a started piece that one peer alone was.
    pub(crate) fn share(&mut self, piece: u32) {
        if let Some(owner) = self.partials.get_mut(&piece).and_then(|partial| partial.owner.take()) {
            self.owned.remove(&(owner, piece));
            self.reclassify(piece);
        }
    }

    /// Lets everybody be asked for what `connection` alone was: it left, or is too slow. Returns whether there was something.
    pub fn share_all_of(&mut self, connection: ConnectionId) -> bool {
        let owned = self.owned.range((connection, 0)..=(connection, u32::MAX)).map(|(_, piece)| *piece);
        let owned: Vec<u32> = owned.collect();
        owned.iter().for_each(|piece| self.share(*piece));
        !owned.is_empty()
    }

    /// Asks `connection` for up to `max` blocks of `piece` alone, such as one that it allows when choked (BEP 6); none
    /// if nobody has started it and a piece has more than `fresh_bytes`.
    pub fn pick_piece(
        &mut self,
        now: Instant,
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
        let (size, reserved) = (self.piece_size(piece), u64::from(self.piece_length()));
        let (started_bytes, stalls) = (&mut self.started_bytes, &mut self.stalls);
        let owner = self.distrusted.contains(&piece).then_some(connection);
        let owned = &mut self.owned;
        let partial = self.partials.entry(piece).or_insert_with(|| {
            *started_bytes += reserved;
            owned.extend(owner.map(|owner| (owner, piece)));
            let partial = Partial::new(now, size, owner);
            stalls.insert((partial.listed, piece));
            partial
        });
        partial.take_free(piece, connection, max, out);
        self.reclassify(piece);
    }

    fn may_start(&self, piece: u32, fresh_bytes: u64) -> bool {
        self.partials.contains_key(&piece) || u64::from(self.piece_length()) <= fresh_bytes
    }

    /// The piece to ask a peer for, of those whose [`Class::fresh`] is among `stages`.
    fn best_piece(&mut self, pieces: &PeerPieces, stages: Stages) -> Option<u32> {
        let due = self.deadlines.keys().map(|key| key.1);
        let due = due.filter(|piece| {
            self.class_of[*piece as usize].is_some_and(|class| stages.contains(&class.fresh))
        });
        if let Some(piece) = due.into_iter().find(|piece| pieces.contains(*piece)) {
            return Some(piece);
        }
        let random = self.rng.below(u64::from(self.piece_count())) as u32;
        let from = if self.sequential { 0 } else { random };
        let class = |reluctance, fresh, rarity| Class { reluctance, fresh, rarity };
        (0..=7).find_map(|reluctance| {
            let level = class(reluctance, *stages.start(), 0)..=class(reluctance, *stages.end(), u8::MAX);
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
}
