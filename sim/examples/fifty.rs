//! Fifty clients and a seed: when each is done, and what fingerprint the run has.
//! `cargo run --release -p downpour-sim --example fifty -- 7` runs the world of seed 7.

use downpour_base::Instant;
use downpour_sim::{NodeConfig, World};
use std::time::Duration;

fn main() {
    let seed = std::env::args().nth(1).and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut world = World::new(seed);
    let torrent = world.add_torrent(64 << 20, 256 << 10);
    let nodes: Vec<_> = (0..51).map(|_| world.add_node(NodeConfig::default())).collect();
    world.seed(nodes[0], torrent);
    for node in &nodes[1..] {
        world.join(*node, torrent, Instant::ORIGIN);
    }
    world.introduce_all(torrent, 20);

    let outcome = world.run_to_completion(Instant::ORIGIN + Duration::from_secs(3600));
    println!("node  finished s  sent MiB  received MiB  calls");
    for (number, node) in outcome.nodes.iter().enumerate() {
        let millis = node.finished.get(&torrent).map(|at| at.as_nanos() / 1_000_000);
        let finished = millis.map_or("-".to_owned(), |ms| format!("{}.{:03}", ms / 1000, ms % 1000));
        let (sent, received) = (node.sent_bytes >> 20, node.received_bytes >> 20);
        println!("{number:>4}  {finished:>10}  {sent:>8}  {received:>12}  {:>5}", node.calls);
    }
    println!("complete: {}", outcome.complete);
    println!("trace: {:016x} over {} entries", outcome.trace_hash, outcome.trace_entries);
}
