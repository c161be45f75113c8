//! A disk that fails.

use std::time::Duration;

use downpour_base::BLOCK_SIZE;

use crate::world::{World, requests};
use downpour_swarm::{Command, DiskFailure, Event, Input, JobId, StoreResult};

#[test]
fn a_disk_that_fails_pauses_and_loses_nothing() {
    let mut world = World::new(2, &[]);
    let (seed, wanted) = world.seed(1);
    wanted.iter().for_each(|block| world.deliver(seed, *block));
    let jobs = world.jobs();
    let failure = DiskFailure { message: "broken".into(), disk_full: false };
    let (job, blocks) = (jobs[0].0, jobs[0].2.clone());
    world.input(Input::NotStored { job, failure: failure.clone(), blocks });
    world.input(Input::Stored { job: jobs[1].0, result: StoreResult::Stored, digests: vec![] });
    assert!(world.events().contains(&Event::DiskError(failure)));
    assert!(world.swarm.status(world.now).paused);
    world.input(Input::Command(Command::Resume));
    let (seed, wanted) = world.seed(2);
    assert_eq!(wanted.len(), 2, "only the piece that failed");
    world.complete_from(seed, wanted);
    assert!(world.events().contains(&Event::Finished));
}

fn full(world: &mut World, (job, _, blocks): &(JobId, u32, Vec<u32>)) {
    let failure = DiskFailure { message: "no space".into(), disk_full: true };
    world.input(Input::NotStored { job: *job, failure, blocks: blocks.clone() });
}

#[test]
fn a_full_disk_is_waited_for_and_nothing_comes_twice() {
    let mut world = World::new(40, &[]);
    let (seed, wanted) = world.seed(1);
    wanted[..4].iter().for_each(|block| world.deliver(seed, *block));
    let jobs = world.jobs();
    assert_eq!(jobs.len(), 2);
    full(&mut world, &jobs[0]);
    assert!(
        world.events().iter().any(|event| matches!(event, Event::DiskError(failure) if failure.disk_full))
    );
    full(&mut world, &jobs[1]);
    let status = world.swarm.status(world.now);
    assert!(status.disk_full && !status.paused);
    world.out.clear();
    // What was asked for still comes, and is kept.
    wanted[4..].iter().for_each(|block| world.deliver(seed, *block));
    assert_eq!(requests(&world.told(seed)), [], "nothing more is asked for");
    assert_eq!((world.jobs().len(), world.closed().len()), (0, 0), "and the peer stays");
    // One piece is tried after 10 s, after 20 more, after 40 more, then every minute.
    for wait in [10, 20, 40, 60, 60] {
        world.pass(Duration::from_secs(wait - 1));
        assert_eq!(world.jobs().len(), 0);
        world.pass(Duration::from_secs(1));
        let probe = world.jobs();
        assert_eq!(probe.len(), 1);
        full(&mut world, &probe[0]);
        assert!(!world.events().iter().any(|event| matches!(event, Event::DiskError(_))), "it was said once");
    }
    world.pass(Duration::from_secs(60));
    let probe = world.jobs();
    world.answer(probe[0].0, StoreResult::Stored, &[]);
    assert!(world.events().contains(&Event::DiskHasSpace));
    let rest = world.jobs();
    assert_eq!(rest.len(), 7, "all that waited");
    rest.iter().for_each(|(job, _, _)| world.answer(*job, StoreResult::Stored, &[]));
    assert_eq!(world.swarm.status(world.now).wasted_bytes, 0);
    let wanted = requests(&world.told(seed));
    world.complete_from(seed, wanted);
    assert!(world.events().contains(&Event::Finished));
    assert_eq!(world.swarm.status(world.now).downloaded_bytes, 80 * u64::from(BLOCK_SIZE));
}

#[test]
fn a_pause_ends_the_probes_and_a_resume_tries_at_once() {
    let mut world = World::new(1, &[]);
    let (seed, wanted) = world.seed(1);
    wanted.iter().for_each(|block| world.deliver(seed, *block));
    let jobs = world.jobs();
    full(&mut world, &jobs[0]);
    world.input(Input::Command(Command::Pause));
    world.pass(Duration::from_secs(3600));
    assert_eq!(world.jobs().len(), 0);
    world.input(Input::Command(Command::Resume));
    let probe = world.jobs();
    world.answer(probe[0].0, StoreResult::Stored, &[]);
    assert!(world.events().contains(&Event::Finished));
}
