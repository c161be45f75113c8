//! Small worlds: who announces is found, whatever liars and lost datagrams do.

#[path = "common/world.rs"]
mod world;

use world::{Outcome, Plan, run};

const PLAN: Plan = Plan { nodes: 300, liars_percent: 0, loss_percent: 0, torrents: 100, seed: 1 };

fn check(outcome: &Outcome, least: usize) {
    println!("{outcome:?}");
    assert_eq!(outcome.lookups, PLAN.torrents);
    assert!(outcome.found >= least, "{outcome:?}");
    // log2 of 300 is 8.2.
    assert!(outcome.most_hops <= 8, "{outcome:?}");
}

#[test]
fn without_faults_every_announce_is_found_and_a_run_repeats_itself() {
    let outcome = run(PLAN);
    check(&outcome, 100);
    assert_eq!(outcome, run(PLAN), "same seed, same trace");
    assert_ne!(outcome.trace, run(Plan { seed: 2, ..PLAN }).trace);
}

#[test]
fn a_fifth_of_liars_hides_next_to_nobody() {
    check(&run(Plan { liars_percent: 20, ..PLAN }), 99);
}

#[test]
fn three_of_ten_datagrams_lost_hide_next_to_nobody() {
    check(&run(Plan { loss_percent: 30, ..PLAN }), 99);
}
