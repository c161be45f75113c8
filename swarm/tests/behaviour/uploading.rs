//! Who is served.

use crate::world::{BUDGET, PIECE, World, bits, block, uploads};
use downpour_base::{ConnectionId, Machine};
use downpour_swarm::{Budget, CloseReason, Geometry, Input, Transmit, limits};
use downpour_wire::Message;
use std::collections::BTreeSet;
use std::time::Duration;

#[test]
fn an_interested_peer_is_served_and_a_choked_one_rejected() {
    let mut world = World::new(4, &[0, 1]);
    let peer = world.connect(1);
    let offered: Vec<u32> = world
        .messages(peer)
        .iter()
        .filter_map(|m| if let Message::AllowedFast(p) = m { Some(*p) } else { None })
        .collect();
    assert!(offered.iter().all(|piece| [0, 1].contains(piece)));
    world.say(peer, Message::Request(block(2, 0)));
    assert_eq!(world.messages(peer), [Message::Reject(block(2, 0))], "choked, and we do not have it");
    if let Some(piece) = offered.first() {
        world.say(peer, Message::Request(block(*piece, 0)));
        assert_eq!(uploads(&world.told(peer)), [block(*piece, 0)], "allowed fast");
    }
    world.say(peer, Message::Interested);
    assert_eq!(world.messages(peer), [Message::Unchoke], "a free slot is given at once");
    world.say(peer, Message::Request(block(0, 0)));
    world.say(peer, Message::Request(block(1, 1)));
    world.say(peer, Message::Cancel(block(0, 0)));
    let told = world.told(peer);
    assert_eq!(uploads(&told), [block(1, 1)]);
    assert!(
        told.contains(&Transmit::Message(Message::Reject(block(0, 0)))),
        "BEP 6: every request is answered"
    );
    world.say(peer, Message::NotInterested);
    assert_eq!(world.messages(peer), [Message::Choke]);
}

#[test]
fn requests_without_end_while_choked_are_a_flood() {
    let mut world = World::new(4, &[]);
    let peer = world.connect_as(1, false, false);
    for _ in 0..=limits::MAX_CHOKED_REQUESTS {
        world.say(peer, Message::Request(block(0, 0)));
    }
    assert_eq!(world.closed(), [(peer, CloseReason::RequestFlood)]);
}

#[test]
fn slots_are_never_exceeded_and_all_get_their_turn() {
    let mut world = World::new(4, &[0, 1, 2, 3]);
    let peers: Vec<ConnectionId> = (1..=6).map(|number| world.connect(number)).collect();
    peers.iter().for_each(|peer| world.say(*peer, Message::Interested));
    let mut served = BTreeSet::new();
    for _ in 0..20 {
        let unchoked: Vec<_> = world.swarm.peer_statuses(world.now).filter(|peer| !peer.choked).collect();
        assert_eq!(unchoked.len(), 2);
        served.extend(unchoked.iter().map(|peer| peer.connection));
        world.pass(limits::RECHOKE_INTERVAL);
    }
    assert_eq!(served.len(), 6);
    for peer in peers {
        world.input(Input::Disconnected { connection: peer, misbehaved: false });
    }
    world.pass(Duration::from_secs(60));
    assert_eq!(world.swarm.poll_timeout(), None, "nobody is there: nothing is due");
}

#[test]
fn a_free_slot_chokes_nobody() {
    let geometry = Geometry::new(8 * u64::from(PIECE), PIECE, &bits(8, &[0]));
    let mut world = World::with(Some(&geometry));
    world.input(Input::Budget(Budget {
        upload_slots: 4,
        connections: 40,
        connections_per_address: 4,
        memory_bytes: 1 << 20,
    }));
    let all: Vec<_> = (1..=20).map(|n| world.connect(n)).collect();
    for c in &all {
        world.say(*c, Message::Interested);
    }
    let unchoked: Vec<_> =
        all.iter().copied().filter(|c| world.messages(*c).contains(&Message::Unchoke)).collect();
    world.say(unchoked[0], Message::NotInterested);
    let choked = unchoked[1..].iter().filter(|c| world.messages(**c).contains(&Message::Choke)).count();
    assert!(choked == 0, "it stood still");
}

#[test]
fn who_comes_back_is_no_newcomer() {
    let mut world = World::new(4, &[0, 1, 2, 3]);
    world.input(Input::Budget(Budget { upload_slots: 1, ..BUDGET }));
    let greedy = world.connect(1);
    world.say(greedy, Message::Interested);
    world.say(greedy, Message::Request(block(0, 0)));
    assert_eq!(uploads(&world.told(greedy)).len(), 1);
    let patient = world.connect(2);
    world.say(patient, Message::Interested);
    for round in 0..3 {
        // It leaves and comes back, to be served as one who never was.
        world.input(Input::Disconnected {
            connection: ConnectionId(if round == 0 { 1 } else { 9 + round }),
            misbehaved: false,
        });
        world.pass(Duration::from_secs(1));
        let (connection, peer_id) = (ConnectionId(10 + round), downpour_base::PeerId([0x81; 20]));
        let endpoint = crate::world::endpoint(1);
        world.input(Input::Connected {
            connection,
            endpoint,
            outgoing: false,
            peer_id,
            fast: true,
            extensions: true,
        });
        world.say(connection, Message::Interested);
        let served = world.swarm.peer_statuses(world.now).find(|peer| !peer.choked).unwrap();
        assert_eq!(served.connection, patient);
    }
}
