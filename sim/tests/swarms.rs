//! Whole clients, wired as the engine wires them, finish what they started.

use core::time::Duration;

use downpour_base::{BLOCK_SIZE, Instant, TorrentId};
use downpour_session::Settings;
use downpour_sim::{NodeConfig, NodeNumber, Outcome, World};
use proptest::prelude::*;

const MIB: u64 = 1 << 20;
const HOUR: Instant = Instant::from_nanos(3_600_000_000_000);

fn seconds(seconds: u64) -> Instant {
    Instant::ORIGIN + Duration::from_secs(seconds)
}

/// One seed and `leechers` who know `known` others each.
fn swarm(seed: u64, leechers: usize, length: u64, known: usize) -> (World, TorrentId, Vec<NodeNumber>) {
    let mut world = World::new(seed);
    let torrent = world.add_torrent(length, 256 << 10);
    let nodes: Vec<_> = (0..=leechers).map(|_| world.add_node(NodeConfig::default())).collect();
    world.seed(nodes[0], torrent);
    nodes[1..].iter().for_each(|node| world.join(*node, torrent, Instant::ORIGIN));
    world.introduce_all(torrent, known);
    (world, torrent, nodes)
}

fn fifty(seed: u64) -> Outcome {
    let (mut world, torrent, nodes) = swarm(seed, 50, 64 * MIB, 20);
    let outcome = world.run_to_completion(HOUR);
    assert!(outcome.complete);
    for node in &nodes {
        assert!(world.pieces(*node, torrent).unwrap().is_full());
    }
    outcome
}

#[test]
fn fifty_clients_complete_and_the_same_seed_gives_the_same_trace() {
    let first = fifty(1);
    assert_eq!(first, fifty(1));
    // One client in 50 may get all from others; one copy at least has to leave the seed.
    assert!(first.nodes[0].sent_bytes >= 64 * MIB);
    assert!(first.nodes.iter().all(|node| node.banned.is_empty()));
}

#[test]
fn another_seed_gives_another_trace() {
    let run = |seed| swarm(seed, 4, 4 * MIB, 4).0.run_to_completion(HOUR);
    let (first, second) = (run(1), run(2));
    assert!(first.complete && second.complete);
    assert_ne!(first.trace_hash, second.trace_hash);
}

#[test]
fn who_comes_late_completes_too() {
    let (mut world, torrent, nodes) = swarm(3, 5, 8 * MIB, 3);
    let late = world.add_node(NodeConfig::default());
    world.join(late, torrent, seconds(300));
    world.introduce(late, torrent, &nodes[1..3]);
    assert!(!world.run_until(seconds(299)).complete);
    let outcome = world.run_to_completion(HOUR);
    assert!(outcome.complete);
    assert!(outcome.nodes[late.0 as usize].finished[&torrent] > seconds(300));
}

#[test]
fn a_seed_may_leave_when_one_copy_is_out() {
    let (mut world, torrent, nodes) = swarm(4, 8, 8 * MIB, 8);
    let out = |world: &World| {
        (0..32)
            .all(|piece| nodes[1..].iter().any(|node| world.pieces(*node, torrent).unwrap().contains(piece)))
    };
    let mut at = Instant::ORIGIN;
    while !out(&world) {
        at += Duration::from_millis(100);
        world.run_until(at);
        assert!(at < HOUR);
    }
    assert!(!world.is_complete(), "nothing would be shown");
    world.leave(nodes[0]);
    assert!(world.run_to_completion(HOUR).complete);
}

#[test]
fn a_dormant_torrent_wakes_when_somebody_calls_and_goes_to_sleep_again() {
    let mut world = World::new(5);
    let torrent = world.add_torrent(4 * MIB, 256 << 10);
    let seed = world.add_node(NodeConfig::default());
    let leecher = world.add_node(NodeConfig::default());
    world.seed_dormant(seed, torrent);
    world.run_until(seconds(10));
    assert!(world.swarm(seed, torrent).is_none());
    world.join(leecher, torrent, seconds(10));
    world.introduce(leecher, torrent, &[seed]);
    world.run_until(seconds(11));
    assert!(world.swarm(seed, torrent).is_some());
    assert!(world.run_to_completion(HOUR).complete);
    let asleep = world.now() + Settings::default().dormant_after + Duration::from_secs(120);
    world.run_until(asleep);
    assert!(world.swarm(seed, torrent).is_none());
    assert!(world.swarm(leecher, torrent).is_none());
}

#[test]
fn seeds_leave_each_other_alone() {
    let (mut world, _, _) = swarm(6, 6, 4 * MIB, 6);
    let done = world.run_to_completion(HOUR);
    assert!(done.complete);
    let calls = |outcome: &Outcome| outcome.nodes.iter().map(|node| node.calls).sum::<u64>();
    let later = world.run_until(done.now + Duration::from_secs(600));
    // Each pair may try once more; it must not go on and on.
    assert!(calls(&later) - calls(&done) <= 42, "{} calls", calls(&later) - calls(&done));
}

/// A seed of `limit` and three leechers.
fn limited(limit: u64) -> (World, NodeNumber) {
    let mut world = World::new(7);
    let torrent = world.add_torrent(4 * MIB, 256 << 10);
    let settings = Settings { upload_limit: Some(limit), ..Settings::default() };
    let seed = world.add_node(NodeConfig { settings, ..NodeConfig::default() });
    world.seed(seed, torrent);
    for _ in 0..3 {
        let node = world.add_node(NodeConfig::default());
        world.join(node, torrent, Instant::ORIGIN);
    }
    world.introduce_all(torrent, 3);
    (world, seed)
}

#[test]
fn an_upload_limit_holds_at_all_times() {
    const LIMIT: u64 = 100_000;
    let (mut world, seed) = limited(LIMIT);
    for second in 1..=20 {
        let outcome = world.run_until(seconds(second));
        let most = LIMIT * second + LIMIT / 4 + u64::from(BLOCK_SIZE);
        assert!(outcome.nodes[seed.0 as usize].sent_bytes <= most);
    }
    let outcome = world.run_to_completion(HOUR);
    assert!(outcome.complete);
    assert!(outcome.now >= seconds(4 * MIB / LIMIT - 1), "one copy takes that long");
}

#[test]
fn a_limit_that_changes_while_a_torrent_waits_for_it_does_not_stall_it() {
    let (mut world, seed) = limited(20_000);
    world.run_until(seconds(20));
    for more in 1..=20 {
        let settings = Settings { upload_limit: Some(20_000 + more * 1000), ..Settings::default() };
        world.apply_settings(seed, settings);
        world.run_until(seconds(20 + more));
    }
    let settings = Settings { upload_limit: Some(400_000), ..Settings::default() };
    world.apply_settings(seed, settings);
    assert!(world.run_to_completion(HOUR).complete);
}

#[test]
fn a_download_limit_holds_and_everybody_completes() {
    const LIMIT: u64 = 150_000;
    let mut world = World::new(8);
    let torrent = world.add_torrent(4 * MIB, 256 << 10);
    let seed = world.add_node(NodeConfig::default());
    let settings = Settings { download_limit: Some(LIMIT), ..Settings::default() };
    let leecher = world.add_node(NodeConfig { settings, ..NodeConfig::default() });
    world.seed(seed, torrent);
    world.join(leecher, torrent, Instant::ORIGIN);
    world.introduce(leecher, torrent, &[seed]);
    for second in 1..=10 {
        let outcome = world.run_until(seconds(second));
        assert!(outcome.nodes[1].received_bytes <= LIMIT * second + LIMIT / 4 + u64::from(BLOCK_SIZE));
    }
    assert!(world.run_to_completion(HOUR).complete);
}

#[test]
fn who_sends_bad_blocks_is_banned_and_the_others_complete() {
    let (mut world, torrent, nodes) = swarm(9, 8, 8 * MIB, 8);
    let liar = world.add_node(NodeConfig { corrupts_percent: 100, ..NodeConfig::default() });
    world.seed(liar, torrent);
    nodes[1..].iter().for_each(|node| world.introduce(*node, torrent, &[liar]));
    let outcome = world.run_to_completion(HOUR);
    assert!(outcome.complete);
    let ip = |endpoint: downpour_base::PeerEndpoint| endpoint.address().map(|address| address.ip());
    let banned: Vec<_> = outcome.nodes.iter().flat_map(|node| node.banned.clone()).map(ip).collect();
    assert!(banned.len() >= 4, "{} bans", banned.len());
    assert!(banned.iter().all(|banned| *banned == ip(world.endpoint(liar))), "an honest peer was banned");
}

#[test]
fn one_client_downloads_two_torrents() {
    let mut world = World::new(10);
    let torrents = [world.add_torrent(4 * MIB, 256 << 10), world.add_torrent(3 * MIB + 1, 64 << 10)];
    let nodes: Vec<_> = (0..4).map(|_| world.add_node(NodeConfig::default())).collect();
    for (torrent, seed) in torrents.into_iter().zip(&nodes) {
        world.seed(*seed, torrent);
        nodes
            .iter()
            .filter(|node| *node != seed)
            .for_each(|node| world.join(*node, torrent, Instant::ORIGIN));
        world.introduce_all(torrent, 3);
    }
    assert!(world.run_to_completion(HOUR).complete);
}

#[test]
fn a_recorded_swarm_replays_exactly() {
    let mut world = World::new(11);
    let torrent = world.add_torrent(8 * MIB, 256 << 10);
    let config = NodeConfig { record: true, ..NodeConfig::default() };
    let nodes: Vec<_> = (0..6).map(|_| world.add_node(config.clone())).collect();
    world.seed(nodes[0], torrent);
    nodes[1..].iter().for_each(|node| world.join(*node, torrent, Instant::ORIGIN));
    world.introduce_all(torrent, 4);
    assert!(world.run_to_completion(HOUR).complete);
    for node in nodes {
        let lines = String::from_utf8(world.take_recording(node, torrent)).unwrap();
        let report = downpour_swarm::replay(lines.lines()).unwrap();
        assert!(report.calls > 500 && report.compared > 500);
    }
}

fn any_node() -> impl Strategy<Value = NodeConfig> {
    let rates = (50_000u64..5_000_000, proptest::option::of(100_000u64..20_000_000), 500_000u64..100_000_000);
    // Less than a piece, about one, several.
    let memory = prop_oneof![Just(1), Just(200 << 10), Just(2 * MIB), Just(32 * MIB)];
    (rates, 0u64..300, 1u32..6, memory).prop_map(|((up, down, disk), millis, slots, memory_bytes)| {
        NodeConfig {
            uplink_bytes_per_second: up,
            downlink_bytes_per_second: down,
            delay: Duration::from_millis(millis),
            disk_bytes_per_second: disk,
            settings: Settings { upload_slots: slots, memory_bytes, ..Settings::default() },
            ..NodeConfig::default()
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_small_world_completes_within_its_budgets(
        configs in proptest::collection::vec(any_node(), 2..9),
        seed: u64,
        length in 1u64..6 * MIB,
        known in 1usize..8,
    ) {
        let mut world = World::new(seed);
        let torrent = world.add_torrent(length, 128 << 10);
        let nodes: Vec<_> = configs.into_iter().map(|config| world.add_node(config)).collect();
        world.seed(nodes[0], torrent);
        nodes[1..].iter().for_each(|node| world.join(*node, torrent, Instant::ORIGIN));
        world.introduce_all(torrent, known);
        // Nobody is out of reach: each knows the next.
        nodes.windows(2).for_each(|pair| world.introduce(pair[1], torrent, &pair[..1]));
        let mut at = Instant::ORIGIN;
        while !world.is_complete() {
            at += Duration::from_millis(500);
            prop_assert!(at < HOUR);
            world.run_until(at);
            for node in &nodes {
                let (Some(swarm), Some(budget)) = (world.swarm(*node, torrent), world.budget(*node, torrent))
                else {
                    continue;
                };
                prop_assert!(swarm.status(at).memory_bytes <= budget.memory_bytes.max(128 << 10));
                let unchoked = swarm.peer_statuses(at).filter(|peer| !peer.choked).count();
                prop_assert!(unchoked <= budget.upload_slots as usize);
            }
        }
    }
}
