//! How fast it sends, and whom it makes room for.

mod network;

use downpour_base::Instant;
use downpour_utp::Settings;
use network::{Link, World, content, median, ms};
use std::time::Duration;

/// 10 Mbit/s, 50 ms there and back, and a queue that holds 800 ms.
const BOTTLENECK: Link = Link {
    rate: 1_250_000,
    delay: ms(25),
    queue_bytes: 1_000_000,
    jitter: Duration::ZERO,
    mtu: 1472,
    loss: 0,
    duplicate: 0,
    reorder: 0,
};

/// Sends from node 0 to node 1 for `time`; returns payload bytes a second and the median queueing delay.
fn goodput(world: &mut World, time: Duration) -> (u64, Duration) {
    let received = |world: &World| world.nodes[1].incoming.values().map(Vec::len).sum::<usize>() as u64;
    world.take_waits(0, 1);
    let before = received(world);
    world.run(time, |_| false);
    ((received(world) - before) * 1000 / time.as_millis() as u64, median(world.take_waits(0, 1)))
}

#[test]
fn a_link_for_itself_is_filled_with_the_queue_at_the_target() {
    let mut world = World::new(1, 2, BOTTLENECK, Settings::default());
    world.connect(0, 1, content(60_000_000, 1));
    let (starting, _) = goodput(&mut world, ms(10_000));
    assert!(starting > 1_250_000 * 8 / 10, "{starting} B/s in the first ten seconds");
    let (rate, delay) = goodput(&mut world, ms(20_000));
    assert!(rate > 1_250_000 * 9 / 10, "{rate} B/s");
    assert!(delay < ms(150) && delay > ms(30), "{delay:?}");
    assert_eq!(world.nodes[0].endpoint.statistics().timeouts, 0);
}

#[test]
fn a_greedy_flow_gets_the_link() {
    let alone = {
        let mut world = World::new(2, 2, BOTTLENECK, Settings::default());
        world.set_greedy(true);
        world.run(ms(60_000), |_| false);
        world.greedy_delivered()
    };
    let mut world = World::new(2, 2, BOTTLENECK, Settings::default());
    world.connect(0, 1, content(100_000_000, 1));
    world.run(ms(10_000), |_| false);
    world.set_greedy(true);
    let (rate, _) = goodput(&mut world, ms(60_000));
    let beside = world.greedy_delivered();
    assert!(beside > alone * 8 / 10, "{beside} bytes of {alone} when alone");
    assert!(rate > 0, "not starved either");
    world.set_greedy(false);
    world.run(ms(5_000), |_| false);
    let (rate, delay) = goodput(&mut world, ms(20_000));
    assert!(rate > 1_250_000 * 9 / 10, "{rate} B/s when the other has gone");
    assert!(delay < ms(150), "{delay:?}");
}

#[test]
fn the_target_is_a_setting() {
    let settings = Settings { target_delay: ms(25), ..Settings::default() };
    let mut world = World::new(3, 2, BOTTLENECK, settings);
    world.connect(0, 1, content(60_000_000, 1));
    world.run(ms(10_000), |_| false);
    let (rate, delay) = goodput(&mut world, ms(20_000));
    assert!(rate > 1_250_000 * 9 / 10 && delay < ms(40), "{rate} B/s, {delay:?}");
}

#[test]
fn clocks_that_differ_and_drift_do_no_harm() {
    for (faster, slower) in [(0, 1), (1, 0)] {
        let mut world = World::new(4, 2, BOTTLENECK, Settings::default());
        // A day ahead, and 100 parts in a million too fast: six milliseconds in a minute.
        world.clocks[faster] = (Duration::from_secs(86_400), 100);
        world.clocks[slower] = (Duration::ZERO, 0);
        world.connect(0, 1, content(400_000_000, 1));
        world.run(ms(120_000), |_| false);
        let (rate, delay) = goodput(&mut world, ms(60_000));
        assert!(rate > 1_250_000 * 9 / 10, "{rate} B/s, {delay:?}");
        assert!(delay < ms(200), "{delay:?}");
    }
}

#[test]
fn flows_share_a_link() {
    let mut world = World::new(5, 2, BOTTLENECK, Settings::default());
    let ids: Vec<_> = (0..4).map(|n| world.connect(0, 1, content(40_000_000, n))).collect();
    world.run(ms(5_000), |_| false);
    let (rate, _) = goodput(&mut world, ms(60_000));
    assert!(rate > 1_250_000 * 9 / 10, "{rate} B/s");
    assert_eq!(ids.len(), world.nodes[1].accepted.len());
    for id in &world.nodes[1].accepted {
        let received = world.nodes[1].incoming[id].len();
        assert!(received > 2_000_000, "{received} bytes of one of four in a minute");
    }
}

#[test]
fn losses_cost_little_more_than_what_was_lost() {
    let link = Link { loss: 10, ..BOTTLENECK };
    let mut world = World::new(6, 2, link, Settings::default());
    world.connect(0, 1, content(20_000_000, 1));
    world.run(ms(60_000), |_| false);
    let statistics = world.nodes[0].endpoint.statistics();
    let resent = statistics.fast_resent + statistics.timeout_resent;
    assert!(statistics.lost * 1000 < statistics.sent * 12, "{statistics:?}");
    assert!(resent <= statistics.lost && statistics.timeout_resent * 20 < statistics.lost, "{statistics:?}");
    let duplicates = world.nodes[1].endpoint.statistics().duplicates;
    assert!(duplicates * 50 < statistics.lost, "{duplicates} of {} in vain", statistics.lost);
}

/// Which packets are lost is written down here, so what happens is known to the packet.
#[test]
fn one_lost_packet_is_resent_once() {
    let mut world = World::new(7, 2, Link { delay: ms(50), ..Link::default() }, Settings::default());
    world.connect(0, 1, content(3_000_000, 1));
    assert!(world.run(ms(60_000), |world| world.nodes[0].datagrams_sent > 200));
    // The next datagram, and only that, vanishes.
    let at = world.nodes[0].datagrams_sent;
    let before = world.nodes[0].endpoint.statistics();
    assert_eq!(before.lost, 0);
    world.link(0, 1).loss = 1000;
    world.run(ms(60_000), |world| world.nodes[0].datagrams_sent > at);
    let vanished = world.nodes[0].datagrams_sent - at;
    world.link(0, 1).loss = 0;
    world.run(ms(60_000), |world| !world.nodes[1].ended.is_empty());
    let after = world.nodes[0].endpoint.statistics();
    assert_eq!((after.lost, after.fast_resent, after.timeouts), (vanished, vanished, 0));
    assert_eq!(world.nodes[1].endpoint.statistics().duplicates, 0);
}

#[test]
fn a_link_that_dies_is_noticed() {
    let mut world = World::new(8, 2, Link::default(), Settings::default());
    let id = world.connect(0, 1, content(30_000_000, 1));
    world.run(ms(200), |_| false);
    world.link(0, 1).loss = 1000;
    let before = world.now;
    assert!(world.run(ms(600_000), |world| world.nodes[0].closed(id).is_some()));
    assert_eq!(world.nodes[0].closed(id), Some(downpour_utp::CloseReason::TimedOut));
    let took = world.now.saturating_duration_since(before);
    assert!(took > ms(30_000) && took < ms(120_000), "{took:?}");
    assert_ne!(world.now, Instant::ORIGIN);
}
