//! The blocks that are asked for.

use crate::world::{World, bits, requests};
use bytes::Bytes;
use downpour_base::BLOCK_SIZE;
use downpour_swarm::{CloseReason, Event, Input, Output, StoreResult, limits};
use downpour_wire::Message;
use std::collections::BTreeSet;
use std::time::Duration;

#[test]
fn a_torrent_comes_from_a_seed_piece_by_piece() {
    let mut world = World::new(5, &[3]);
    let seed = world.connect(1);
    let first = world.messages(seed);
    assert_eq!(first[0], Message::Bitfield(Bytes::copy_from_slice(bits(5, &[3]).as_bytes())));
    assert!(matches!(&first[1], Message::ExtensionHandshake(handshake)
        if handshake.listen_port == Some(6881) && handshake.upload_only == Some(false)));
    assert!(matches!(first[2..], [] | [Message::AllowedFast(3)]), "only what we have: {first:?}");
    world.say(seed, Message::HaveAll);
    assert_eq!(world.messages(seed), [Message::Interested]);
    world.say(seed, Message::Unchoke);
    let wanted = requests(&world.told(seed));
    assert_eq!(wanted.iter().collect::<BTreeSet<_>>().len(), 8, "everything but piece 3, once");
    world.deliver(seed, wanted[1]);
    world.deliver(seed, wanted[0]);
    let jobs = world.jobs();
    assert_eq!(jobs[0].2, [0, BLOCK_SIZE], "in order, whatever order they came in");
    world.input(Input::Stored { job: jobs[0].0, result: StoreResult::Stored, digests: vec![] });
    assert!(world.events().contains(&Event::PieceFinished { piece: wanted[0].piece }));
    world.complete_from(seed, wanted[2..].to_vec());
    assert!(world.events().contains(&Event::Finished));
    assert_eq!(world.closed(), [(seed, CloseReason::BothSeeds)]);
    assert!(world.out.iter().any(|output| matches!(output, Output::Checkpoint)));
}

#[test]
fn a_choke_ends_requests_at_once_or_by_rejects() {
    for fast in [false, true] {
        let mut world = World::new(4, &[]);
        let peer = world.connect_as(1, fast, false);
        world.say(peer, Message::Bitfield(Bytes::from_static(&[0xf0])));
        world.say(peer, Message::Unchoke);
        let wanted = requests(&world.told(peer));
        assert_eq!(wanted.len(), 8);
        world.say(peer, Message::Choke);
        let (other, others) = world.seed(2);
        assert_eq!(others.len(), 8, "endgame asks for what the first still owes, or all is free again");
        if fast {
            wanted.iter().for_each(|block| world.say(peer, Message::Reject(*block)));
            assert_eq!(world.closed(), []);
            world.say(peer, Message::Reject(wanted[0]));
            assert_eq!(world.closed(), [(peer, CloseReason::UnrequestedReject)]);
        } else {
            world.deliver(peer, wanted[0]);
            assert_eq!(world.closed(), [], "a block on its way when the choke came does no harm");
        }
        world.complete_from(other, others);
        assert!(world.events().contains(&Event::Finished));
    }
}

#[test]
fn a_peer_that_rejects_is_not_asked_in_circles() {
    let mut world = World::new(1, &[]);
    let (peer, wanted) = world.seed(1);
    wanted.iter().for_each(|block| world.say(peer, Message::Reject(*block)));
    assert_eq!(requests(&world.told(peer)), []);
    world.pass(limits::REJECT_PAUSE);
    assert_eq!(requests(&world.told(peer)).len(), 2, "but it is asked again later");
}

#[test]
fn a_snubbed_peer_loses_its_blocks_to_others() {
    let mut world = World::new(40, &[]);
    let (slow, wanted) = world.seed(1);
    assert_eq!(wanted.len(), 16, "as many as a pipeline begins with");
    world.deliver(slow, wanted[0]);
    world.pass(limits::SNUB_TIMEOUT);
    assert!(world.swarm.peer_statuses(world.now).next().unwrap().snubbed);
    let (fast, others) = world.seed(2);
    assert_eq!(others[0], wanted[1], "the rest of the piece that is started");
    assert_eq!(requests(&world.told(slow)).len(), 1, "a snubbed peer is kept at one request");
    // It delivers after all: taken, and the other need not.
    world.deliver(slow, wanted[1]);
    assert_eq!(world.messages(fast)[0], Message::Cancel(wanted[1]));
    assert_eq!(world.swarm.status(world.now).wasted_bytes, 0);
    assert!(!world.swarm.peer_statuses(world.now).any(|peer| peer.snubbed));
    assert_eq!(world.closed(), []);
}

#[test]
fn endgame_cancels_what_came_from_elsewhere() {
    let mut world = World::new(1, &[]);
    let (first, wanted) = world.seed(1);
    let (second, others) = world.seed(2);
    assert_eq!((wanted.len(), others.len()), (2, 2));
    world.deliver(first, wanted[0]);
    assert_eq!(world.messages(second), [Message::Cancel(wanted[0])]);
    world.deliver(second, wanted[0]);
    assert_eq!(world.swarm.status(world.now).wasted_bytes, u64::from(BLOCK_SIZE));
    assert_eq!(world.closed(), [], "it was on its way");
}

#[test]
fn one_lost_request_is_asked_again() {
    let mut world = World::new(2, &[]);
    let seed = world.connect_as(1, false, false);
    world.say(seed, Message::HaveAll);
    world.say(seed, Message::Unchoke);
    let asked = requests(&world.told(seed));
    assert_eq!(asked.len(), 4);
    for b in &asked[..3] {
        world.deliver(seed, *b);
    }
    world.told(seed);
    let mut again = 0;
    for _ in 0..100 {
        world.pass(Duration::from_secs(30));
        again += requests(&world.told(seed)).len();
    }
    assert!(again > 0, "it stood still");
}
