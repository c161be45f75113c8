//! Who is called, who stays, who goes.

use crate::world::{BUDGET, World, endpoint};
use downpour_base::{ConnectionId, Machine, PeerId};
use downpour_swarm::{CloseReason, Input, Output, PeerSource};
use downpour_wire::{ExtensionHandshake, Message};
use std::time::Duration;

#[test]
fn candidates_are_tried_within_the_budget_and_later_and_later() {
    let mut world = World::new(1, &[]);
    world.input(Input::Peers { endpoints: (1..=30).map(endpoint).collect(), source: PeerSource::Tracker });
    let dialled = world.dialled();
    assert_eq!(dialled.len(), BUDGET.connections as usize);
    let mut gaps = Vec::new();
    dialled.iter().for_each(|endpoint| world.input(Input::DialFailed { endpoint: *endpoint }));
    assert_eq!(world.dialled().len(), 10, "the next ones");
    let mut only = World::new(1, &[]);
    only.input(Input::Peers { endpoints: vec![endpoint(1), endpoint(1)], source: PeerSource::Tracker });
    for _ in 0..5 {
        assert_eq!(only.dialled(), [endpoint(1)]);
        only.input(Input::DialFailed { endpoint: endpoint(1) });
        let wait = only.swarm.poll_timeout().unwrap().saturating_duration_since(only.now);
        gaps.push(wait);
        only.pass(wait);
    }
    assert!(gaps.windows(2).all(|pair| pair[1] == pair[0] * 2), "{gaps:?}");
}

#[test]
fn both_ends_of_a_double_connection_keep_the_same_one() {
    // Our id is 5: towards 9, the one that 9 opened; towards 1, the one that we opened.
    for (peer, kept_is_outgoing) in [(9u8, false), (1, true)] {
        for outgoing_first in [false, true] {
            let mut world = World::new(4, &[]);
            let connected = |world: &mut World, number, outgoing| {
                let (connection, endpoint) = (ConnectionId(number), endpoint(number));
                let peer_id = PeerId([peer; 20]);
                world.input(Input::Connected {
                    connection,
                    endpoint,
                    outgoing,
                    peer_id,
                    fast: true,
                    extensions: true,
                });
            };
            connected(&mut world, 1, outgoing_first);
            connected(&mut world, 2, !outgoing_first);
            let kept = if outgoing_first == kept_is_outgoing { 1 } else { 2 };
            assert_eq!(world.closed(), [(ConnectionId(3 - kept), CloseReason::Duplicate)]);
        }
    }
}

#[test]
fn one_peer_cannot_fill_the_list_of_candidates() {
    let mut world = World::new(2, &[]);
    let a = world.connect(1);
    for port in 1..=4000u16 {
        world.say(
            a,
            Message::ExtensionHandshake(ExtensionHandshake { listen_port: Some(port), ..Default::default() }),
        );
    }
    world.input(Input::Disconnected { connection: a, misbehaved: false });
    world.out.clear();
    world.input(Input::Peers { endpoints: vec![endpoint(99)], source: PeerSource::Tracker });
    world.pass(Duration::from_secs(86400));
    let dialled = world.out.iter().any(|o| matches!(o, Output::Dial { endpoint: e } if *e == endpoint(99)));
    assert!(dialled);
}

#[test]
fn a_peer_that_does_not_read_is_closed() {
    let mut world = World::new(2, &[0, 1]);
    let a = world.connect(1);
    for _ in 0..100000 {
        world.say(a, Message::Interested);
        world.say(a, Message::NotInterested);
    }
    let n = world.messages(a).len();
    assert!(n < 10000, "it stood still");
}
