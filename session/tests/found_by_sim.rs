//! What simulated swarms stumbled over, shown on a session alone.

use core::time::Duration;

use downpour_base::{InfoHash, InfoHashV1, Instant, Machine, Seed, TorrentId};
use downpour_session::{Input, Output, Session, Settings};
use downpour_swarm::{Allowance, Direction};

#[test]
fn a_torrent_that_waits_for_its_allowance_still_gets_it_when_the_limit_changes() {
    let mut now = Instant::ORIGIN;
    let limited = |rate| Settings { upload_limit: Some(rate), ..Settings::default() };
    let mut session = Session::new(now, Seed::from_u64(1), limited(1000));
    let torrent = TorrentId(1);
    let add = Input::Add {
        torrent,
        info_hash: InfoHash::V1(InfoHashV1([1; 20])),
        trackers: Vec::new(),
        private: false,
        paused: false,
        finished: false,
    };
    session.handle_input(now, add);
    session.handle_input(now, Input::Wake { torrent });
    session.handle_input(now, Input::Activated { torrent });
    session.handle_input(now, Input::Starved { torrent, direction: Direction::Upload });
    session.handle_input(now, Input::Settings(limited(2000)));
    while session.poll_output().is_some() {}
    now += Duration::from_secs(1);
    session.handle_timeout(now);
    let fed = std::iter::from_fn(|| session.poll_output()).any(
        |output| matches!(output, Output::Allowance { allowance: Allowance::Bytes(bytes), .. } if bytes > 0),
    );
    assert!(fed);
}
