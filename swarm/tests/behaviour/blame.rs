//! Who sent bad data.

use crate::world::{World, block, endpoint, requests};
use downpour_base::{ConnectionId, PeerEndpoint, PeerId};
use downpour_swarm::{BanReason, CloseReason, Event, Input, StoreResult};

#[test]
fn who_alone_sent_bad_data_is_banned_for_good() {
    let mut world = World::new(1, &[]);
    let (peer, wanted) = world.seed(1);
    wanted.iter().for_each(|block| world.deliver(peer, *block));
    let (job, piece, _) = world.jobs()[0];
    world.input(Input::Stored { job, result: StoreResult::HashMismatch, digests: vec![] });
    assert_eq!(world.closed(), [(peer, CloseReason::CorruptData)]);
    assert!(world.events().contains(&Event::HashFailed { piece, senders: vec![peer] }));
    let again = ConnectionId(9);
    let endpoint = endpoint(1);
    let input = Input::Connected {
        connection: again,
        endpoint,
        outgoing: false,
        peer_id: PeerId([9; 20]),
        fast: true,
        extensions: true,
    };
    world.input(input);
    assert_eq!(world.closed().last(), Some(&(again, CloseReason::Banned)));
    let (honest, wanted) = world.seed(2);
    world.complete_from(honest, wanted);
    assert!(world.events().contains(&Event::Finished));
}

const BAD: StoreResult = StoreResult::HashMismatch;
const GOOD: StoreResult = StoreResult::Stored;

/// Two peers that each delivered one of the two blocks of the only piece, and the job to store it.
fn shared_piece(world: &mut World) -> ([ConnectionId; 2], downpour_swarm::JobId) {
    let (one, first) = world.seed(1);
    let (two, second) = world.seed(2);
    world.deliver(one, first[0]);
    world.deliver(two, *second.iter().find(|block| **block != first[0]).unwrap());
    let job = world.jobs()[0].0;
    ([one, two], job)
}

fn banned(world: &World) -> Vec<(PeerEndpoint, BanReason)> {
    let banned = |event| match event {
        Event::PeerBanned { endpoint, reason } => Some((endpoint, reason)),
        _ => None,
    };
    world.events().into_iter().filter_map(banned).collect()
}

#[test]
fn the_good_copy_tells_who_lied() {
    for leaves in [false, true] {
        let mut world = World::new(1, &[]);
        let ([one, two], job) = shared_piece(&mut world);
        world.answer(job, BAD, &[1, 9]);
        assert_eq!((banned(&world), world.closed()), (vec![], vec![]), "it is not clear who");
        assert!(world.swarm.peer_statuses(world.now).all(|peer| peer.on_parole));
        if leaves {
            world.input(Input::Disconnected { connection: two, misbehaved: false });
        }
        let again = requests(&world.told(one));
        assert_eq!(again.len(), 2, "the whole piece from one peer");
        assert_eq!(requests(&world.told(two)), [], "and from nobody else");
        again.into_iter().for_each(|block| world.deliver(one, block));
        let job = world.jobs()[0].0;
        world.answer(job, GOOD, &[1, 2]);
        assert_eq!(banned(&world), [(endpoint(2), BanReason::CorruptBlock(block(0, 1)))]);
        assert!(!world.swarm.peer_statuses(world.now).any(|peer| peer.on_parole));
        let late = world.connect(2);
        assert!(world.closed().contains(&(late, CloseReason::Banned)));
        let honest = world.closed().contains(&(one, CloseReason::CorruptData));
        assert!(!honest);
    }
}

#[test]
fn a_second_lie_is_certain() {
    let mut world = World::new(1, &[]);
    let ([one, two], job) = shared_piece(&mut world);
    world.answer(job, BAD, &[1, 9]);
    let again = requests(&world.told(two));
    again.into_iter().for_each(|block| world.deliver(two, block));
    let job = world.jobs()[0].0;
    world.answer(job, BAD, &[8, 9]);
    assert_eq!(banned(&world), [(endpoint(2), BanReason::CorruptPiece(0))]);
    let wanted = requests(&world.told(one));
    wanted.into_iter().for_each(|block| world.deliver(one, block));
    let job = world.jobs()[0].0;
    world.answer(job, GOOD, &[1, 2]);
    assert_eq!(banned(&world).len(), 0, "nobody is banned twice");
    assert!(world.events().contains(&Event::Finished));
}

#[test]
fn several_pieces_that_fail_at_once_are_told_apart() {
    let mut world = World::new(3, &[]);
    let (one, first) = world.seed(1);
    let (two, second) = world.seed(2);
    let (three, third) = world.seed(3);
    assert_eq!((first.len(), second.len(), third.len()), (6, 6, 6), "endgame");
    // Peer 1 sends the first blocks of all, 2 and 3 the second ones.
    for block in first.iter().filter(|block| block.begin == 0) {
        world.deliver(one, *block);
    }
    for block in second.iter().filter(|block| block.begin > 0) {
        world.deliver(if block.piece == 0 { two } else { three }, *block);
    }
    let jobs = world.jobs();
    assert_eq!(jobs.len(), 3);
    for (job, _, _) in &jobs {
        world.answer(*job, BAD, &[1, 9]);
    }
    // Peer 1 had a part in all, and is honest.
    let mut banned_all = Vec::new();
    for _ in 0..10 {
        let wanted = requests(&world.told(one));
        wanted.into_iter().for_each(|block| world.deliver(one, block));
        for (job, _, _) in world.jobs() {
            world.answer(job, GOOD, &[1, 2]);
            banned_all.extend(banned(&world).into_iter().map(|ban| ban.0));
        }
    }
    banned_all.sort_unstable();
    banned_all.dedup();
    assert_eq!(banned_all, [endpoint(2), endpoint(3)]);
}

#[test]
fn who_leaves_in_the_middle_of_a_suspected_piece_does_not_hold_it() {
    let mut world = World::new(1, &[]);
    let ([one, two], job) = shared_piece(&mut world);
    world.answer(job, BAD, &[1, 9]);
    let again = requests(&world.told(one));
    world.deliver(one, again[0]);
    world.input(Input::Disconnected { connection: one, misbehaved: false });
    let rest = requests(&world.told(two));
    assert_eq!(rest, [again[1]]);
    world.deliver(two, rest[0]);
    let job = world.jobs()[0].0;
    // Now both lied once more or not: the copies of the next one who answers alone tell.
    world.answer(job, BAD, &[1, 9]);
    let rest = requests(&world.told(two));
    rest.into_iter().for_each(|block| world.deliver(two, block));
    let job = world.jobs()[0].0;
    world.answer(job, BAD, &[1, 9]);
    assert_eq!(banned(&world), [(endpoint(2), BanReason::CorruptPiece(0))]);
}
