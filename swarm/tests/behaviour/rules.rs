//! What a peer may not do.

use crate::world::{World, block};
use bytes::Bytes;
use downpour_base::Block;
use downpour_swarm::CloseReason;
use downpour_wire::Message;

#[test]
fn each_broken_rule_closes_with_its_reason() {
    let cases: [(Message, CloseReason); 8] = [
        (Message::Have(4), CloseReason::NoSuchPiece(4)),
        (Message::Suggest(9), CloseReason::NoSuchPiece(9)),
        (Message::AllowedFast(4), CloseReason::NoSuchPiece(4)),
        (Message::Bitfield(Bytes::from_static(&[0xf8])), CloseReason::InvalidBitfield),
        (Message::Bitfield(Bytes::from_static(&[0, 0])), CloseReason::InvalidBitfield),
        (Message::Reject(block(0, 0)), CloseReason::UnrequestedReject),
        (Message::Request(block(4, 0)), CloseReason::InvalidRequest(block(4, 0))),
        (Message::Request(block(0, 2)), CloseReason::InvalidRequest(block(0, 2))),
    ];
    for (message, reason) in cases {
        let mut world = World::new(4, &[0]);
        let peer = world.connect(1);
        world.say(peer, message);
        assert_eq!(world.closed(), [(peer, reason)]);
    }
    let mut world = World::new(4, &[]);
    let (peer, wanted) = world.seed(1);
    world.deliver(peer, wanted[0]);
    world.deliver(peer, wanted[0]);
    assert_eq!(world.closed(), [(peer, CloseReason::UnrequestedBlock)]);
}

#[test]
fn what_is_no_block_closes_at_once() {
    let no_blocks = |asked: Block| {
        [
            Block { length: asked.length - 1, ..asked },
            Block { begin: asked.begin + 1, ..asked },
            Block { piece: 4, ..asked },
            Block { begin: 1 << 30, ..asked },
        ]
    };
    for number in 0..4 {
        let mut world = World::new(4, &[]);
        let (peer, wanted) = world.seed(1);
        let sent = no_blocks(wanted[0])[number];
        world.deliver(peer, sent);
        assert_eq!(world.closed(), [(peer, CloseReason::InvalidBlock(sent))]);
    }
}
