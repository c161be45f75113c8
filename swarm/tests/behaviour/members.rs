//! Who is called, who stays, who goes.

use crate::world::{BUDGET, World, endpoint};
use downpour_base::{BLOCK_SIZE, ConnectionId, Machine, PeerEndpoint, PeerId};
use downpour_swarm::{Budget, CloseReason, Input, Output, PeerSource, Totals, limits, peer_priority};
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

fn connected(number: u64, endpoint: PeerEndpoint, outgoing: bool, id: u8) -> Input<u32> {
    let (connection, peer_id) = (ConnectionId(number), PeerId([id; 20]));
    Input::Connected { connection, endpoint, outgoing, peer_id, fast: true, extensions: true }
}

#[test]
fn we_do_not_talk_to_ourselves_nor_call_there_again() {
    let mut world = World::new(1, &[]);
    let here = endpoint(1);
    world.input(Input::Peers { endpoints: vec![here], source: PeerSource::Tracker });
    assert_eq!(world.dialled(), [here]);
    world.input(connected(1, here, true, 5));
    world.input(connected(2, endpoint(77), false, 5));
    let own = |number| (ConnectionId(number), CloseReason::OwnConnection);
    assert_eq!(world.closed(), [own(1), own(2)]);
    world.input(Input::Peers { endpoints: vec![here], source: PeerSource::Tracker });
    world.pass(Duration::from_secs(100_000));
    assert_eq!(world.dialled(), []);
}

#[test]
fn one_address_gets_so_many_places_and_no_more() {
    let at = |ip: [u8; 4], port| PeerEndpoint::Tcp((ip, port).into());
    for (ip, places) in [([10, 9, 9, 9], 4), ([127, 0, 0, 1], 8)] {
        let mut world = World::new(1, &[]);
        for number in 1..=8 {
            world.input(connected(number, at(ip, 1000 + number as u16), false, number as u8 + 50));
        }
        let refused = world.closed();
        assert_eq!(refused.len(), 8 - places);
        assert!(refused.iter().all(|(_, reason)| *reason == CloseReason::CrowdedAddress));
        world.out.clear();
        // It is not called either, until somebody there leaves.
        world.input(Input::Peers { endpoints: vec![at(ip, 99)], source: PeerSource::Tracker });
        assert_eq!(world.dialled().len(), usize::from(places == 8));
        world.input(Input::Disconnected { connection: ConnectionId(1), misbehaved: false });
        world.pass(Duration::from_secs(60));
        assert_eq!(world.dialled().len(), usize::from(places != 8));
    }
}

#[test]
fn the_canonical_priority_says_whom_to_call_and_who_gives_way() {
    let mut world = World::new(4, &[]);
    let us = "123.213.32.10".parse().unwrap();
    world.input(Input::ExternalAddress(us));
    let priority = |endpoint: PeerEndpoint| {
        peer_priority(std::net::SocketAddr::new(us, 6881), endpoint.address().unwrap())
    };
    let mut all: Vec<PeerEndpoint> =
        (1..=30).map(|n| PeerEndpoint::Tcp(([10, n, 0, 1], 6881).into())).collect();
    world.input(Input::Budget(Budget { connections: 0, ..BUDGET }));
    world.input(Input::Peers { endpoints: all.clone(), source: PeerSource::Tracker });
    world.input(Input::Budget(BUDGET));
    all.sort_by_key(|endpoint| std::cmp::Reverse(priority(*endpoint)));
    assert_eq!(world.dialled(), all[..10]);
    // All places are taken by those in the middle.
    let mut world = World::new(4, &[]);
    world.input(Input::ExternalAddress(us));
    for (number, endpoint) in (1..=10).zip(&all[10..20]) {
        world.input(connected(number, *endpoint, false, number as u8 + 50));
    }
    world.input(connected(20, all[25], false, 90));
    assert_eq!(
        world.closed(),
        [(ConnectionId(20), CloseReason::TooManyConnections)],
        "a lower one is refused"
    );
    world.input(connected(21, all[0], false, 91));
    assert_eq!(world.closed().last(), Some(&(ConnectionId(10), CloseReason::Turnover)));
    assert_eq!(world.swarm.status(world.now).peers, 10);
}

#[test]
fn who_neither_gives_nor_wants_loses_its_place() {
    let mut world = World::new(4, &[0]);
    for number in 1..=10 {
        let peer = world.connect(number);
        if number > 1 {
            world.say(peer, Message::Interested);
        }
    }
    world.pass(limits::IDLE_GRACE);
    world.connect(11);
    assert_eq!(world.closed(), [(ConnectionId(1), CloseReason::Turnover)]);
    // The same, when we know of somebody to call: after a while.
    world.input(Input::Peers { endpoints: vec![endpoint(99)], source: PeerSource::Tracker });
    world.out.clear();
    world.pass(limits::TURNOVER_INTERVAL + limits::IDLE_GRACE);
    assert!(world.closed().iter().all(|(_, reason)| *reason == CloseReason::Turnover));
    assert!(world.dialled().contains(&endpoint(99)));
}

#[test]
fn what_passed_is_remembered_when_a_peer_returns() {
    let mut world = World::new(4, &[0]);
    let (peer, wanted) = world.seed(1);
    world.deliver(peer, wanted[0]);
    world.input(Input::Disconnected { connection: peer, misbehaved: false });
    world.input(connected(50, endpoint(1), false, 0x81));
    let status = world.swarm.peer_statuses(world.now).next().unwrap();
    assert_eq!(status.downloaded_bytes, 0);
    assert_eq!(status.totals.downloaded_bytes, u64::from(BLOCK_SIZE));
    world.input(connected(51, endpoint(2), false, 2));
    assert_eq!(
        world.swarm.peer_statuses(world.now).filter(|peer| peer.totals != Totals::default()).count(),
        1
    );
}
