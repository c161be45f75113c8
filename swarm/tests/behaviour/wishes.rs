//! What users want.

use crate::world::{PIECE, World, block, endpoint, requests};
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

#[test]
fn a_selection_changes_all_pieces_at_once() {
    let mut world = World::new(6, &[]);
    world.input(Input::Command(Command::SetPiecePriorities(vec![0, 0, 1, 0, 7, 0])));
    let (_, wanted) = world.seed(1);
    let pieces: Vec<u32> = wanted.iter().map(|block| block.piece).collect();
    assert_eq!(pieces, [4, 4, 2, 2], "the rest is not wanted");
    world.input(Input::Command(Command::SetPiecePriorities(vec![0, 0, 0, 0, 0, 0])));
    assert!(world.events().contains(&Event::Finished));
}

#[test]
fn finished_and_unfinished_is_told_to_everybody_each_time() {
    let mut world = World::new(2, &[0]);
    let seed = endpoint(1);
    world.input(Input::Peers { endpoints: vec![seed], source: PeerSource::Tracker });
    let seed = world.connect_as(1, true, true);
    world.say(seed, Message::HaveAll);
    let leecher = world.connect(2);
    world.messages(leecher);
    assert!(world.messages(seed).contains(&Message::Interested));
    let only = |priority| Input::Command(Command::SetPiecePriority { piece: 1, priority });
    for _ in 0..3 {
        world.out.clear();
        world.input(only(0));
        assert_eq!(world.events().iter().filter(|event| **event == Event::Finished).count(), 1);
        assert_eq!(world.closed(), [(seed, CloseReason::BothSeeds)]);
        let upload_only = |message: &Message| match message {
            Message::ExtensionHandshake(handshake) => handshake.upload_only,
            _ => None,
        };
        assert!(world.messages(leecher).iter().any(|message| upload_only(message) == Some(true)));
        world.out.clear();
        world.input(only(4));
        assert!(world.messages(leecher).iter().any(|message| upload_only(message) == Some(false)));
        // The seed that was of no use is called again at once.
        assert_eq!(world.dialled(), [endpoint(1)]);
        world.connect_as(1, true, true);
        world.say(seed, Message::HaveAll);
        assert!(world.messages(seed).contains(&Message::Interested));
    }
}

#[test]
fn the_seeding_ratio_is_told_once_it_is_reached() {
    let mut world = World::new(4, &[0, 1, 2, 3]);
    // Half of four pieces: two pieces of two blocks.
    world.input(Input::SeedRatio(Some(500)));
    let peer = world.connect(1);
    world.say(peer, Message::Interested);
    let reached = |world: &World| {
        world.out.iter().filter(|output| matches!(output, downpour_swarm::Output::SeedRatioReached)).count()
    };
    for piece in 0..4 {
        assert_eq!(reached(&world), usize::from(piece > 1));
        (0..2).for_each(|index| world.say(peer, Message::Request(block(piece, index))));
        world.told(peer);
    }
}
