//! What users want.

use crate::world::{PIECE, World, endpoint, requests};
use bytes::Bytes;
use downpour_base::Bitfield;
use downpour_swarm::{CloseReason, Command, Event, Geometry, Input, PeerSource};
use downpour_wire::{ExtensionHandshake, Message};
use std::time::Duration;

#[test]
fn a_pause_closes_everything_and_a_resume_dials_again() {
    let mut world = World::new(4, &[]);
    world.input(Input::Peers { endpoints: vec![endpoint(1)], source: PeerSource::Tracker });
    let peer = world.connect_as(1, true, true);
    world.input(Input::Command(Command::Pause));
    assert_eq!(world.closed(), [(peer, CloseReason::Paused)]);
    world.pass(Duration::from_secs(3600));
    let late = world.connect(2);
    assert_eq!(world.closed().last(), Some(&(late, CloseReason::Paused)));
    world.out.clear();
    world.input(Input::Command(Command::Resume));
    assert_eq!(world.dialled(), [endpoint(1)]);
}

#[test]
fn wishes_can_change_while_it_runs() {
    let mut world = World::new(4, &[]);
    for piece in [0, 1, 3] {
        world.input(Input::Command(Command::SetPiecePriority { piece, priority: 0 }));
    }
    let (seed, wanted) = world.seed(1);
    assert!(wanted.iter().all(|block| block.piece == 2) && wanted.len() == 2);
    world.complete_from(seed, wanted);
    assert!(world.events().contains(&Event::Finished), "all that is wanted is here");
    world.input(Input::Command(Command::SetPiecePriority { piece: 1, priority: 7 }));
    let (seed, wanted) = world.seed(2);
    assert!(wanted.iter().all(|block| block.piece == 1) && wanted.len() == 2);
    world.complete_from(seed, wanted);
    world.input(Input::Command(Command::PieceLost(2)));
    assert!(!world.swarm.status(world.now).finished, "have becomes not-have");
}

#[test]
fn a_host_can_speak_an_extension_of_its_own() {
    let mut world = World::new(4, &[]);
    let peer = world.connect(1);
    world.messages(peer);
    let (extension, payload) = (downpour_wire::ExtensionId(3), Bytes::from_static(b"move e4"));
    world.say(
        peer,
        Message::ExtensionHandshake(ExtensionHandshake { client: Some("game".into()), ..Default::default() }),
    );
    world.say(peer, Message::Extended { extension, payload: payload.clone() });
    assert!(world.events().contains(&Event::Extended {
        connection: peer,
        extension,
        payload: payload.clone()
    }));
    world.input(Input::Command(Command::SendExtended {
        connection: peer,
        extension,
        payload: payload.clone(),
    }));
    assert_eq!(world.messages(peer), [Message::Extended { extension, payload }]);
    assert_eq!(world.swarm.peer_statuses(world.now).next().unwrap().client.as_deref(), Some("game"));
}

#[test]
fn the_metadata_may_come_later() {
    let mut world = World::with(None);
    let seed = world.connect(1);
    assert_eq!(world.messages(seed)[0], Message::HaveNone);
    let partial = world.connect_as(2, false, false);
    world.say(seed, Message::HaveAll);
    world.say(seed, Message::Unchoke);
    world.say(partial, Message::Have(1));
    world.say(partial, Message::Have(99));
    world.input(Input::Metadata(Geometry::new(4 * u64::from(PIECE), PIECE, &Bitfield::new(4))));
    assert_eq!(world.closed(), [(partial, CloseReason::NoSuchPiece(99))]);
    let wanted = requests(&world.told(seed));
    assert_eq!(wanted.len(), 8);
    world.complete_from(seed, wanted);
    assert!(world.events().contains(&Event::Finished));
}
