//! What simulated swarms stumbled over, shown on a swarm alone.

use core::net::SocketAddr;
use core::time::Duration;

use downpour_base::{
    BLOCK_SIZE, Bitfield, Block, ConnectionId, InfoHashV1, Instant, Machine, PeerEndpoint, PeerId, Seed,
};
use downpour_swarm::{
    Allowance, Budget, Config, Direction, Geometry, Input, Output, PeerSource, Swarm, Totals, Transmit,
};
use downpour_wire::Message;

const NOW: Instant = Instant::ORIGIN;
const PIECES: u32 = 4;

fn endpoint(host: u8) -> PeerEndpoint {
    PeerEndpoint::Tcp(SocketAddr::from(([10, 0, host, 1], 6881)))
}

fn swarm(have: &Bitfield) -> Swarm<()> {
    let config = Config {
        seed: Seed::from_u64(1),
        info_hash: InfoHashV1([1; 20]),
        peer_id: PeerId([0; 20]),
        client: "test".to_owned(),
        listen_port: None,
        private: false,
        before: Totals::default(),
    };
    let total_length = u64::from(PIECES * BLOCK_SIZE);
    let mut swarm = Swarm::new(config, Some(&Geometry::new(total_length, BLOCK_SIZE, have)));
    let budget =
        Budget { upload_slots: 4, connections: 10, connections_per_address: 4, memory_bytes: 1 << 20 };
    swarm.handle_input(NOW, Input::Budget(budget));
    swarm
}

fn outputs(swarm: &mut Swarm<()>) -> Vec<Output<()>> {
    std::iter::from_fn(|| swarm.poll_output()).collect()
}

fn connect(swarm: &mut Swarm<()>, now: Instant, host: u8, outgoing: bool) -> ConnectionId {
    let connection = ConnectionId(u64::from(host));
    let (endpoint, peer_id) = (endpoint(host), PeerId([host; 20]));
    let fast = true;
    swarm.handle_input(
        now,
        Input::Connected { connection, endpoint, outgoing, peer_id, fast, extensions: true },
    );
    connection
}

fn say(swarm: &mut Swarm<()>, now: Instant, connection: ConnectionId, message: Message) {
    swarm.handle_input(now, Input::Message { connection, message });
}

fn transmits(swarm: &mut Swarm<()>, now: Instant, connection: ConnectionId) -> Vec<Transmit> {
    std::iter::from_fn(|| swarm.poll_transmit(now, connection)).collect()
}

fn requests(swarm: &mut Swarm<()>, now: Instant, connection: ConnectionId) -> Vec<Block> {
    let requested = |transmit| match transmit {
        Transmit::Message(Message::Request(block)) => Some(block),
        _ => None,
    };
    transmits(swarm, now, connection).into_iter().filter_map(requested).collect()
}

fn allow(swarm: &mut Swarm<()>, direction: Direction, bytes: u64) {
    swarm.handle_input(NOW, Input::Allowance { direction, allowance: Allowance::Bytes(bytes) });
}

fn is_starved(outputs: &[Output<()>]) -> bool {
    outputs.iter().any(|output| matches!(output, Output::Starved { .. }))
}

#[test]
fn an_allowance_smaller_than_the_debt_is_followed_by_another() {
    let mut swarm = swarm(&Bitfield::full(PIECES));
    let peer = connect(&mut swarm, NOW, 1, false);
    say(&mut swarm, NOW, peer, Message::Interested);
    for piece in 0..2 {
        say(&mut swarm, NOW, peer, Message::Request(Block { piece, begin: 0, length: BLOCK_SIZE }));
    }
    allow(&mut swarm, Direction::Upload, 1);
    let blocks = |transmits: Vec<Transmit>| {
        transmits.iter().filter(|transmit| matches!(transmit, Transmit::Block(_))).count()
    };
    assert_eq!(blocks(transmits(&mut swarm, NOW, peer)), 1);
    assert!(is_starved(&outputs(&mut swarm)));
    allow(&mut swarm, Direction::Upload, 1);
    assert!(is_starved(&outputs(&mut swarm)), "nobody would ask again");
    allow(&mut swarm, Direction::Upload, u64::from(BLOCK_SIZE));
    assert_eq!(blocks(transmits(&mut swarm, NOW, peer)), 1);
}

#[test]
fn a_handshake_that_waits_for_an_allowance_is_woken() {
    let mut swarm = swarm(&Bitfield::new(PIECES));
    allow(&mut swarm, Direction::Download, 0);
    let dialled = ConnectionId(7);
    assert_eq!(swarm.reserve_read(dialled, 68), 0);
    outputs(&mut swarm);
    allow(&mut swarm, Direction::Download, 100);
    let woken = |output: &Output<()>| matches!(output, Output::Wake { connection } if *connection == dialled);
    assert!(outputs(&mut swarm).iter().any(woken));
}

/// How often the swarm dials in `span` if each connection is ended by the other side at once.
fn dials(swarm: &mut Swarm<()>, says: &[Message], span: Duration) -> u32 {
    swarm.handle_input(NOW, Input::Peers { endpoints: vec![endpoint(1)], source: PeerSource::Tracker });
    let (mut dials, mut now) = (0, NOW);
    loop {
        let dialled = outputs(swarm).iter().any(|output| matches!(output, Output::Dial { .. }));
        if dialled {
            dials += 1;
            let connection = connect(swarm, now, 1, true);
            says.iter().for_each(|message| say(swarm, now, connection, message.clone()));
            swarm.handle_input(now, Input::Disconnected { connection, misbehaved: false });
            continue;
        }
        match swarm.poll_timeout() {
            Some(at) if at <= NOW + span => now = at,
            _ => return dials,
        }
        swarm.handle_timeout(now);
    }
}

#[test]
fn a_peer_that_always_hangs_up_is_called_less_and_less() {
    let mut swarm = swarm(&Bitfield::new(PIECES));
    assert!(dials(&mut swarm, &[], Duration::from_secs(600)) <= 9);
}

#[test]
fn seeds_do_not_call_each_other_back_soon() {
    let mut swarm = swarm(&Bitfield::full(PIECES));
    assert_eq!(dials(&mut swarm, &[Message::HaveAll], Duration::from_secs(600)), 1);
}

#[test]
fn who_called_us_is_called_back_when_the_connection_breaks() {
    let mut swarm = swarm(&Bitfield::new(PIECES));
    let connection = connect(&mut swarm, NOW, 1, false);
    let handshake = downpour_wire::ExtensionHandshake {
        listen_port: Some(7000),
        ..downpour_wire::ExtensionHandshake::default()
    };
    say(&mut swarm, NOW, connection, Message::ExtensionHandshake(handshake));
    swarm.handle_input(NOW, Input::Disconnected { connection, misbehaved: false });
    outputs(&mut swarm);
    swarm.handle_timeout(NOW + Duration::from_secs(60));
    let mut address = endpoint(1).address().unwrap();
    address.set_port(7000);
    let called = |output: &Output<()>| matches!(output, Output::Dial { endpoint } if *endpoint == PeerEndpoint::Tcp(address));
    assert!(outputs(&mut swarm).iter().any(called));
}

#[test]
fn a_peer_that_falls_silent_a_second_time_loses_its_requests_again() {
    let mut swarm = swarm(&Bitfield::new(PIECES));
    let peer = connect(&mut swarm, NOW, 1, false);
    say(&mut swarm, NOW, peer, Message::HaveAll);
    say(&mut swarm, NOW, peer, Message::Unchoke);
    let asked = requests(&mut swarm, NOW, peer);
    assert_eq!(asked.len(), PIECES as usize);
    let mut now = NOW + Duration::from_secs(31);
    swarm.handle_timeout(now);
    assert!(swarm.peer_statuses(now).all(|peer| peer.snubbed));
    swarm.handle_input(now, Input::Block { connection: peer, block: asked[0], payload: () });
    assert!(swarm.peer_statuses(now).all(|peer| !peer.snubbed));
    assert!(!requests(&mut swarm, now, peer).is_empty(), "it is asked again");
    assert!(swarm.poll_timeout().is_some(), "its silence would not be noticed");
    now += Duration::from_secs(31);
    swarm.handle_timeout(now);
    assert!(swarm.peer_statuses(now).all(|peer| peer.snubbed));
}
