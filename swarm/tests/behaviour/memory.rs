//! What is started comes to its end.

use crate::world::{BUDGET, PIECE, World, bits, requests};
use bytes::Bytes;
use downpour_base::BLOCK_SIZE;
use downpour_swarm::{Budget, Command, Event, Geometry, Input, Output, StoreResult};
use downpour_wire::Message;
use std::time::Duration;

#[test]
fn memory_bounds_the_pieces_that_are_started() {
    let mut world = World::new(100, &[]);
    world.input(Input::Budget(Budget { memory_bytes: 5 * u64::from(BLOCK_SIZE), ..BUDGET }));
    let (seed, wanted) = world.seed(1);
    assert_eq!(wanted.len(), 4, "two pieces of two blocks");
    assert_eq!(world.swarm.status(world.now).memory_bytes, 4 * u64::from(BLOCK_SIZE));
    world.deliver(seed, wanted[0]);
    world.deliver(seed, wanted[1]);
    assert_eq!(requests(&world.told(seed)), [], "what has come counts until it is stored");
    let (job, _, _) = world.jobs()[0];
    world.input(Input::Stored { job, result: StoreResult::Stored, digests: vec![] });
    assert!(
        world.out.iter().any(|output| matches!(output, Output::Wake { connection } if *connection == seed))
    );
    assert_eq!(requests(&world.told(seed)).len(), 2);
    world.input(Input::Disconnected { connection: seed, misbehaved: false });
    assert_eq!(
        world.swarm.status(world.now).memory_bytes,
        0,
        "requests that will not be answered are given back"
    );
}

#[test]
fn however_little_memory_there_is_the_download_completes() {
    let mut world = World::new(6, &[]);
    world.input(Input::Budget(Budget { memory_bytes: 1, ..BUDGET }));
    let (mut peers, mut asked) = (Vec::new(), Vec::new());
    for number in 1..=3 {
        let (peer, blocks) = world.seed(number);
        peers.push(peer);
        asked.extend(blocks.into_iter().map(|block| (peer, block)));
    }
    // Each peer delivers one block at a time, so that pieces are shared among them.
    for _ in 0..200 {
        for peer in &peers {
            asked.extend(requests(&world.told(*peer)).into_iter().map(|block| (*peer, block)));
            if let Some(at) = asked.iter().position(|(owner, _)| owner == peer) {
                let (peer, block) = asked.remove(at);
                world.deliver(peer, block);
            }
            assert!(world.swarm.status(world.now).memory_bytes <= u64::from(PIECE));
            for (job, _, _) in world.jobs() {
                world.input(Input::Stored { job, result: StoreResult::Stored, digests: vec![] });
            }
            if world.events().contains(&Event::Finished) {
                return;
            }
        }
    }
    panic!("never finished: {:?}", world.swarm.status(world.now));
}

#[test]
fn a_piece_that_nobody_delivers_gives_way() {
    let geometry = Geometry::new(4 * u64::from(PIECE), PIECE, &bits(4, &[]));
    let mut world = World::with(Some(&geometry));
    world.input(Input::Budget(Budget { memory_bytes: u64::from(PIECE), ..BUDGET }));
    let a = world.connect(1);
    world.say(a, Message::Bitfield(Bytes::copy_from_slice(bits(4, &[0]).as_bytes())));
    world.say(a, Message::Unchoke);
    let asked = requests(&world.told(a));
    assert_eq!(asked.len(), 2);
    world.deliver(a, asked[0]);
    world.input(Input::Disconnected { connection: a, misbehaved: false });
    let b = world.connect(2);
    world.say(b, Message::Bitfield(Bytes::copy_from_slice(bits(4, &[1, 2, 3]).as_bytes())));
    world.say(b, Message::Unchoke);
    let mut more = requests(&world.told(b)).len();
    for _ in 0..100 {
        world.pass(Duration::from_secs(30));
        more += requests(&world.told(b)).len();
    }
    assert!(more > 0, "it stood still");
}

#[test]
fn a_started_piece_that_is_skipped_gives_way() {
    let geometry = Geometry::new(4 * u64::from(PIECE), PIECE, &bits(4, &[]));
    let mut world = World::with(Some(&geometry));
    world.input(Input::Budget(Budget { memory_bytes: u64::from(PIECE), ..BUDGET }));
    let (a, asked) = world.seed(1);
    world.deliver(a, asked[0]);
    let p = asked[0].piece;
    world.say(a, Message::Choke);
    for b in &asked[1..] {
        world.say(a, Message::Reject(*b));
    }
    world.input(Input::Command(Command::SetPiecePriority { piece: p, priority: 0 }));
    world.say(a, Message::Unchoke);
    let mut more = requests(&world.told(a)).len();
    for _ in 0..100 {
        world.pass(Duration::from_secs(30));
        more += requests(&world.told(a)).len();
    }
    assert!(more > 0, "it stood still");
}

#[test]
fn who_answers_nothing_is_not_asked_for_ever() {
    let mut world = World::new(8, &[]);
    let (silent, wanted) = world.seed(1);
    let mut asked = wanted.len();
    for _ in 0..5000 {
        world.pass(Duration::from_secs(30));
        asked += requests(&world.told(silent)).len();
    }
    let unanswered = world.swarm.peer_statuses(world.now).next().map(|peer| peer.requests as usize);
    assert_eq!(unanswered, Some(asked));
    assert!(asked <= downpour_swarm::limits::MAX_UNANSWERED, "{asked}");
}
