//! Bytes arrive as they were written, whatever the network does.

mod network;

use bytes::Bytes;
use downpour_utp::{CloseReason, Event, Settings};
use network::{Link, World, content, ms};
use proptest::prelude::*;
use std::time::Duration;

/// Sends `there` and `back` between two nodes over `link`, and checks that both arrive whole and the connection ends
/// in good order.
fn exchange(seed: u64, link: Link, settings: Settings, there: &Bytes, back: &Bytes) -> World {
    let mut world = World::new(seed, 2, link, settings);
    let mut caller = world.connect(0, 1, there.clone());
    // Four SYN packets may be lost in a row: whoever wants the connection tries again.
    for _ in 0..10 {
        let settled = world.run(ms(60_000), |world| {
            !world.nodes[1].accepted.is_empty() || world.nodes[0].closed(caller).is_some()
        });
        assert!(settled, "no answer, and no end");
        if world.nodes[0].closed(caller) != Some(CloseReason::ConnectTimedOut) {
            break;
        }
        world.nodes[0].incoming.remove(&caller);
        caller = world.connect(0, 1, there.clone());
    }
    let callee = *world.nodes[1].accepted.first().expect("somebody to accept");
    world.nodes[1].outgoing.insert(callee, back.clone());
    let finished = world.run(Duration::from_secs(3600), |world| {
        world.nodes[0].closed(caller).is_some() && world.nodes[1].closed(callee).is_some()
    });
    let statistics = [0, 1].map(|at| world.nodes[at].endpoint.statistics());
    assert!(finished, "{statistics:?}");
    assert!(world.nodes[1].incoming[&callee] == *there, "there {statistics:?}");
    assert!(world.nodes[0].incoming[&caller] == *back, "back");
    assert_eq!(world.nodes[0].closed(caller), Some(CloseReason::Finished));
    assert_eq!(world.nodes[1].closed(callee), Some(CloseReason::Finished));
    assert_eq!((&world.nodes[0].ended, &world.nodes[1].ended), (&vec![caller], &vec![callee]));
    for node in &world.nodes {
        assert_eq!(node.endpoint.held_bytes(), 0);
    }
    world.run(ms(10_000), |_| false);
    assert_eq!([0, 1].map(|at| world.nodes[at].endpoint.connections()), [0, 0], "nothing stays");
    world
}

#[test]
fn a_clean_link_loses_and_resends_nothing() {
    let world =
        exchange(1, Link::default(), Settings::default(), &content(3_000_000, 1), &content(50_000, 2));
    for node in &world.nodes {
        let statistics = node.endpoint.statistics();
        assert_eq!((statistics.lost, statistics.timeouts, statistics.duplicates), (0, 0, 0));
        assert_eq!((statistics.invalid, statistics.unknown, statistics.dropped), (0, 0, 0));
    }
    assert_eq!(world.nodes[0].events[0], Event::Connected(*world.nodes[0].ended.first().expect("ended")));
}

#[test]
fn empty_streams_end_too() {
    exchange(3, Link::default(), Settings::default(), &Bytes::new(), &Bytes::new());
}

#[test]
fn narrow_paths_are_found_out() {
    for mtu in [1472, 1400, 1234, 1000, 576] {
        let link = Link { mtu, ..Link::default() };
        let world = exchange(4, link, Settings::default(), &content(8_000_000, 1), &Bytes::new());
        let statistics = world.nodes[0].endpoint.statistics();
        let least = 8_000_000 / (mtu as u64 - 20);
        // Packets of nearly the path's size, but for the first ones.
        assert!(statistics.sent < least * 11 / 10 + 1000, "{mtu}: {statistics:?}, {least} at least");
        assert_eq!(statistics.timeouts, 0, "{mtu}: {statistics:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn streams_arrive_intact_over_any_network(
        seed in any::<u64>(),
        loss in 0u64..60, duplicate in 0u64..200, reorder in 0u64..300,
        delay in 0u64..200, jitter in 0u64..50,
        rate in prop_oneof![Just(0), 20_000u64..5_000_000],
        queue in 4_000u64..200_000,
        mtu in 548usize..1500,
        there in 0usize..400_000, back in 0usize..100_000,
        receive in 3_000usize..1_000_000, send in 100usize..300_000,
    ) {
        let link = Link { rate, delay: ms(delay), jitter: ms(jitter), queue_bytes: queue, mtu, loss, duplicate, reorder };
        let settings = Settings {
            receive_buffer_bytes: receive,
            receive_budget_bytes: receive,
            send_buffer_bytes: send,
            ..Settings::default()
        };
        exchange(seed, link, settings, &content(there, seed), &content(back, !seed));
    }
}

/// The same, bit for bit, when it is run again.
#[test]
fn the_same_seed_gives_the_same_packets() {
    let link = Link { loss: 50, reorder: 50, jitter: ms(5), rate: 1_000_000, ..Link::default() };
    let run = || {
        let world = exchange(9, link, Settings::default(), &content(500_000, 1), &content(500_000, 2));
        (world.now, world.nodes[0].endpoint.statistics(), world.nodes[1].endpoint.statistics())
    };
    assert_eq!(run(), run());
}

/// Sequence numbers wrap every 65,536 packets, the clock in the packets every 71 minutes.
#[test]
fn numbers_wrap_around() {
    let link = Link { mtu: 548, loss: 2, ..Link::default() };
    let mut world = World::new(5, 2, link, Settings::default());
    let data = content(80_000 * 528, 7);
    // The world begins one second before the wrap of the clock.
    world.now = downpour_base::Instant::from_nanos((1 << 32) * 1000 - 1_000_000_000);
    let caller = world.connect(0, 1, data.clone());
    assert!(world.run(Duration::from_secs(3600), |world| world.nodes[1].ended.len() == 1));
    let callee = world.nodes[1].accepted[0];
    assert!(world.nodes[1].incoming[&callee] == data);
    assert!(world.nodes[0].endpoint.statistics().sent > 80_000);
    assert_eq!(world.nodes[0].closed(caller), None);
}
