//! Liars and full disks.

use std::time::Duration;

use downpour_base::Instant;
use downpour_sim::{NodeConfig, World};

const MIB: u64 = 1 << 20;

/// Honest peers and some that damage what they send, all in one swarm: the honest ones complete, none of them is banned by
/// another, and what they receive in vain is bounded.
#[test]
fn liars_are_banned_and_the_honest_are_not() {
    for seed in 1..=6 {
        let mut world = World::new(seed);
        let torrent = world.add_torrent(16 * MIB, MIB as u32 / 2);
        let seeds = world.add_node(NodeConfig::default());
        world.seed(seeds, torrent);
        let liars: Vec<_> = (0..3)
            .map(|_| {
                world.add_node(NodeConfig {
                    corrupts_percent: [5, 30, 100][(seed % 3) as usize],
                    ..NodeConfig::default()
                })
            })
            .collect();
        liars.iter().for_each(|liar| world.seed(*liar, torrent));
        let honest: Vec<_> = (0..8).map(|_| world.add_node(NodeConfig::default())).collect();
        honest.iter().for_each(|node| world.join(*node, torrent, Instant::ORIGIN));
        world.introduce_all(torrent, 11);
        let outcome = world.run_to_completion(Instant::ORIGIN + Duration::from_secs(3600));
        assert!(outcome.complete, "seed {seed}");
        let liars: Vec<_> = liars.iter().map(|liar| world.endpoint(*liar).address().unwrap().ip()).collect();
        let mut banned = 0;
        for node in honest {
            let outcome = &outcome.nodes[node.0 as usize];
            for endpoint in &outcome.banned {
                assert!(
                    liars.contains(&endpoint.address().unwrap().ip()),
                    "seed {seed}: {endpoint} is honest"
                );
                banned += 1;
            }
            let wasted = outcome.received_bytes - 16 * MIB;
            assert!(wasted <= 16 * MIB, "seed {seed}: {wasted} bytes in vain");
        }
        assert!(banned > 0, "seed {seed}: nobody was found out");
    }
}

#[test]
fn a_download_outlives_a_full_disk_and_nothing_comes_twice() {
    let mut world = World::new(1);
    let torrent = world.add_torrent(64 * MIB, MIB as u32);
    let (seed, node) = (world.add_node(NodeConfig::default()), world.add_node(NodeConfig::default()));
    world.seed(seed, torrent);
    world.join(node, torrent, Instant::ORIGIN);
    world.introduce(node, torrent, &[seed]);
    let at = |seconds| Instant::ORIGIN + Duration::from_secs(seconds);
    world.run_until(at(20));
    world.fill_disk(node, true);
    world.run_until(at(600));
    assert!(world.swarm(node, torrent).unwrap().status(world.now()).disk_full);
    world.fill_disk(node, false);
    let outcome = world.run_to_completion(at(900));
    assert!(outcome.complete);
    assert_eq!(outcome.nodes[node.0 as usize].received_bytes, 64 * MIB);
}
