//! Announces follow the life of torrents, and the peers that they bring find their swarm.

use core::time::Duration;

use downpour_base::{InfoHash, InfoHashV1, Instant, Machine, PeerEndpoint, PeerId, Seed, TorrentId};
use downpour_session::{Effect, Input, Next, Output, Session, Settings, after_session};
use downpour_swarm::Demand;
use downpour_tracker::client::{HttpResponse, JobId};

const TORRENT: TorrentId = TorrentId(1);
const URL: &str = "http://t.example/announce";
const ANSWER: &str = "d8:intervali900e5:peers0:e";
const PEER: &[u8] = b"d8:intervali900e5:peers6:\xc6\x33\x64\x07\x1a\xe1e";

struct World {
    session: Session,
    now: Instant,
    left: u64,
    requests: Vec<(JobId, String)>,
    out: Vec<Output>,
    shut_down: bool,
}

impl World {
    fn new() -> Self {
        let (now, settings) = (Instant::ORIGIN, Settings::default());
        let session = Session::new(now, Seed::from_u64(1), settings);
        let mut world =
            Self { session, now, left: 5, requests: Vec::new(), out: Vec::new(), shut_down: false };
        world.input(Input::Identity { peer_id: PeerId([b'p'; 20]), port: 6881 });
        world
    }

    fn input(&mut self, input: Input) {
        self.session.handle_input(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            self.out.push(output.clone());
            match after_session::<()>(output) {
                Some(Next::Effect(Effect::Totals(torrent))) => {
                    let totals = Input::Totals { torrent, uploaded: 1, downloaded: 2, left: self.left };
                    self.session.handle_input(self.now, totals);
                }
                Some(Next::Effect(Effect::Http { job, url, .. })) => self.requests.push((job, url)),
                Some(Next::Effect(Effect::ShutDown)) => self.shut_down = true,
                _ => {}
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.session.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn add(&mut self, torrent: TorrentId, private: bool, paused: bool, finished: bool) {
        let info_hash = InfoHash::V1(InfoHashV1([torrent.0 as u8; 20]));
        let trackers = vec![vec![URL.to_owned()]];
        self.input(Input::Add { torrent, info_hash, trackers, private, paused, finished });
    }

    /// A torrent that runs, and is announced.
    fn running() -> Self {
        let mut world = Self::new();
        world.add(TORRENT, false, false, false);
        world.input(Input::Wake { torrent: TORRENT });
        world.input(Input::Activated { torrent: TORRENT });
        assert_eq!(world.answer(ANSWER), Some("started".to_owned()));
        world.out.clear();
        world
    }

    /// Answers the one request that is under way; says which event it was.
    #[track_caller]
    fn answer(&mut self, body: impl AsRef<[u8]>) -> Option<String> {
        assert_eq!(self.requests.len(), 1, "{:?}", self.requests);
        let (job, url) = self.requests.remove(0);
        let body = body.as_ref().to_vec();
        self.input(Input::HttpDone { job, result: Ok(HttpResponse { status: 200, body }) });
        url.split('&').find_map(|pair| pair.strip_prefix("event=")).map(str::to_owned)
    }

    fn demand(&mut self, connections: u32, finished: bool) {
        let demand = Demand { connections, finished, ..Demand::default() };
        self.input(Input::Demand { torrent: TORRENT, demand });
    }
}

fn endpoint() -> PeerEndpoint {
    PeerEndpoint::Tcp("198.51.100.7:6881".parse().expect("an address"))
}

#[test]
fn a_torrent_is_announced_when_it_is_loaded() {
    let mut world = World::new();
    world.add(TORRENT, false, false, false);
    world.input(Input::Wake { torrent: TORRENT });
    assert!(world.requests.is_empty());
    world.input(Input::Activated { torrent: TORRENT });
    let url = world.requests[0].1.clone();
    assert!(
        url.contains("&left=5&") && url.contains("&numwant=200&") && url.contains("&port=6881&"),
        "{url}"
    );
    assert_eq!(world.answer(PEER), Some("started".to_owned()));
    assert!(world.out.contains(&Output::Peers { torrent: TORRENT, endpoints: vec![endpoint()] }));
    world.pass(Duration::from_secs(900));
    assert_eq!(world.answer(ANSWER), None);
}

#[test]
fn completed_is_said_by_who_was_unfinished() {
    let mut world = World::running();
    world.demand(3, false);
    world.left = 0;
    world.demand(3, true);
    assert_eq!(world.answer(ANSWER), Some("completed".to_owned()));
    world.demand(0, true);
    assert!(world.requests.is_empty());

    let mut world = World::running();
    world.left = 0;
    world.demand(0, true);
    assert!(world.requests.is_empty(), "it was complete when it was loaded");
}

#[test]
fn a_pause_stops_and_going_on_starts() {
    let mut world = World::running();
    world.input(Input::Pause { torrent: TORRENT, paused: true });
    assert_eq!(world.answer(ANSWER), Some("stopped".to_owned()));
    world.pass(Duration::from_secs(10_000));
    assert!(world.requests.is_empty());
    world.input(Input::Pause { torrent: TORRENT, paused: false });
    assert_eq!(world.answer(ANSWER), Some("started".to_owned()));
}

#[test]
fn a_torrent_that_is_added_paused_is_not_announced() {
    let mut world = World::new();
    world.add(TORRENT, false, true, true);
    world.input(Input::Pause { torrent: TORRENT, paused: true });
    assert!(world.requests.is_empty());
    world.input(Input::Pause { torrent: TORRENT, paused: false });
    assert_eq!(world.answer(ANSWER), Some("started".to_owned()));
}

#[test]
fn a_finished_torrent_is_announced_in_its_sleep_and_sleeps_on() {
    let mut world = World::new();
    world.left = 0;
    world.add(TORRENT, false, false, true);
    assert!(world.requests[0].1.contains("&numwant=0&"));
    assert_eq!(world.answer(PEER), Some("started".to_owned()));
    world.pass(Duration::from_secs(900));
    assert_eq!(world.answer(PEER), None);
    assert!(!world.out.contains(&Output::Activate { torrent: TORRENT }));
}

#[test]
fn a_torrent_that_fell_asleep_goes_on_announcing() {
    let mut world = World::running();
    world.demand(1, false);
    world.left = 0;
    world.demand(0, true);
    assert_eq!(world.answer(ANSWER), Some("completed".to_owned()));
    world.pass(Duration::from_secs(100));
    assert!(world.out.contains(&Output::Deactivate { torrent: TORRENT }));
    world.input(Input::Deactivated { torrent: TORRENT });
    world.pass(Duration::from_secs(800));
    assert_eq!(world.answer(PEER), None);
    assert!(!world.session.is_active(TORRENT) && !world.out.contains(&Output::Activate { torrent: TORRENT }));
}

#[test]
fn peers_wake_an_unfinished_torrent_that_could_not_be_loaded_before() {
    let mut world = World::running();
    world.demand(1, false);
    world.input(Input::Deactivated { torrent: TORRENT });
    world.pass(Duration::from_secs(900));
    world.answer(PEER);
    assert!(world.out.contains(&Output::Activate { torrent: TORRENT }));
    world.input(Input::Activated { torrent: TORRENT });
    assert!(world.out.contains(&Output::Peers { torrent: TORRENT, endpoints: vec![endpoint()] }));
}

#[test]
fn a_removed_torrent_says_stopped_with_its_last_totals() {
    let mut world = World::running();
    world.pass(Duration::from_secs(100));
    world.input(Input::Totals { torrent: TORRENT, uploaded: 77, downloaded: 0, left: 0 });
    world.input(Input::Remove { torrent: TORRENT });
    assert!(world.requests[0].1.contains("&uploaded=77&"));
    assert_eq!(world.answer(PEER), Some("stopped".to_owned()));
    world.pass(Duration::from_secs(10_000));
    assert!(world.requests.is_empty() && world.session.poll_timeout().is_none());
}

#[test]
fn a_shutdown_waits_for_trackers_and_not_too_long() {
    let mut world = World::running();
    world.input(Input::Shutdown);
    assert!(!world.shut_down);
    assert_eq!(world.answer(ANSWER), Some("stopped".to_owned()));
    assert!(world.shut_down);

    let mut world = World::running();
    world.input(Input::Shutdown);
    world.pass(Settings::default().trackers.stop_timeout);
    assert!(world.shut_down, "no tracker answered");
    world.input(Input::Wake { torrent: TORRENT });
    world.requests.clear();
    world.pass(Duration::from_secs(10_000));
    assert!(world.requests.is_empty());

    let mut world = World::new();
    world.add(TORRENT, false, false, false);
    world.input(Input::Shutdown);
    assert!(world.shut_down, "nothing was announced");
}

#[test]
fn a_torrent_that_is_removed_during_a_shutdown_does_not_hold_it_up() {
    let mut world = World::running();
    world.input(Input::Shutdown);
    world.input(Input::Remove { torrent: TORRENT });
    world.pass(Duration::from_secs(20));
    assert!(world.shut_down);
}

#[test]
fn a_shutdown_waits_for_those_who_stopped_just_before() {
    for last in [
        Input::Pause { torrent: TORRENT, paused: true },
        Input::Remove { torrent: TORRENT },
        Input::SeedRatioReached { torrent: TORRENT },
    ] {
        let mut world = World::running();
        world.input(last.clone());
        world.input(Input::Shutdown);
        assert!(!world.shut_down, "{last:?}");
        while !world.requests.is_empty() {
            world.answer(ANSWER);
        }
        assert!(world.shut_down, "{last:?}");
    }
}

#[test]
fn a_shutdown_with_a_torrent_nobody_knows_waits_for_the_others() {
    let mut world = World::running();
    let silent = TorrentId(0);
    let info_hash = InfoHash::V1(InfoHashV1([9; 20]));
    let (trackers, private, paused, finished) = (Vec::new(), false, false, true);
    world.input(Input::Add { torrent: silent, info_hash, trackers, private, paused, finished });
    world.input(Input::Shutdown);
    assert!(!world.shut_down);
    assert_eq!(world.answer(ANSWER), Some("stopped".to_owned()));
    assert!(world.shut_down);
}

#[test]
fn a_ratio_that_is_reached_with_the_last_piece_hides_no_completed() {
    let mut world = World::running();
    world.demand(3, false);
    world.left = 0;
    // The swarm says this before it tells of its new demand.
    world.input(Input::SeedRatioReached { torrent: TORRENT });
    world.demand(3, true);
    assert_eq!(world.answer(ANSWER), Some("completed".to_owned()));
    assert_eq!(world.answer(ANSWER), Some("stopped".to_owned()));
    world.pass(Duration::from_secs(10_000));
    assert!(world.requests.is_empty());
}

#[test]
fn who_is_private_is_known() {
    let mut world = World::new();
    world.add(TORRENT, true, false, false);
    world.add(TorrentId(2), false, false, false);
    assert!(world.session.is_private(TORRENT) && !world.session.is_private(TorrentId(2)));
    let trackers: Vec<String> =
        world.session.trackers(TORRENT).map(|tracker| tracker.url.to_string()).collect();
    assert_eq!(trackers, [URL]);
}
