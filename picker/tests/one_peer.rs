//! Pieces that one peer alone is asked for, and pieces that stand still.

use std::time::Duration;

use downpour_base::{BLOCK_SIZE, Bitfield, Block, ConnectionId, Instant, Seed};
use downpour_picker::{PeerPieces, Picker, Receipt};
use proptest::prelude::*;

const NOW: Instant = Instant::ORIGIN;
const A: ConnectionId = ConnectionId(1);
const B: ConnectionId = ConnectionId(2);

fn picker(pieces: u32) -> (Picker, PeerPieces) {
    let length = 4 * BLOCK_SIZE;
    let mut picker = Picker::new(u64::from(pieces) * u64::from(length), length, Seed::from_u64(1));
    let all = PeerPieces::all(pieces);
    (0..2).for_each(|_| picker.add_peer(&all));
    (picker, all)
}

fn pick(picker: &mut Picker, now: Instant, who: ConnectionId, all: &PeerPieces, max: usize) -> Vec<Block> {
    let mut out = Vec::new();
    picker.pick(now, who, all, max, u64::MAX, &mut out);
    out
}

#[test]
fn a_distrusted_piece_comes_from_whoever_starts_it() {
    let (mut picker, all) = picker(1);
    picker.distrust(0);
    assert_eq!(pick(&mut picker, NOW, A, &all, 2).len(), 2);
    assert_eq!(pick(&mut picker, NOW, B, &all, 9), [], "not even in endgame");
    assert_eq!(pick(&mut picker, NOW, A, &all, 9).len(), 2, "the rest");
    assert_eq!(pick(&mut picker, NOW, B, &all, 9), []);
}

#[test]
fn who_leaves_or_gives_up_leaves_the_rest_to_others() {
    for leaves in [false, true] {
        let (mut picker, all) = picker(1);
        picker.distrust(0);
        let blocks = pick(&mut picker, NOW, A, &all, 2);
        if leaves {
            picker.share_all_of(A);
        } else {
            assert!(picker.abandon(A, blocks[0]));
        }
        assert_eq!(pick(&mut picker, NOW, B, &all, 9).len(), 4);
    }
}

#[test]
fn a_peer_under_suspicion_shares_no_piece_while_there_are_others() {
    let (mut picker, all) = picker(3);
    let shared = pick(&mut picker, NOW, B, &all, 1)[0].piece;
    let mut out = Vec::new();
    assert!(!picker.pick_alone(NOW, A, &all, 8, u64::MAX, &mut out));
    assert!(out.len() == 8 && out.iter().all(|block| block.piece != shared));
    let others = pick(&mut picker, NOW, B, &all, 9);
    assert!(others.len() == 3 && others.iter().all(|block| block.piece == shared));
    out.clear();
    picker.pick_alone(NOW, A, &all, 8, u64::MAX, &mut out);
    assert!(out.iter().all(|block| block.piece == shared) && !out.is_empty(), "there is nothing else");
}

#[test]
fn others_help_with_a_piece_that_stands_still() {
    for alone in [false, true] {
        let (mut picker, all) = picker(100);
        if alone {
            (0..100).for_each(|piece| picker.distrust(piece));
        }
        let slow = pick(&mut picker, NOW, A, &all, 4);
        let soon = NOW + Duration::from_secs(29);
        let block = slow[0];
        assert_ne!(pick(&mut picker, soon, B, &all, 1)[0].piece, block.piece);
        assert!(matches!(picker.received(soon, A, block), Receipt::Accepted { complete: false, .. }));
        let later = soon + Duration::from_secs(29);
        assert_ne!(pick(&mut picker, later, B, &all, 1)[0].piece, block.piece, "a block came meanwhile");
        let stalled = soon + Duration::from_secs(30);
        let helps = pick(&mut picker, stalled, B, &all, 9);
        assert!(slow[1..].iter().all(|block| helps.contains(block)), "{helps:?}");
    }
}

#[test]
fn pieces_whose_peers_left_do_not_stand_before_one_that_is_held() {
    let (mut picker, all) = picker(11);
    let mut bits = Bitfield::new(11);
    assert!(bits.insert(10));
    let last = PeerPieces::from_bitfield(&bits);
    picker.distrust(10);
    let later = NOW + Duration::from_secs(1);
    let held = pick(&mut picker, later, A, &last, 4);
    assert_eq!(held.len(), 4);
    // Of each of the others one block came, and nobody is asked for the rest.
    for block in pick(&mut picker, NOW, ConnectionId(9), &all, 40) {
        if block.begin == 0 {
            picker.received(NOW, ConnectionId(9), block);
        } else {
            assert!(picker.abandon(ConnectionId(9), block));
        }
    }
    assert_eq!(pick(&mut picker, later + Duration::from_secs(30), B, &last, 9), held);
}

#[test]
fn a_trickle_does_not_hold_a_piece_for_ever() {
    let length = 20 * BLOCK_SIZE;
    let (mut picker, all) = (Picker::new(length.into(), length, Seed::from_u64(1)), PeerPieces::all(1));
    picker.distrust(0);
    let slow = pick(&mut picker, NOW, A, &all, 20);
    for (count, block) in (1..15).zip(&slow) {
        let now = NOW + count * Duration::from_secs(20);
        picker.received(now, A, *block);
        assert_eq!(pick(&mut picker, now, B, &all, 20), []);
    }
    assert_eq!(pick(&mut picker, NOW + Duration::from_secs(300), B, &all, 20).len(), 6);
}

proptest! {
    /// Whoever is asked alone, suspected or slow: everything comes, no block is counted twice, nothing stays behind.
    #[test]
    fn everything_comes_whoever_is_suspected(
        seed: u64, steps in prop::collection::vec((0u64..3, 0usize..7, any::<bool>(), 0u64..40), 0..200),
    ) {
        let pieces = 6;
        let (mut picker, all) = picker(pieces);
        let mut now = Instant::from_nanos(seed % 1000);
        let mut asked: Vec<(ConnectionId, Block)> = Vec::new();
        for (who, what, alone, seconds) in steps {
            let who = ConnectionId(who);
            now += Duration::from_secs(seconds);
            let mut out = Vec::new();
            match what {
                0 => picker.distrust(seconds as u32 % pieces),
                1 => {
                    for (_, block) in asked.extract_if(.., |(by, _)| *by == who) {
                        picker.abandon(who, block);
                    }
                    picker.share_all_of(who);
                }
                2 | 3 if alone => { picker.pick_alone(now, who, &all, what, u64::MAX, &mut out); }
                2 | 3 => { picker.pick(now, who, &all, what, u64::MAX, &mut out); }
                _ if !asked.is_empty() => {
                    let (by, block) = asked.swap_remove(seed as usize % asked.len());
                    if let Receipt::Accepted { complete: true, .. } = picker.received(now, by, block) {
                        if alone { picker.piece_failed(block.piece); picker.distrust(block.piece) }
                        else { picker.piece_passed(block.piece) }
                    }
                }
                _ => {}
            }
            asked.extend(out.into_iter().map(|block| (who, block)));
        }
        for (who, block) in asked {
            picker.abandon(who, block);
        }
        (0..3).for_each(|who| _ = picker.share_all_of(ConnectionId(who)));
        let mut out = pick(&mut picker, now, A, &all, 1000);
        for block in out.drain(..) {
            if let Receipt::Accepted { complete: true, .. } = picker.received(now, A, block) {
                picker.piece_passed(block.piece);
            }
        }
        prop_assert!(picker.is_finished());
        prop_assert_eq!(picker.started_bytes(), 0);
    }
}
