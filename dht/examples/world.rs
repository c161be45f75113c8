//! Thousands of nodes on one thread in virtual time: without faults, with a fifth of them lying, with 30 % of datagrams
//! lost. `cargo run --release -p downpour-dht --example world -- 10000` is the large form; it takes minutes.

#[path = "../tests/common/world.rs"]
mod world;

use peak_alloc::PeakAlloc;
use world::{Plan, World, run};

/// Counts the bytes in use.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn main() {
    let nodes = std::env::args().nth(1).and_then(|nodes| nodes.parse().ok()).unwrap_or(300);
    let plan = Plan { nodes, liars_percent: 0, loss_percent: 0, torrents: 200, seed: 1 };
    let before = ALLOCATOR.current_usage();
    let world = World::new(plan);
    let weight = ALLOCATOR.current_usage() - before;
    println!("{nodes} nodes: {} bytes of memory for each, with its place in the world", weight / nodes);
    drop(world);
    let faults = [("no faults", 0, 0), ("20 % liars", 20, 0), ("30 % loss", 0, 30)];
    for (name, liars_percent, loss_percent) in faults {
        let outcome = run(Plan { liars_percent, loss_percent, ..plan });
        let each = outcome.lookups as u64;
        println!(
            "{name}: found {} of {}; messages {} (most {}), hops {}.{:02} (most {}, log2 n is {:.1}); \
             {} datagrams, {} nodes kept by each, trace {:016x}",
            outcome.found,
            outcome.lookups,
            outcome.messages / each,
            outcome.most_messages,
            outcome.hops / each,
            100 * outcome.hops / each % 100,
            outcome.most_hops,
            (nodes as f64).log2(),
            outcome.datagrams,
            outcome.kept / nodes,
            outcome.trace,
        );
    }
}
