//! Whether payload flows.

use std::time::Duration;

use downpour_base::Machine;
use downpour_swarm::{Demand, Output, limits};

use crate::world::{World, requests};

fn demands(world: &World) -> Vec<Demand> {
    let demand =
        |output: &Output<u32>| if let Output::Demand(demand) = output { Some(*demand) } else { None };
    world.out.iter().filter_map(demand).collect()
}

#[test]
fn a_torrent_is_slow_until_payload_flows_and_again_when_it_stops() {
    let mut world = World::new(100, &[]);
    let (seed, mut wanted) = world.seed(1);
    assert!(demands(&world).iter().all(|demand| demand.slow));
    for _ in 0..30 {
        let block = wanted.remove(0);
        world.deliver(seed, block);
        wanted.extend(requests(&world.told(seed)));
        world.pass(Duration::from_secs(1));
    }
    assert!(!demands(&world).last().unwrap().slow);
    world.pass(2 * limits::PACE_INTERVAL);
    assert!(demands(&world).last().unwrap().slow);
    let numbers: Vec<u64> = demands(&world).iter().map(|demand| demand.number).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "each report has its number");
    world.input(downpour_swarm::Input::Disconnected { connection: seed, misbehaved: false });
    world.pass(2 * limits::PACE_INTERVAL);
    assert_eq!(world.swarm.poll_timeout(), None);
}
