//! The queue, seeding goals, and who calls too often.

use std::collections::BTreeSet;
use std::time::Duration;

use downpour_base::{ConnectionId, InfoHash, InfoHashV1, Instant, Machine, PeerEndpoint, Seed, TorrentId};
use downpour_session::{
    Event, Input, Output, QueueMove, RefuseReason, SeedingGoal, Session, Settings, limits,
};
use downpour_swarm::Demand;
use proptest::prelude::*;

/// A session whose driver loads and drops torrents at once.
struct World {
    session: Session,
    now: Instant,
    events: Vec<Event>,
    refused: Vec<RefuseReason>,
    ratios: Vec<(TorrentId, Option<u32>)>,
    reports: u64,
}

impl World {
    fn new(settings: Settings) -> Self {
        Self {
            session: Session::new(Instant::ORIGIN, Seed::from_u64(1), settings),
            now: Instant::ORIGIN,
            events: Vec::new(),
            refused: Vec::new(),
            ratios: Vec::new(),
            reports: 0,
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Activate { torrent } => {
                    self.session.handle_input(self.now, Input::Activated { torrent })
                }
                Output::Deactivate { torrent } => {
                    self.session.handle_input(self.now, Input::Deactivated { torrent })
                }
                Output::Event(event) => self.events.push(event),
                Output::Refuse { reason, .. } => self.refused.push(reason),
                Output::SeedRatio { torrent, per_mille } => self.ratios.push((torrent, per_mille)),
                _ => {}
            }
        }
    }

    fn input(&mut self, input: Input) {
        self.session.handle_input(self.now, input);
        self.drain();
        self.pass(Duration::ZERO);
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut calls = 0;
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= end) {
            calls += 1;
            assert!(calls < 100_000, "it spins");
            self.now = self.now.max(at);
            self.session.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn add(&mut self, number: u64) -> TorrentId {
        let torrent = TorrentId(number);
        let info_hash = InfoHash::V1(InfoHashV1([number as u8; 20]));
        self.input(Input::Add {
            torrent,
            info_hash,
            trackers: Vec::new(),
            private: false,
            paused: false,
            finished: false,
        });
        self.input(Input::Wake { torrent });
        torrent
    }

    fn report(&mut self, torrent: TorrentId, finished: bool, slow: bool) {
        self.reports += 1;
        let demand = Demand { interested: 0, connections: 1, finished, slow, number: self.reports };
        self.input(Input::Demand { torrent, demand });
        self.pass(limits::AUTO_MANAGE_DELAY);
    }

    fn active(&self) -> Vec<u64> {
        (1..20).filter(|number| self.session.is_active(TorrentId(*number))).collect()
    }

    fn call(&mut self, connection: u64, address: [u8; 4]) -> Result<(), RefuseReason> {
        let endpoint = PeerEndpoint::Tcp((address, connection as u16).into());
        let admitted = self.session.admit(self.now, ConnectionId(connection), endpoint);
        self.drain();
        admitted
    }
}

fn two_downloads() -> Settings {
    Settings { active_downloads: Some(2), active_seeds: Some(1), ..Settings::default() }
}

#[test]
fn downloads_run_in_the_order_of_the_queue() {
    let mut world = World::new(two_downloads());
    let all: Vec<TorrentId> = (1..=5).map(|number| world.add(number)).collect();
    assert_eq!(world.active(), [1, 2]);
    assert!(world.session.is_queued(all[2]) && !world.session.is_queued(all[0]));
    world.input(Input::MoveInQueue { torrent: all[4], to: QueueMove::Top });
    assert_eq!(world.active(), [1, 5]);
    world.input(Input::MoveInQueue { torrent: all[0], to: QueueMove::Down });
    assert_eq!(world.active(), [2, 5]);
    world.input(Input::Pause { torrent: all[4], paused: true });
    world.pass(limits::AUTO_MANAGE_DELAY);
    assert_eq!(world.active(), [1, 2, 5], "what the user paused takes no slot");
    world.input(Input::Remove { torrent: all[1] });
    world.pass(limits::AUTO_MANAGE_DELAY);
    assert_eq!(world.active(), [1, 3, 5]);
    world.input(Input::AutoManage { torrent: all[3], on: false });
    assert_eq!(world.active(), [1, 3, 4, 5], "the queue has no say in it");
    world.input(Input::Settings(Settings::default()));
    assert_eq!(world.active(), [1, 3, 4, 5]);
    assert!(!all.iter().any(|torrent| world.session.is_queued(*torrent)));
}

#[test]
fn a_slow_torrent_holds_up_nobody() {
    let mut world = World::new(two_downloads());
    let all: Vec<TorrentId> = (1..=4).map(|number| world.add(number)).collect();
    world.report(all[1], false, false);
    world.pass(Duration::from_secs(30));
    assert_eq!(world.active(), [1, 2], "it may need some time");
    world.pass(limits::AUTO_MANAGE_STARTUP);
    assert_eq!(world.active(), [1, 2, 3], "the first is slow, and runs on");
    world.report(all[0], false, false);
    assert_eq!(world.active(), [1, 2], "now it takes a slot");
    world.report(all[0], true, false);
    assert_eq!(world.active(), [1, 2, 3], "a seed takes none of these");
}

#[test]
fn no_more_seeds_are_active_than_may_be() {
    let mut world = World::new(two_downloads());
    let (one, two) = (world.add(1), world.add(2));
    world.report(one, true, false);
    world.report(two, true, false);
    assert_eq!(world.active(), [1]);
    let info_hash = InfoHashV1([2; 20]);
    world.input(Input::Incoming { connection: ConnectionId(1), info_hash });
    assert_eq!(world.refused, [RefuseReason::Queued]);
    world.input(Input::Remove { torrent: one });
    world.input(Input::Incoming { connection: ConnectionId(2), info_hash });
    assert_eq!(world.active(), [2], "who calls wakes it when there is a slot");
}

#[test]
fn a_report_that_comes_late_says_nothing() {
    let mut world = World::new(Settings::default());
    let torrent = world.add(1);
    let connection = ConnectionId(1);
    let report = |number, connections| Input::Demand {
        torrent,
        demand: Demand { interested: 0, connections, finished: false, slow: true, number },
    };
    world.input(report(2, 0));
    world.input(report(1, Settings::default().connections));
    world.input(Input::Incoming { connection, info_hash: InfoHashV1([1; 20]) });
    assert_eq!(world.refused, []);
}

#[test]
fn seeding_ends_when_the_goal_is_reached_and_not_when_the_user_wants_it_again() {
    let goal = SeedingGoal { ratio_per_mille: Some(2000), time: Some(Duration::from_secs(600)) };
    for by_ratio in [false, true] {
        let mut world = World::new(Settings { seeding_goal: goal, ..Settings::default() });
        let torrent = world.add(1);
        assert_eq!(world.ratios, [(torrent, Some(2000))]);
        world.pass(Duration::from_secs(10_000));
        assert_eq!(world.active(), [1], "it is not finished");
        world.report(torrent, true, false);
        if by_ratio {
            world.input(Input::SeedRatioReached { torrent });
        } else {
            world.pass(Duration::from_secs(400));
            world.input(Input::Pause { torrent, paused: true });
            world.pass(Duration::from_secs(5000));
            world.input(Input::Pause { torrent, paused: false });
            world.pass(Duration::from_secs(190));
            assert_eq!(world.events, [], "a pause does not count");
            world.pass(Duration::from_secs(10));
        }
        assert_eq!(world.events, [Event::SeedingGoalReached { torrent }]);
        assert_eq!(world.active(), [0; 0]);
        world.input(Input::Incoming { connection: ConnectionId(1), info_hash: InfoHashV1([1; 20]) });
        assert_eq!(world.refused, [RefuseReason::SeedingDone]);
        world.input(Input::Wake { torrent });
        world.report(torrent, true, false);
        world.pass(Duration::from_secs(10_000));
        assert_eq!((world.active(), world.events.len()), (vec![1], 1));
    }
    // A goal of its own comes before that of the session.
    let mut world = World::new(Settings { seeding_goal: goal, ..Settings::default() });
    let torrent = world.add(1);
    world.input(Input::SeedingGoal { torrent, goal: Some(SeedingGoal::default()) });
    world.report(torrent, true, false);
    world.pass(Duration::from_secs(10_000));
    assert_eq!((world.ratios.last(), world.events.len()), (Some(&(torrent, None)), 0));
}

#[test]
fn a_new_goal_counts_after_one_that_was_reached() {
    let goal = |seconds| SeedingGoal { time: Some(Duration::from_secs(seconds)), ..SeedingGoal::default() };
    let mut world = World::new(Settings { seeding_goal: goal(100), ..Settings::default() });
    let torrent = world.add(1);
    world.report(torrent, true, false);
    world.pass(Duration::from_secs(100));
    assert_eq!((world.events.len(), world.active()), (1, vec![]));
    world.input(Input::SeedingGoal { torrent, goal: Some(goal(300)) });
    world.input(Input::Incoming { connection: ConnectionId(1), info_hash: InfoHashV1([1; 20]) });
    assert_eq!((world.refused.len(), world.active()), (0, vec![1]));
    world.report(torrent, true, false);
    world.pass(Duration::from_secs(100));
    assert_eq!(world.events.len(), 1);
    world.pass(Duration::from_secs(100));
    assert_eq!((world.events.len(), world.active()), (2, vec![]), "not waived by having been reached");
}

#[test]
fn a_goal_that_is_reached_while_the_torrent_is_loaded_stops_it() {
    let goal = SeedingGoal { time: Some(Duration::from_secs(100)), ..SeedingGoal::default() };
    let mut world = World::new(Settings { seeding_goal: goal, ..Settings::default() });
    let torrent = world.add(1);
    world.report(torrent, true, false);
    let idle = Demand { finished: true, slow: true, number: 99, ..Demand::default() };
    world.input(Input::Demand { torrent, demand: idle });
    world.pass(Duration::from_secs(70));
    assert_eq!(world.active(), [0; 0], "nobody calls");
    let call = Input::Incoming { connection: ConnectionId(1), info_hash: InfoHashV1([1; 20]) };
    world.session.handle_input(world.now, call);
    assert_eq!(world.session.poll_output(), Some(Output::Activate { torrent }));
    world.pass(Duration::from_secs(60));
    assert_eq!(world.events, [Event::SeedingGoalReached { torrent }]);
    world.input(Input::Activated { torrent });
    assert_eq!(world.active(), [0; 0]);
    assert_eq!(world.refused.len(), 1, "who called is told");
}

#[test]
fn who_calls_a_thousand_times_is_refused_and_named_once_a_minute() {
    let mut world = World::new(Settings { incoming_per_minute: 60, ..Settings::default() });
    world.add(1);
    let mut admitted = 0;
    for call in 0..1000 {
        if world.call(call, [10, 0, 0, 1]).is_ok() {
            admitted += 1;
            world.input(Input::Closed { connection: ConnectionId(call) });
        }
    }
    assert_eq!(admitted, 60);
    assert!(matches!(
        world.events[..],
        [Event::ConnectionRefused { reason: RefuseReason::TooOften, times: 1, .. }]
    ));
    assert_eq!(world.call(2000, [10, 0, 0, 2]), Ok(()), "others are not touched");
    world.pass(Duration::from_secs(1));
    assert_eq!(world.call(2001, [10, 0, 0, 1]), Ok(()), "one each second from then on");
    assert_eq!(world.call(2002, [10, 0, 0, 1]), Err(RefuseReason::TooOften));
    world.pass(limits::REFUSAL_NOTICE_INTERVAL);
    for call in 3000..4000 {
        let _ = world.call(call, [10, 0, 0, 1]);
        world.input(Input::Closed { connection: ConnectionId(call) });
    }
    let told = |event: &Event| if let Event::ConnectionRefused { times, .. } = event { *times } else { 0 };
    assert_eq!(world.events.iter().map(told).collect::<Vec<_>>(), [1, 941]);
}

#[test]
fn handshakes_that_do_not_come_are_bounded() {
    let mut world = World::new(Settings::default());
    let calls = |world: &mut World, from: u64, address| {
        (from..from + 100).filter(|call| world.call(*call, address).is_ok()).count()
    };
    assert_eq!(calls(&mut world, 0, [10, 0, 0, 1]), limits::MAX_HANDSHAKES_PER_ADDRESS as usize);
    assert_eq!(calls(&mut world, 100, [10, 0, 0, 2]), limits::MAX_HANDSHAKES_PER_ADDRESS as usize);
    assert_eq!(world.call(300, [10, 0, 0, 3]), Err(RefuseReason::TooManyHandshakes));
    world.input(Input::Closed { connection: ConnectionId(0) });
    assert_eq!(world.call(301, [10, 0, 0, 3]), Ok(()));
}

#[derive(Clone, Debug)]
enum Step {
    Add,
    Wake(u64),
    Remove(u64),
    Pause(u64, bool),
    Move(u64, QueueMove),
    Report(u64),
    Limit(Option<u32>, Option<u32>),
}

fn step() -> impl Strategy<Value = Step> {
    let to = prop_oneof![
        Just(QueueMove::Up),
        Just(QueueMove::Down),
        Just(QueueMove::Top),
        Just(QueueMove::Bottom)
    ];
    let limit = || prop::option::weighted(0.8, 0u32..4);
    prop_oneof![
        4 => Just(Step::Add),
        2 => (1u64..12).prop_map(Step::Wake),
        1 => (1u64..12).prop_map(Step::Remove),
        2 => (1u64..12, any::<bool>()).prop_map(|(number, paused)| Step::Pause(number, paused)),
        4 => (1u64..12, to).prop_map(|(number, to)| Step::Move(number, to)),
        3 => (1u64..12).prop_map(Step::Report),
        1 => (limit(), limit()).prop_map(|(downloads, all)| Step::Limit(downloads, all)),
    ]
}

proptest! {
    /// The queue beside a list that is sorted by hand, and that counts who may run.
    #[test]
    fn who_runs_is_who_stands_in_front(steps in prop::collection::vec(step(), 0..60)) {
        let mut world = World::new(two_downloads());
        let (mut order, mut paused): (Vec<u64>, BTreeSet<u64>) = Default::default();
        let (mut limit, mut all) = (Some(2), None);
        let mut next = 1;
        for step in steps {
            match step {
                Step::Add if next < 12 => {
                    world.add(next);
                    order.push(next);
                    next += 1;
                }
                Step::Add => {}
                Step::Wake(number) => world.input(Input::Wake { torrent: TorrentId(number) }),
                Step::Remove(number) => {
                    world.input(Input::Remove { torrent: TorrentId(number) });
                    order.retain(|other| *other != number);
                    paused.remove(&number);
                }
                Step::Pause(number, on) if order.contains(&number) => {
                    world.input(Input::Pause { torrent: TorrentId(number), paused: on });
                    if on {
                        paused.insert(number);
                    } else {
                        paused.remove(&number);
                        world.input(Input::Wake { torrent: TorrentId(number) });
                    }
                }
                Step::Pause(..) => {}
                Step::Move(number, to) => {
                    world.input(Input::MoveInQueue { torrent: TorrentId(number), to });
                    if let Some(at) = order.iter().position(|other| *other == number) {
                        order.remove(at);
                        let to = match to {
                            QueueMove::Up => at.saturating_sub(1),
                            QueueMove::Down => (at + 1).min(order.len()),
                            QueueMove::Top => 0,
                            QueueMove::Bottom => order.len(),
                        };
                        order.insert(to, number);
                    }
                }
                Step::Report(number) if world.session.is_active(TorrentId(number)) => {
                    world.report(TorrentId(number), false, false);
                }
                Step::Report(..) => {}
                Step::Limit(downloads, limit_all) => {
                    (limit, all) = (downloads, limit_all);
                    let settings = Settings {
                        active_downloads: downloads,
                        active_limit: limit_all,
                        dont_count_slow_torrents: false,
                        ..Settings::default()
                    };
                    world.input(Input::Settings(settings));
                }
            }
            world.pass(limits::AUTO_MANAGE_DELAY);
            prop_assert!(world.session.queue().map(|torrent| torrent.0).eq(order.iter().copied()));
            let most = limit.unwrap_or(99).min(all.unwrap_or(99)) as usize;
            let runs: BTreeSet<u64> =
                order.iter().copied().filter(|number| !paused.contains(number)).take(most).collect();
            let active: BTreeSet<u64> =
                world.active().into_iter().filter(|number| !paused.contains(number)).collect();
            prop_assert_eq!(&active, &runs);
            for number in &order {
                let waits = !paused.contains(number) && !runs.contains(number);
                prop_assert_eq!(world.session.is_queued(TorrentId(*number)), waits);
            }
        }
    }
}
