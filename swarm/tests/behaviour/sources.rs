//! Where peers come from.

use downpour_base::{Bitfield, InfoHashV1, Instant, Machine, PeerEndpoint, PeerId, Seed};
use downpour_swarm::{Budget, Config, Geometry, Input, Output, PeerSource, PeerSources, Swarm, Totals};

fn swarm(private: bool) -> Swarm<()> {
    let config = Config {
        seed: Seed::from_u64(1),
        info_hash: InfoHashV1([7; 20]),
        peer_id: PeerId([5; 20]),
        client: "test".into(),
        listen_port: None,
        private,
        before: Totals::default(),
    };
    let mut swarm = Swarm::new(config, Some(&Geometry::new(1 << 20, 1 << 18, &Bitfield::new(4))));
    let budget =
        Budget { upload_slots: 4, connections: 50, connections_per_address: 4, memory_bytes: 1 << 20 };
    swarm.handle_input(Instant::ORIGIN, Input::Budget(budget));
    swarm
}

#[test]
fn a_private_torrent_takes_peers_from_trackers_and_people_only() {
    for private in [false, true] {
        for (number, source) in (1..).zip(PeerSource::ALL) {
            let mut swarm = swarm(private);
            let endpoint = PeerEndpoint::Tcp(([10, 0, 0, number], 6881).into());
            swarm.handle_input(Instant::ORIGIN, Input::Peers { endpoints: vec![endpoint], source });
            let dials = matches!(swarm.poll_output(), Some(Output::Dial { .. }));
            let allowed = [PeerSource::Tracker, PeerSource::User, PeerSource::Incoming].contains(&source);
            assert_eq!(dials, !private || allowed, "{source:?}");
        }
    }
}

#[test]
fn a_peer_keeps_all_its_sources() {
    let (mut swarm, now) = (swarm(false), Instant::ORIGIN);
    let endpoint = PeerEndpoint::Tcp(([10, 0, 0, 1], 6881).into());
    for source in [PeerSource::Tracker, PeerSource::Pex] {
        swarm.handle_input(now, Input::Peers { endpoints: vec![endpoint], source });
    }
    let connection = downpour_base::ConnectionId(1);
    let peer_id = PeerId([9; 20]);
    let connected =
        Input::Connected { connection, endpoint, outgoing: true, peer_id, fast: true, extensions: true };
    swarm.handle_input(now, connected);
    let mut expected = PeerSources::from(PeerSource::Tracker);
    expected.insert(PeerSource::Pex);
    assert_eq!(swarm.peer_statuses(now).next().unwrap().sources, expected);
}
