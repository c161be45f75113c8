//! Limits on bytes.

use crate::world::{World, bits, block, uploads};
use bytes::Bytes;
use downpour_base::BLOCK_SIZE;
use downpour_swarm::{Allowance, Direction, Input, Output};
use downpour_wire::Message;

#[test]
fn an_allowance_that_is_used_up_starves_and_goes_on() {
    let mut world = World::new(4, &[0, 1, 2, 3]);
    let allow = |bytes| Input::Allowance { direction: Direction::Upload, allowance: Allowance::Bytes(bytes) };
    world.input(allow(0));
    let peer = world.connect(1);
    world.say(peer, Message::Interested);
    (0..4).for_each(|piece| world.say(peer, Message::Request(block(piece, 0))));
    assert_eq!(uploads(&world.told(peer)), []);
    let starved = |world: &World| {
        world.out.iter().filter(|o| matches!(o, Output::Starved { direction: Direction::Upload })).count()
    };
    assert_eq!(starved(&world), 1);
    world.input(allow(2 * u64::from(BLOCK_SIZE)));
    assert_eq!(uploads(&world.told(peer)).len(), 2);
    world.input(Input::Allowance { direction: Direction::Upload, allowance: Allowance::Unlimited });
    assert_eq!(uploads(&world.told(peer)).len(), 2);

    world.input(Input::Allowance { direction: Direction::Download, allowance: Allowance::Bytes(100) });
    assert_eq!(world.swarm.reserve_read(peer, 70), 70);
    assert_eq!(world.swarm.reserve_read(peer, 70), 30);
    world.swarm.return_read(10);
    assert_eq!((world.swarm.reserve_read(peer, 70), world.swarm.reserve_read(peer, 70)), (10, 0));
}

#[test]
fn a_throttled_reader_is_woken_though_it_cannot_write() {
    let mut world = World::new(2, &[]);
    let a = world.connect(1);
    world.input(Input::Allowance { direction: Direction::Download, allowance: Allowance::Bytes(0) });
    world.told(a);
    // something queued while the writer is blocked: woken stays set
    world.say(a, Message::Bitfield(Bytes::copy_from_slice(bits(2, &[0]).as_bytes())));
    assert_eq!(world.swarm.reserve_read(a, 100), 0);
    world.out.clear();
    world.input(Input::Allowance { direction: Direction::Download, allowance: Allowance::Bytes(1000) });
    assert!(world.out.iter().any(|o| matches!(o, Output::Wake { .. })), "it stood still");
}
