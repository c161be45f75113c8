//! Budgets, limits, routing, dormancy.

use std::collections::BTreeMap;
use std::time::Duration;

use downpour_base::{ConnectionId, InfoHash, InfoHashV1, Instant, Machine, Seed, TorrentId};
use downpour_session::{Input, Output, RefuseReason, Session, Settings, TokenBucket};
use downpour_swarm::{Allowance, Budget, Demand, Direction};
use proptest::prelude::*;

struct World {
    session: Session,
    now: Instant,
    out: Vec<Output>,
}

fn hash(torrent: u64) -> InfoHashV1 {
    InfoHashV1([torrent as u8; 20])
}

impl World {
    fn new(settings: Settings) -> Self {
        let session = Session::new(Instant::ORIGIN, Seed::from_u64(1), settings);
        Self { session, now: Instant::ORIGIN, out: Vec::new() }
    }

    fn input(&mut self, input: Input) {
        self.session.handle_input(self.now, input);
        self.out.extend(std::iter::from_fn(|| self.session.poll_output()));
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(deadline) = self.session.poll_timeout().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.session.handle_timeout(self.now);
            self.out.extend(std::iter::from_fn(|| self.session.poll_output()));
        }
        self.now = end;
    }

    fn add(&mut self, number: u64) -> TorrentId {
        let torrent = TorrentId(number);
        self.input(Input::Add {
            torrent,
            info_hash: InfoHash::V1(hash(number)),
            trackers: Vec::new(),
            private: false,
            paused: false,
            finished: false,
        });
        torrent
    }

    fn active(&mut self, number: u64) -> TorrentId {
        let torrent = self.add(number);
        self.input(Input::Wake { torrent });
        self.input(Input::Activated { torrent });
        torrent
    }

    fn demand(&mut self, torrent: TorrentId, interested: u32, connections: u32, finished: bool) {
        self.input(Input::Demand { torrent, demand: Demand { interested, connections, finished } });
    }

    fn take(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.out)
    }

    /// The budget that each torrent was told last.
    fn budgets(&self) -> BTreeMap<TorrentId, Budget> {
        let told = |output: &Output| {
            if let Output::Budget { torrent, budget } = *output { Some((torrent, budget)) } else { None }
        };
        self.out.iter().filter_map(told).collect()
    }

    fn granted(&mut self, direction: Direction) -> BTreeMap<TorrentId, u64> {
        let mut sums = BTreeMap::new();
        for output in self.take() {
            if let Output::Allowance { torrent, direction: way, allowance: Allowance::Bytes(bytes) } = output
                && way == direction
            {
                *sums.entry(torrent).or_default() += bytes;
            }
        }
        sums
    }
}

#[test]
fn budgets_are_shared_by_need_and_told_when_they_change() {
    let settings = Settings {
        connections: 100,
        connections_per_torrent: 60,
        upload_slots: 8,
        memory_bytes: 1000,
        ..Settings::default()
    };
    let mut world = World::new(settings.clone());
    let one = world.active(1);
    assert_eq!(world.budgets()[&one], Budget { upload_slots: 8, connections: 60, memory_bytes: 1000 });
    let two = world.active(2);
    let share = Budget { upload_slots: 8, connections: 50, memory_bytes: 500 };
    assert_eq!(world.budgets(), BTreeMap::from([(one, share), (two, share)]));
    world.demand(one, 3, 5, false);
    world.demand(two, 1, 5, false);
    assert_eq!(world.budgets()[&one].upload_slots, 4, "two torrents have interested peers");
    world.demand(two, 1, 5, true);
    assert_eq!(world.budgets()[&one].memory_bytes, 1000, "a finished torrent needs no memory");
    world.take();
    world.demand(one, 2, 6, false);
    assert_eq!(world.take(), [], "the same shares are not told twice");
    world.input(Input::Settings(Settings { upload_slots: 0, ..settings }));
    assert!(world.budgets().values().all(|budget| budget.upload_slots == 0));
    world.input(Input::Remove { torrent: two });
    assert_eq!(world.budgets()[&one].connections, 60);
}

#[test]
fn who_calls_is_routed_refused_or_waits_for_a_dormant_torrent() {
    let mut world = World::new(Settings::default());
    let torrent = world.add(1);
    let calls = |world: &mut World, number, info_hash| {
        world.input(Input::Incoming { connection: ConnectionId(number), info_hash });
        world.take()
    };
    let refused = |number, reason| [Output::Refuse { connection: ConnectionId(number), reason }];
    assert_eq!(calls(&mut world, 1, hash(9)), refused(1, RefuseReason::UnknownTorrent));
    assert_eq!(calls(&mut world, 2, hash(1)), [Output::Activate { torrent }]);
    assert_eq!(calls(&mut world, 3, hash(1)), [], "it is woken once");
    world.input(Input::Activated { torrent });
    let attached: Vec<_> =
        world.take().into_iter().filter(|output| matches!(output, Output::Attach { .. })).collect();
    let attach = |number| Output::Attach { connection: ConnectionId(number), torrent };
    assert_eq!(attached, [attach(2), attach(3)]);
    assert_eq!(calls(&mut world, 4, hash(1)), [attach(4)]);
    world.demand(torrent, 0, Settings::default().connections, false);
    world.take();
    assert_eq!(calls(&mut world, 5, hash(1)), refused(5, RefuseReason::TooManyConnections));
}

#[test]
fn a_torrent_that_cannot_be_loaded_refuses_who_waits() {
    let mut world = World::new(Settings::default());
    let torrent = world.add(1);
    world.input(Input::Incoming { connection: ConnectionId(1), info_hash: hash(1) });
    world.take();
    world.input(Input::Deactivated { torrent });
    assert_eq!(
        world.take(),
        [Output::Refuse { connection: ConnectionId(1), reason: RefuseReason::NotLoaded }]
    );
    world.input(Input::Wake { torrent });
    assert_eq!(world.take(), [Output::Activate { torrent }], "it may be tried again");
    world.input(Input::Incoming { connection: ConnectionId(2), info_hash: hash(1) });
    world.input(Input::Remove { torrent });
    assert!(
        world
            .take()
            .contains(&Output::Refuse { connection: ConnectionId(2), reason: RefuseReason::NotLoaded })
    );
}

#[test]
fn only_a_finished_torrent_without_connections_goes_dormant() {
    let mut world = World::new(Settings { dormant_after: Duration::from_secs(60), ..Settings::default() });
    let torrent = world.active(1);
    world.take();
    let hour = Duration::from_secs(3600);
    world.pass(hour);
    world.demand(torrent, 1, 1, true);
    world.pass(hour);
    assert!(world.session.is_active(torrent), "unfinished, then in use");
    world.demand(torrent, 0, 0, true);
    world.pass(Duration::from_secs(59));
    assert!(world.session.is_active(torrent));
    world.take();
    world.pass(Duration::from_secs(2));
    assert_eq!(world.take(), [Output::Deactivate { torrent }]);
    // Who calls before the driver has dropped it waits until it is loaded again.
    world.input(Input::Incoming { connection: ConnectionId(7), info_hash: hash(1) });
    assert_eq!(world.take(), []);
    world.input(Input::Deactivated { torrent });
    assert_eq!(world.take(), [Output::Activate { torrent }]);
    world.input(Input::Activated { torrent });
    assert!(world.take().contains(&Output::Attach { connection: ConnectionId(7), torrent }));
    world.demand(torrent, 0, 0, true);
    world.pass(Duration::from_secs(61));
    world.input(Input::Deactivated { torrent });
    assert_eq!((world.session.is_active(torrent), world.session.poll_timeout()), (false, None));
}

#[test]
fn who_calls_for_a_paused_torrent_does_not_wake_it() {
    let mut world = World::new(Settings::default());
    let torrent = world.add(1);
    world.input(Input::Pause { torrent, paused: true });
    let (connection, info_hash) = (ConnectionId(1), hash(1));
    world.input(Input::Incoming { connection, info_hash });
    assert_eq!(world.take(), [Output::Refuse { connection, reason: RefuseReason::Paused }]);
    world.input(Input::Pause { torrent, paused: false });
    world.input(Input::Incoming { connection, info_hash });
    assert_eq!(world.take(), [Output::Activate { torrent }]);
}

#[test]
fn who_starves_without_a_limit_is_told_that_there_is_none() {
    let mut world = World::new(Settings::default());
    let torrent = world.active(1);
    world.take();
    let direction = Direction::Upload;
    world.input(Input::Starved { torrent, direction });
    assert_eq!(world.take(), [Output::Allowance { torrent, direction, allowance: Allowance::Unlimited }]);
}

proptest! {
    #[test]
    fn a_limit_is_kept_whoever_asks(
        limit in 1000u64..10_000_000, torrents in 1u64..6, own in proptest::option::of(500u64..1_000_000),
        asks in prop::collection::vec((0u64..6, 1u64..400), 1..200),
    ) {
        let mut world = World::new(Settings { upload_limit: Some(limit), ..Settings::default() });
        let all: Vec<TorrentId> = (1..=torrents).map(|number| world.active(number)).collect();
        let direction = Direction::Upload;
        world.input(Input::LimitTorrent { torrent: all[0], direction, bytes_per_second: own });
        world.take();
        let mut sums: BTreeMap<TorrentId, u64> = BTreeMap::new();
        for (who, millis) in asks {
            let torrent = all[(who % torrents) as usize];
            world.input(Input::Starved { torrent, direction });
            world.pass(Duration::from_millis(millis));
            for (torrent, bytes) in world.granted(direction) {
                *sums.entry(torrent).or_default() += bytes;
            }
            let allowed = |rate: u64| rate * world.now.as_nanos() / 1_000_000_000 + rate / 4 + 1;
            prop_assert!(sums.values().sum::<u64>() <= allowed(limit));
            if let Some(own) = own {
                prop_assert!(sums.get(&all[0]).copied().unwrap_or(0) <= allowed(own));
            }
        }
        world.input(Input::Starved { torrent: all[0], direction });
        world.pass(Duration::from_secs(1));
        prop_assert!(world.granted(direction).contains_key(&all[0]), "who asks gets something within a second");
    }

    #[test]
    fn a_bucket_gives_its_rate_and_no_more(rate in 1u64..1 << 40, steps in prop::collection::vec((0u64..2_000_000_000, any::<u64>()), 1..50)) {
        let (mut bucket, mut now, mut taken) = (TokenBucket::new(Instant::ORIGIN, rate), Instant::ORIGIN, 0u128);
        for (nanos, wish) in steps {
            now += Duration::from_nanos(nanos);
            let bytes = bucket.available(now).min(wish);
            bucket.take(bytes);
            taken += u128::from(bytes);
            let most = u128::from(rate) * u128::from(now.as_nanos()) / 1_000_000_000 + u128::from(rate) / 4 + 1;
            prop_assert!(taken <= most);
        }
        now += Duration::from_secs(10);
        prop_assert!(bucket.available(now) >= (rate / 4).saturating_sub(1));
    }
}
