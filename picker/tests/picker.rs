//! The picker beside a naive twin that looks at everything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use downpour_base::{BLOCK_SIZE, Block, ConnectionId, Instant, Seed, block_count, block_length};
use downpour_picker::{PeerPieces, Picker, PieceSet, Priority, Receipt};
use proptest::prelude::*;

const PIECE_LENGTH: u32 = 3 * BLOCK_SIZE;
const PEERS: usize = 4;

/// The slow, obvious way.
struct Twin {
    total: u64,
    pieces: u32,
    have: BTreeSet<u32>,
    priority: BTreeMap<u32, u8>,
    deadline: BTreeMap<u32, Instant>,
    sequential: bool,
    peers: Vec<BTreeSet<u32>>,
    asked: BTreeMap<Block, BTreeSet<usize>>,
    received: BTreeSet<Block>,
}

impl Twin {
    fn blocks(&self, piece: u32) -> Vec<Block> {
        let begin = u64::from(piece) * u64::from(PIECE_LENGTH);
        let size = (self.total - begin).min(u64::from(PIECE_LENGTH)) as u32;
        (0..block_count(size))
            .map(|index| Block { piece, begin: index * BLOCK_SIZE, length: block_length(size, index) })
            .collect()
    }

    fn is_free(&self, block: &Block) -> bool {
        !self.asked.contains_key(block) && !self.received.contains(block)
    }

    fn wanted(&self, piece: u32) -> bool {
        !self.have.contains(&piece) && (self.priority[&piece] > 0 || self.deadline.contains_key(&piece))
    }

    fn pickable(&self, piece: u32) -> bool {
        self.wanted(piece) && self.blocks(piece).iter().any(|block| self.is_free(block))
    }

    fn started(&self, piece: u32) -> bool {
        self.blocks(piece).iter().any(|block| !self.is_free(block))
    }

    /// Smaller is better; pieces of equal rank are ties.
    fn rank(&self, piece: u32) -> (u64, u8, bool, usize, u32) {
        if let Some(deadline) = self.deadline.get(&piece) {
            return (deadline.as_nanos(), 0, false, 0, piece);
        }
        let reluctance = 7 - self.priority[&piece];
        if self.sequential {
            return (u64::MAX, reluctance, !self.started(piece), 0, piece);
        }
        let seeds = self.peers.iter().filter(|peer| peer.len() as u32 == self.pieces).count();
        let copies = self.peers.iter().filter(|peer| peer.contains(&piece)).count() - seeds;
        (u64::MAX, reluctance, !self.started(piece), copies, 0)
    }

    /// The best pieces for `peer`, of those that are started or fit into `fresh` bytes.
    fn best(&self, peer: usize, fresh: u64) -> Vec<u32> {
        let fits = |piece: u32| self.started(piece) || u64::from(PIECE_LENGTH) <= fresh;
        let can = |piece: &u32| self.pickable(*piece) && fits(*piece);
        let can: Vec<u32> = self.peers[peer].iter().copied().filter(can).collect();
        let best = can.iter().map(|piece| self.rank(*piece)).min();
        can.into_iter().filter(|piece| Some(self.rank(*piece)) == best).collect()
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Whom, how many, how many bytes of fresh pieces.
    Pick(usize, usize, u64),
    Deliver(usize),
    Abandon(usize),
    Have(usize, u32),
    Priority(u32, u8),
    Deadline(u32, Option<u64>),
    Sequential(bool),
    Verify(bool),
    Lose(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..PEERS, 1usize..6, prop_oneof![Just(u64::MAX), 0..4 * u64::from(PIECE_LENGTH)])
            .prop_map(|(peer, max, fresh)| Step::Pick(peer, max, fresh)),
        6 => any::<usize>().prop_map(Step::Deliver),
        2 => any::<usize>().prop_map(Step::Abandon),
        2 => (0..PEERS, 0u32..12).prop_map(|(peer, piece)| Step::Have(peer, piece)),
        1 => (0u32..12, 0u8..8).prop_map(|(piece, priority)| Step::Priority(piece, priority)),
        1 => (0u32..12, prop::option::of(0u64..5)).prop_map(|(piece, at)| Step::Deadline(piece, at)),
        1 => any::<bool>().prop_map(Step::Sequential),
        4 => prop::bool::weighted(0.8).prop_map(Step::Verify),
        1 => (0u32..12).prop_map(Step::Lose),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn picks_are_those_of_the_naive_twin(
        pieces in 1u32..12, short in 0u32..PIECE_LENGTH, seed: u64,
        bitfields in prop::collection::vec(prop::collection::btree_set(0u32..12, 0..12), PEERS),
        steps in prop::collection::vec(step(), 0..150),
    ) {
        let total = u64::from(pieces) * u64::from(PIECE_LENGTH) - u64::from(short);
        let mut picker = Picker::new(total, PIECE_LENGTH, Seed::from_u64(seed));
        let mut held: Vec<PeerPieces> = Vec::new();
        let mut twin = Twin {
            total, pieces,
            have: BTreeSet::new(),
            priority: (0..pieces).map(|piece| (piece, 4)).collect(),
            deadline: BTreeMap::new(),
            sequential: false,
            peers: Vec::new(),
            asked: BTreeMap::new(),
            received: BTreeSet::new(),
        };
        for bits in bitfields {
            let bits: BTreeSet<u32> = bits.into_iter().filter(|piece| *piece < pieces).collect();
            let mut peer = if bits.len() as u32 == pieces { PeerPieces::all(pieces) } else { PeerPieces::none(pieces) };
            bits.iter().for_each(|piece| { peer.insert(*piece); });
            picker.add_peer(&peer);
            held.push(peer);
            twin.peers.push(bits);
        }
        for step in steps {
            match step {
                Step::Pick(peer, max, mut fresh) => {
                    let connection = ConnectionId(peer as u64);
                    let mut picked = Vec::new();
                    let passed_over = picker.pick(Instant::ORIGIN, connection, &held[peer], max, fresh, &mut picked);
                    prop_assert!(picked.len() <= max);
                    let endgame = (0..pieces).all(|piece| !twin.pickable(piece));
                    for block in &picked {
                        let best = twin.best(peer, fresh);
                        if !twin.started(block.piece) {
                            fresh -= u64::from(PIECE_LENGTH);
                        }
                        if twin.is_free(block) {
                            prop_assert!(best.contains(&block.piece), "{:?} is not among the best {:?}", block, best);
                        } else {
                            let fits = |piece: u32| twin.started(piece) || u64::from(PIECE_LENGTH) <= fresh;
                            let all_asked = (0..pieces).all(|piece| !(twin.pickable(piece) && fits(piece)));
                            let mine = twin.best(peer, fresh).is_empty() && passed_over;
                            prop_assert!(all_asked || mine, "endgame before everything was asked for");
                            prop_assert!(twin.wanted(block.piece) && twin.peers[peer].contains(&block.piece));
                            prop_assert!(!twin.received.contains(block));
                        }
                        let new = twin.asked.entry(*block).or_default().insert(peer);
                        prop_assert!(new, "asked twice from one peer");
                    }
                    if picked.len() < max && !endgame {
                        prop_assert!(twin.best(peer, fresh).is_empty(), "there was more to pick");
                        prop_assert_eq!(passed_over, !twin.best(peer, u64::MAX).is_empty());
                    }
                }
                Step::Deliver(which) if !twin.asked.is_empty() => {
                    let (block, peers) = twin.asked.iter().nth(which % twin.asked.len()).map(|(b, p)| (*b, p.clone())).unwrap();
                    let peer = *peers.iter().next().unwrap();
                    let receipt = picker.received(Instant::ORIGIN, ConnectionId(peer as u64), block);
                    twin.asked.remove(&block);
                    twin.received.insert(block);
                    let complete = twin.blocks(block.piece).iter().all(|block| twin.received.contains(block));
                    let Receipt::Accepted { complete: said, mut others } = receipt else { panic!("{receipt:?}") };
                    others.sort();
                    let expected: Vec<_> = peers.iter().skip(1).map(|peer| ConnectionId(*peer as u64)).collect();
                    prop_assert_eq!((said, others), (complete, expected));
                    prop_assert_eq!(picker.received(Instant::ORIGIN, ConnectionId(0), block), Receipt::Unwanted);
                }
                Step::Abandon(which) if !twin.asked.is_empty() => {
                    let (block, peer) = twin.asked.iter().nth(which % twin.asked.len()).map(|(b, p)| (*b, *p.iter().next().unwrap())).unwrap();
                    prop_assert!(picker.abandon(ConnectionId(peer as u64), block));
                    prop_assert!(!picker.abandon(ConnectionId(peer as u64), block));
                    let peers = twin.asked.get_mut(&block).unwrap();
                    peers.remove(&peer);
                    if peers.is_empty() {
                        twin.asked.remove(&block);
                    }
                }
                Step::Have(peer, piece) => {
                    // A seed is told apart from the start only; the picker counts the others piece by piece.
                    let completes = twin.peers[peer].len() as u32 + 1 == pieces;
                    if piece < pieces && !completes && twin.peers[peer].insert(piece) {
                        prop_assert!(held[peer].insert(piece));
                        picker.peer_has(piece);
                    }
                }
                Step::Priority(piece, priority) if piece < pieces => {
                    picker.set_priority(piece, Priority::new(priority));
                    twin.priority.insert(piece, priority);
                }
                Step::Deadline(piece, at) if piece < pieces && !twin.have.contains(&piece) => {
                    let at = at.map(|at| Instant::ORIGIN + Duration::from_secs(at));
                    picker.set_deadline(piece, at);
                    match at {
                        Some(at) => twin.deadline.insert(piece, at),
                        None => twin.deadline.remove(&piece),
                    };
                }
                Step::Sequential(on) => {
                    picker.set_sequential(on);
                    twin.sequential = on;
                }
                Step::Verify(good) => {
                    let complete = |piece: &u32| twin.blocks(*piece).iter().all(|block| twin.received.contains(block));
                    let Some(piece) = (0..pieces).find(complete) else { continue };
                    if good {
                        picker.piece_passed(piece);
                        twin.have.insert(piece);
                        twin.deadline.remove(&piece);
                    } else {
                        picker.piece_failed(piece);
                    }
                    twin.received.retain(|block| block.piece != piece);
                }
                Step::Lose(piece) => {
                    picker.piece_lost(piece.min(pieces - 1));
                    twin.have.remove(&piece.min(pieces - 1));
                }
                _ => {}
            }
            prop_assert!(picker.have().iter().eq(twin.have.iter().copied()));
            let started = (0..pieces).filter(|piece| twin.started(*piece)).count() as u64;
            prop_assert_eq!(picker.started_bytes(), started * u64::from(PIECE_LENGTH));
            prop_assert_eq!(picker.missing_count() as usize, (0..pieces).filter(|piece| twin.wanted(*piece)).count());
            for (peer, held) in twin.peers.iter().zip(&held) {
                let interesting = peer.iter().any(|piece| twin.wanted(*piece));
                let found = picker.interesting_piece(held, seed as u32 % 16);
                prop_assert_eq!(found.is_some(), interesting);
                prop_assert!(found.is_none_or(|piece| peer.contains(&piece) && twin.wanted(piece)));
                prop_assert!((0..pieces).all(|piece| picker.is_missing(piece) == twin.wanted(piece)));
            }
        }
        // Everybody leaves: nobody's copies remain.
        held.iter().for_each(|peer| picker.remove_peer(peer));
        prop_assert!((0..pieces).all(|piece| picker.availability(piece) == 0));
    }

    #[test]
    fn piece_sets_are_sets(
        len in 1u32..10_000,
        a in prop::collection::btree_set(0u32..10_000, 0..50),
        b in prop::collection::btree_set(0u32..10_000, 0..50),
        removed in prop::collection::btree_set(0u32..10_000, 0..50),
        from in 0u32..10_000,
    ) {
        let build = |pieces: &BTreeSet<u32>| {
            let (mut set, mut twin) = (PieceSet::new(len), BTreeSet::new());
            for piece in pieces {
                assert_eq!(set.insert(*piece), *piece < len && twin.insert(*piece));
            }
            for piece in &removed {
                assert_eq!(set.remove(*piece), twin.remove(piece));
            }
            (set, twin)
        };
        let ((a, twin_a), (b, twin_b)) = (build(&a), build(&b));
        prop_assert!(a.iter().eq(twin_a.iter().copied()));
        prop_assert_eq!(a.count() as usize, twin_a.len());
        prop_assert_eq!(a.first_from(from), twin_a.range(from..).next().copied());
        prop_assert_eq!(a.first_common(&b, from), twin_a.range(from..).find(|piece| twin_b.contains(piece)).copied());
    }
}

#[test]
fn ties_are_random_and_repeatable() {
    let first = |seed| {
        let mut picker = Picker::new(1000 * u64::from(BLOCK_SIZE), BLOCK_SIZE, Seed::from_u64(seed));
        let all = PeerPieces::all(1000);
        picker.add_peer(&all);
        let mut out = Vec::new();
        picker.pick(Instant::ORIGIN, ConnectionId(1), &all, 1, u64::MAX, &mut out);
        out[0].piece
    };
    assert_eq!(first(1), first(1));
    assert!((0..20).map(first).collect::<BTreeSet<_>>().len() > 15);
}

#[test]
fn endgame_asks_everybody_and_names_whom_to_cancel() {
    let mut picker = Picker::new(u64::from(BLOCK_SIZE), BLOCK_SIZE, Seed::from_u64(1));
    let all = PeerPieces::all(1);
    let mut out = Vec::new();
    for peer in 0..3 {
        picker.add_peer(&all);
        picker.pick(Instant::ORIGIN, ConnectionId(peer), &all, 5, u64::MAX, &mut out);
    }
    assert_eq!(out.len(), 3);
    let receipt = picker.received(Instant::ORIGIN, ConnectionId(1), out[0]);
    assert_eq!(receipt, Receipt::Accepted { complete: true, others: vec![ConnectionId(0), ConnectionId(2)] });
}
