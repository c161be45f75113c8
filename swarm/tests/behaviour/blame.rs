//! Who sent bad data.

use crate::world::{World, endpoint};
use downpour_base::{ConnectionId, PeerId};
use downpour_swarm::{CloseReason, Event, Input, StoreResult};

#[test]
fn who_alone_sent_bad_data_is_banned_for_good() {
    let mut world = World::new(1, &[]);
    let (peer, wanted) = world.seed(1);
    wanted.iter().for_each(|block| world.deliver(peer, *block));
    let (job, piece, _) = world.jobs()[0];
    world.input(Input::Stored { job, result: StoreResult::HashMismatch });
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
