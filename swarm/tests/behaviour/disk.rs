//! A disk that fails.

use crate::world::World;
use downpour_swarm::{Command, DiskFailure, Event, Input, StoreResult};

#[test]
fn a_disk_that_fails_pauses_and_loses_nothing() {
    let mut world = World::new(2, &[]);
    let (seed, wanted) = world.seed(1);
    wanted.iter().for_each(|block| world.deliver(seed, *block));
    let jobs = world.jobs();
    let failure = DiskFailure { message: "no space".into(), disk_full: true };
    world.input(Input::Stored { job: jobs[0].0, result: StoreResult::Failed(failure.clone()) });
    world.input(Input::Stored { job: jobs[1].0, result: StoreResult::Stored });
    assert!(world.events().contains(&Event::DiskError(failure)));
    assert!(world.swarm.status(world.now).paused);
    world.input(Input::Command(Command::Resume));
    let (seed, wanted) = world.seed(2);
    assert_eq!(wanted.len(), 2, "only the piece that failed");
    world.complete_from(seed, wanted);
    assert!(world.events().contains(&Event::Finished));
}
