//! A swarm among scripted peers.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use downpour_base::{
    BLOCK_SIZE, Bitfield, Block, ConnectionId, InfoHashV1, Instant, Machine, PeerEndpoint, PeerId, Seed,
};
use downpour_swarm::{
    Allowance, Budget, CloseReason, Command, Config, Direction, DiskFailure, Event, Geometry, Input, JobId,
    Output, PeerSource, StoreResult, Swarm, Transmit, limits,
};
use downpour_wire::{ExtensionHandshake, Message};

const PIECE: u32 = 2 * BLOCK_SIZE;
const BUDGET: Budget = Budget { upload_slots: 2, connections: 10, memory_bytes: 1 << 20 };

/// A swarm, its clock, and what came out of it.
struct World {
    swarm: Swarm<u32>,
    now: Instant,
    out: Vec<Output<u32>>,
}

fn config() -> Config {
    Config {
        seed: Seed::from_u64(1),
        info_hash: InfoHashV1([7; 20]),
        peer_id: PeerId([5; 20]),
        client: "test".into(),
        listen_port: Some(6881),
        private: false,
    }
}

fn bits(len: u32, pieces: &[u32]) -> Bitfield {
    let mut bits = Bitfield::new(len);
    pieces.iter().for_each(|piece| assert!(bits.insert(*piece)));
    bits
}

fn endpoint(number: u64) -> PeerEndpoint {
    PeerEndpoint::Tcp(SocketAddr::from(([10, 0, (number >> 8) as u8, number as u8], 6881)))
}

fn block(piece: u32, index: u32) -> Block {
    Block { piece, begin: index * BLOCK_SIZE, length: BLOCK_SIZE }
}

impl World {
    /// A torrent of `pieces` pieces of two blocks, of which those in `have` are had.
    fn new(pieces: u32, have: &[u32]) -> Self {
        let geometry = Geometry::new(u64::from(pieces) * u64::from(PIECE), PIECE, &bits(pieces, have));
        Self::with(Some(&geometry))
    }

    fn with(geometry: Option<&Geometry>) -> Self {
        let mut world = Self { swarm: Swarm::new(config(), geometry), now: Instant::ORIGIN, out: Vec::new() };
        world.input(Input::Budget(BUDGET));
        world
    }

    fn input(&mut self, input: Input<u32>) {
        self.swarm.handle_input(self.now, input);
        self.out.extend(std::iter::from_fn(|| self.swarm.poll_output()));
    }

    /// Lets time pass, with every deadline kept.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(deadline) = self.swarm.poll_timeout().filter(|deadline| *deadline <= end) {
            assert!(deadline >= self.now, "a deadline in the past");
            self.now = deadline;
            self.swarm.handle_timeout(self.now);
            self.out.extend(std::iter::from_fn(|| self.swarm.poll_output()));
        }
        self.now = end;
    }

    fn connect_as(&mut self, number: u64, fast: bool, outgoing: bool) -> ConnectionId {
        let connection = ConnectionId(number);
        let (endpoint, peer_id) = (endpoint(number), PeerId([number as u8; 20]));
        self.input(Input::Connected { connection, endpoint, outgoing, peer_id, fast, extensions: true });
        connection
    }

    fn connect(&mut self, number: u64) -> ConnectionId {
        self.connect_as(number, true, false)
    }

    fn say(&mut self, connection: ConnectionId, message: Message) {
        self.input(Input::Message { connection, message });
    }

    /// A connected seed that unchokes us, with our requests to it.
    fn seed(&mut self, number: u64) -> (ConnectionId, Vec<Block>) {
        let seed = self.connect(number);
        self.say(seed, Message::HaveAll);
        self.say(seed, Message::Unchoke);
        let requests = requests(&self.told(seed));
        (seed, requests)
    }

    fn deliver(&mut self, connection: ConnectionId, block: Block) {
        self.input(Input::Block { connection, block, payload: block.begin });
    }

    /// All that the swarm wants to tell `connection` now.
    fn told(&mut self, connection: ConnectionId) -> Vec<Transmit> {
        let told = std::iter::from_fn(|| self.swarm.poll_transmit(self.now, connection)).collect();
        self.out.extend(std::iter::from_fn(|| self.swarm.poll_output()));
        told
    }

    fn messages(&mut self, connection: ConnectionId) -> Vec<Message> {
        let message = |transmit| if let Transmit::Message(message) = transmit { Some(message) } else { None };
        self.told(connection).into_iter().filter_map(message).collect()
    }

    fn closed(&self) -> Vec<(ConnectionId, CloseReason)> {
        let close = |output: &Output<u32>| match output {
            Output::Close { connection, reason } => Some((*connection, *reason)),
            _ => None,
        };
        self.out.iter().filter_map(close).collect()
    }

    fn dialled(&mut self) -> Vec<PeerEndpoint> {
        let dial =
            |output: Output<u32>| if let Output::Dial { endpoint } = output { Some(endpoint) } else { None };
        std::mem::take(&mut self.out).into_iter().filter_map(dial).collect()
    }

    fn events(&self) -> Vec<Event> {
        let event =
            |output: &Output<u32>| if let Output::Event(event) = output { Some(event.clone()) } else { None };
        self.out.iter().filter_map(event).collect()
    }

    fn jobs(&mut self) -> Vec<(JobId, u32, Vec<u32>)> {
        let job = |output: Output<u32>| match output {
            Output::Store { job, piece, blocks } => Some((job, piece, blocks)),
            _ => None,
        };
        std::mem::take(&mut self.out).into_iter().filter_map(job).collect()
    }

    /// Delivers and stores everything that `seed` is asked for, until nothing more is.
    fn complete_from(&mut self, seed: ConnectionId, mut wanted: Vec<Block>) {
        while !wanted.is_empty() {
            wanted.into_iter().for_each(|block| self.deliver(seed, block));
            for (job, _, _) in self.jobs() {
                self.input(Input::Stored { job, result: StoreResult::Stored });
            }
            wanted = requests(&self.told(seed));
        }
    }
}

fn requests(told: &[Transmit]) -> Vec<Block> {
    let request = |transmit: &Transmit| match transmit {
        Transmit::Message(Message::Request(block)) => Some(*block),
        _ => None,
    };
    told.iter().filter_map(request).collect()
}

fn uploads(told: &[Transmit]) -> Vec<Block> {
    told.iter()
        .filter_map(|told| if let Transmit::Block(block) = told { Some(*block) } else { None })
        .collect()
}

#[test]
fn a_torrent_comes_from_a_seed_piece_by_piece() {
    let mut world = World::new(5, &[3]);
    let seed = world.connect(1);
    let first = world.messages(seed);
    assert_eq!(first[0], Message::Bitfield(Bytes::copy_from_slice(bits(5, &[3]).as_bytes())));
    assert!(matches!(&first[1], Message::ExtensionHandshake(handshake)
        if handshake.listen_port == Some(6881) && handshake.upload_only == Some(false)));
    assert!(matches!(first[2..], [] | [Message::AllowedFast(3)]), "only what we have: {first:?}");
    world.say(seed, Message::HaveAll);
    assert_eq!(world.messages(seed), [Message::Interested]);
    world.say(seed, Message::Unchoke);
    let wanted = requests(&world.told(seed));
    assert_eq!(wanted.iter().collect::<BTreeSet<_>>().len(), 8, "everything but piece 3, once");
    world.deliver(seed, wanted[1]);
    world.deliver(seed, wanted[0]);
    let jobs = world.jobs();
    assert_eq!(jobs[0].2, [0, BLOCK_SIZE], "in order, whatever order they came in");
    world.input(Input::Stored { job: jobs[0].0, result: StoreResult::Stored });
    assert!(world.events().contains(&Event::PieceFinished { piece: wanted[0].piece }));
    world.complete_from(seed, wanted[2..].to_vec());
    assert!(world.events().contains(&Event::Finished));
    assert_eq!(world.closed(), [(seed, CloseReason::BothSeeds)]);
    assert!(world.out.iter().any(|output| matches!(output, Output::Checkpoint)));
}

#[test]
fn memory_bounds_the_pieces_that_are_started() {
    let mut world = World::new(100, &[]);
    world.input(Input::Budget(Budget { memory_bytes: 5 * u64::from(BLOCK_SIZE), ..BUDGET }));
    let (seed, wanted) = world.seed(1);
    assert_eq!(wanted.len(), 4, "two pieces of two blocks");
    assert_eq!(world.swarm.status(world.now).memory_bytes, 4 * u64::from(BLOCK_SIZE));
    world.deliver(seed, wanted[0]);
    world.deliver(seed, wanted[1]);
    assert_eq!(requests(&world.told(seed)), [], "what has come counts until it is stored");
    let (job, _, _) = world.jobs()[0];
    world.input(Input::Stored { job, result: StoreResult::Stored });
    assert!(
        world.out.iter().any(|output| matches!(output, Output::Wake { connection } if *connection == seed))
    );
    assert_eq!(requests(&world.told(seed)).len(), 2);
    world.input(Input::Disconnected { connection: seed, misbehaved: false });
    assert_eq!(
        world.swarm.status(world.now).memory_bytes,
        0,
        "requests that will not be answered are given back"
    );
}

#[test]
fn however_little_memory_there_is_the_download_completes() {
    let mut world = World::new(6, &[]);
    world.input(Input::Budget(Budget { memory_bytes: 1, ..BUDGET }));
    let (mut peers, mut asked) = (Vec::new(), Vec::new());
    for number in 1..=3 {
        let (peer, blocks) = world.seed(number);
        peers.push(peer);
        asked.extend(blocks.into_iter().map(|block| (peer, block)));
    }
    // Each peer delivers one block at a time, so that pieces are shared among them.
    for _ in 0..200 {
        for peer in &peers {
            asked.extend(requests(&world.told(*peer)).into_iter().map(|block| (*peer, block)));
            if let Some(at) = asked.iter().position(|(owner, _)| owner == peer) {
                let (peer, block) = asked.remove(at);
                world.deliver(peer, block);
            }
            assert!(world.swarm.status(world.now).memory_bytes <= u64::from(PIECE));
            for (job, _, _) in world.jobs() {
                world.input(Input::Stored { job, result: StoreResult::Stored });
            }
            if world.events().contains(&Event::Finished) {
                return;
            }
        }
    }
    panic!("never finished: {:?}", world.swarm.status(world.now));
}

#[test]
fn a_choke_ends_requests_at_once_or_by_rejects() {
    for fast in [false, true] {
        let mut world = World::new(4, &[]);
        let peer = world.connect_as(1, fast, false);
        world.say(peer, Message::Bitfield(Bytes::from_static(&[0xf0])));
        world.say(peer, Message::Unchoke);
        let wanted = requests(&world.told(peer));
        assert_eq!(wanted.len(), 8);
        world.say(peer, Message::Choke);
        let (other, others) = world.seed(2);
        assert_eq!(others.len(), 8, "endgame asks for what the first still owes, or all is free again");
        if fast {
            wanted.iter().for_each(|block| world.say(peer, Message::Reject(*block)));
            assert_eq!(world.closed(), []);
            world.say(peer, Message::Reject(wanted[0]));
            assert_eq!(world.closed(), [(peer, CloseReason::UnrequestedReject)]);
        } else {
            world.deliver(peer, wanted[0]);
            assert_eq!(world.closed(), [], "a block on its way when the choke came does no harm");
        }
        world.complete_from(other, others);
        assert!(world.events().contains(&Event::Finished));
    }
}

#[test]
fn a_peer_that_rejects_is_not_asked_in_circles() {
    let mut world = World::new(1, &[]);
    let (peer, wanted) = world.seed(1);
    wanted.iter().for_each(|block| world.say(peer, Message::Reject(*block)));
    assert_eq!(requests(&world.told(peer)), []);
    world.pass(limits::REJECT_PAUSE);
    assert_eq!(requests(&world.told(peer)).len(), 2, "but it is asked again later");
}

#[test]
fn a_snubbed_peer_loses_its_blocks_to_others() {
    let mut world = World::new(40, &[]);
    let (slow, wanted) = world.seed(1);
    assert_eq!(wanted.len(), 16, "as many as a pipeline begins with");
    world.deliver(slow, wanted[0]);
    world.pass(limits::SNUB_TIMEOUT);
    assert!(world.swarm.peer_statuses(world.now).next().unwrap().snubbed);
    let (fast, others) = world.seed(2);
    assert_eq!(others[0], wanted[1], "the rest of the piece that is started");
    assert_eq!(requests(&world.told(slow)).len(), 1, "a snubbed peer is kept at one request");
    // It delivers after all: taken, and the other need not.
    world.deliver(slow, wanted[1]);
    assert_eq!(world.messages(fast)[0], Message::Cancel(wanted[1]));
    assert_eq!(world.swarm.status(world.now).wasted_bytes, 0);
    assert!(!world.swarm.peer_statuses(world.now).any(|peer| peer.snubbed));
    assert_eq!(world.closed(), []);
}

#[test]
fn endgame_cancels_what_came_from_elsewhere() {
    let mut world = World::new(1, &[]);
    let (first, wanted) = world.seed(1);
    let (second, others) = world.seed(2);
    assert_eq!((wanted.len(), others.len()), (2, 2));
    world.deliver(first, wanted[0]);
    assert_eq!(world.messages(second), [Message::Cancel(wanted[0])]);
    world.deliver(second, wanted[0]);
    assert_eq!(world.swarm.status(world.now).wasted_bytes, u64::from(BLOCK_SIZE));
    assert_eq!(world.closed(), [], "it was on its way");
}

#[test]
fn each_broken_rule_closes_with_its_reason() {
    let cases: [(Message, CloseReason); 8] = [
        (Message::Have(4), CloseReason::NoSuchPiece(4)),
        (Message::Suggest(9), CloseReason::NoSuchPiece(9)),
        (Message::AllowedFast(4), CloseReason::NoSuchPiece(4)),
        (Message::Bitfield(Bytes::from_static(&[0xf8])), CloseReason::InvalidBitfield),
        (Message::Bitfield(Bytes::from_static(&[0, 0])), CloseReason::InvalidBitfield),
        (Message::Reject(block(0, 0)), CloseReason::UnrequestedReject),
        (Message::Request(block(4, 0)), CloseReason::InvalidRequest(block(4, 0))),
        (Message::Request(block(0, 2)), CloseReason::InvalidRequest(block(0, 2))),
    ];
    for (message, reason) in cases {
        let mut world = World::new(4, &[0]);
        let peer = world.connect(1);
        world.say(peer, message);
        assert_eq!(world.closed(), [(peer, reason)]);
    }
    let mut world = World::new(4, &[]);
    let (peer, wanted) = world.seed(1);
    world.deliver(peer, wanted[0]);
    world.deliver(peer, wanted[0]);
    assert_eq!(world.closed(), [(peer, CloseReason::UnrequestedBlock)]);
}

#[test]
fn an_interested_peer_is_served_and_a_choked_one_rejected() {
    let mut world = World::new(4, &[0, 1]);
    let peer = world.connect(1);
    let offered: Vec<u32> = world
        .messages(peer)
        .iter()
        .filter_map(|m| if let Message::AllowedFast(p) = m { Some(*p) } else { None })
        .collect();
    assert!(offered.iter().all(|piece| [0, 1].contains(piece)));
    world.say(peer, Message::Request(block(2, 0)));
    assert_eq!(world.messages(peer), [Message::Reject(block(2, 0))], "choked, and we do not have it");
    if let Some(piece) = offered.first() {
        world.say(peer, Message::Request(block(*piece, 0)));
        assert_eq!(uploads(&world.told(peer)), [block(*piece, 0)], "allowed fast");
    }
    world.say(peer, Message::Interested);
    assert_eq!(world.messages(peer), [Message::Unchoke], "a free slot is given at once");
    world.say(peer, Message::Request(block(0, 0)));
    world.say(peer, Message::Request(block(1, 1)));
    world.say(peer, Message::Cancel(block(0, 0)));
    let told = world.told(peer);
    assert_eq!(uploads(&told), [block(1, 1)]);
    assert!(
        told.contains(&Transmit::Message(Message::Reject(block(0, 0)))),
        "BEP 6: every request is answered"
    );
    world.say(peer, Message::NotInterested);
    assert_eq!(world.messages(peer), [Message::Choke]);
}

#[test]
fn requests_without_end_while_choked_are_a_flood() {
    let mut world = World::new(4, &[]);
    let peer = world.connect_as(1, false, false);
    for _ in 0..=limits::MAX_CHOKED_REQUESTS {
        world.say(peer, Message::Request(block(0, 0)));
    }
    assert_eq!(world.closed(), [(peer, CloseReason::RequestFlood)]);
}

#[test]
fn slots_are_never_exceeded_and_all_get_their_turn() {
    let mut world = World::new(4, &[0, 1, 2, 3]);
    let peers: Vec<ConnectionId> = (1..=6).map(|number| world.connect(number)).collect();
    peers.iter().for_each(|peer| world.say(*peer, Message::Interested));
    let mut served = BTreeSet::new();
    for _ in 0..20 {
        let unchoked: Vec<_> = world.swarm.peer_statuses(world.now).filter(|peer| !peer.choked).collect();
        assert_eq!(unchoked.len(), 2);
        served.extend(unchoked.iter().map(|peer| peer.connection));
        world.pass(limits::RECHOKE_INTERVAL);
    }
    assert_eq!(served.len(), 6);
    for peer in peers {
        world.input(Input::Disconnected { connection: peer, misbehaved: false });
    }
    world.pass(Duration::from_secs(60));
    assert_eq!(world.swarm.poll_timeout(), None, "nobody is there: nothing is due");
}

#[test]
fn who_alone_sent_bad_data_is_banned_for_good() {
    let mut world = World::new(1, &[]);
    let (peer, wanted) = world.seed(1);
    wanted.iter().for_each(|block| world.deliver(peer, *block));
    let (job, piece, _) = world.jobs()[0];
    world.input(Input::Stored { job, result: StoreResult::HashMismatch });
    assert_eq!(world.closed(), [(peer, CloseReason::CorruptData)]);
    assert!(world.events().contains(&Event::HashFailed { piece, senders: vec![peer] }));
    let again = ConnectionId(9);
    let endpoint = endpoint(1);
    let input = Input::Connected {
        connection: again,
        endpoint,
        outgoing: false,
        peer_id: PeerId([9; 20]),
        fast: true,
        extensions: true,
    };
    world.input(input);
    assert_eq!(world.closed().last(), Some(&(again, CloseReason::Banned)));
    let (honest, wanted) = world.seed(2);
    world.complete_from(honest, wanted);
    assert!(world.events().contains(&Event::Finished));
}

#[test]
fn candidates_are_tried_within_the_budget_and_later_and_later() {
    let mut world = World::new(1, &[]);
    world.input(Input::Peers { endpoints: (1..=30).map(endpoint).collect(), source: PeerSource::Tracker });
    let dialled = world.dialled();
    assert_eq!(dialled.len(), BUDGET.connections as usize);
    let mut gaps = Vec::new();
    dialled.iter().for_each(|endpoint| world.input(Input::DialFailed { endpoint: *endpoint }));
    assert_eq!(world.dialled().len(), 10, "the next ones");
    let mut only = World::new(1, &[]);
    only.input(Input::Peers { endpoints: vec![endpoint(1), endpoint(1)], source: PeerSource::Tracker });
    for _ in 0..5 {
        assert_eq!(only.dialled(), [endpoint(1)]);
        only.input(Input::DialFailed { endpoint: endpoint(1) });
        let wait = only.swarm.poll_timeout().unwrap().saturating_duration_since(only.now);
        gaps.push(wait);
        only.pass(wait);
    }
    assert!(gaps.windows(2).all(|pair| pair[1] == pair[0] * 2), "{gaps:?}");
}

#[test]
fn the_metadata_may_come_later() {
    let mut world = World::with(None);
    let seed = world.connect(1);
    assert_eq!(world.messages(seed)[0], Message::HaveNone);
    let partial = world.connect_as(2, false, false);
    world.say(seed, Message::HaveAll);
    world.say(seed, Message::Unchoke);
    world.say(partial, Message::Have(1));
    world.say(partial, Message::Have(99));
    world.input(Input::Metadata(Geometry::new(4 * u64::from(PIECE), PIECE, &Bitfield::new(4))));
    assert_eq!(world.closed(), [(partial, CloseReason::NoSuchPiece(99))]);
    let wanted = requests(&world.told(seed));
    assert_eq!(wanted.len(), 8);
    world.complete_from(seed, wanted);
    assert!(world.events().contains(&Event::Finished));
}

#[test]
fn a_pause_closes_everything_and_a_resume_dials_again() {
    let mut world = World::new(4, &[]);
    world.input(Input::Peers { endpoints: vec![endpoint(1)], source: PeerSource::Tracker });
    let peer = world.connect_as(1, true, true);
    world.input(Input::Command(Command::Pause));
    assert_eq!(world.closed(), [(peer, CloseReason::Paused)]);
    world.pass(Duration::from_secs(3600));
    let late = world.connect(2);
    assert_eq!(world.closed().last(), Some(&(late, CloseReason::Paused)));
    world.out.clear();
    world.input(Input::Command(Command::Resume));
    assert_eq!(world.dialled(), [endpoint(1)]);
}

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

#[test]
fn both_ends_of_a_double_connection_keep_the_same_one() {
    // Our id is 5: towards 9, the one that 9 opened; towards 1, the one that we opened.
    for (peer, kept_is_outgoing) in [(9u8, false), (1, true)] {
        for outgoing_first in [false, true] {
            let mut world = World::new(4, &[]);
            let connected = |world: &mut World, number, outgoing| {
                let (connection, endpoint) = (ConnectionId(number), endpoint(number));
                let peer_id = PeerId([peer; 20]);
                world.input(Input::Connected {
                    connection,
                    endpoint,
                    outgoing,
                    peer_id,
                    fast: true,
                    extensions: true,
                });
            };
            connected(&mut world, 1, outgoing_first);
            connected(&mut world, 2, !outgoing_first);
            let kept = if outgoing_first == kept_is_outgoing { 1 } else { 2 };
            assert_eq!(world.closed(), [(ConnectionId(3 - kept), CloseReason::Duplicate)]);
        }
    }
}

#[test]
fn an_allowance_that_is_used_up_starves_and_goes_on() {
    let mut world = World::new(4, &[0, 1, 2, 3]);
    let allow = |bytes| Input::Allowance { direction: Direction::Upload, allowance: Allowance::Bytes(bytes) };
    world.input(allow(0));
    let peer = world.connect(1);
    world.say(peer, Message::Interested);
    (0..4).for_each(|piece| world.say(peer, Message::Request(block(piece, 0))));
    assert_eq!(uploads(&world.told(peer)), []);
    let starved = |world: &World| {
        world.out.iter().filter(|o| matches!(o, Output::Starved { direction: Direction::Upload })).count()
    };
    assert_eq!(starved(&world), 1);
    world.input(allow(2 * u64::from(BLOCK_SIZE)));
    assert_eq!(uploads(&world.told(peer)).len(), 2);
    world.input(Input::Allowance { direction: Direction::Upload, allowance: Allowance::Unlimited });
    assert_eq!(uploads(&world.told(peer)).len(), 2);

    world.input(Input::Allowance { direction: Direction::Download, allowance: Allowance::Bytes(100) });
    assert_eq!(world.swarm.reserve_read(peer, 70), 70);
    assert_eq!(world.swarm.reserve_read(peer, 70), 30);
    world.swarm.return_read(10);
    assert_eq!((world.swarm.reserve_read(peer, 70), world.swarm.reserve_read(peer, 70)), (10, 0));
}

#[test]
fn wishes_can_change_while_it_runs() {
    let mut world = World::new(4, &[]);
    for piece in [0, 1, 3] {
        world.input(Input::Command(Command::SetPiecePriority { piece, priority: 0 }));
    }
    let (seed, wanted) = world.seed(1);
    assert!(wanted.iter().all(|block| block.piece == 2) && wanted.len() == 2);
    world.complete_from(seed, wanted);
    assert!(world.events().contains(&Event::Finished), "all that is wanted is here");
    world.input(Input::Command(Command::SetPiecePriority { piece: 1, priority: 7 }));
    let (seed, wanted) = world.seed(2);
    assert!(wanted.iter().all(|block| block.piece == 1) && wanted.len() == 2);
    world.complete_from(seed, wanted);
    world.input(Input::Command(Command::PieceLost(2)));
    assert!(!world.swarm.status(world.now).finished, "have becomes not-have");
}

#[test]
fn a_host_can_speak_an_extension_of_its_own() {
    let mut world = World::new(4, &[]);
    let peer = world.connect(1);
    world.messages(peer);
    let (extension, payload) = (downpour_wire::ExtensionId(3), Bytes::from_static(b"move e4"));
    world.say(
        peer,
        Message::ExtensionHandshake(ExtensionHandshake { client: Some("game".into()), ..Default::default() }),
    );
    world.say(peer, Message::Extended { extension, payload: payload.clone() });
    assert!(world.events().contains(&Event::Extended {
        connection: peer,
        extension,
        payload: payload.clone()
    }));
    world.input(Input::Command(Command::SendExtended {
        connection: peer,
        extension,
        payload: payload.clone(),
    }));
    assert_eq!(world.messages(peer), [Message::Extended { extension, payload }]);
    assert_eq!(world.swarm.peer_statuses(world.now).next().unwrap().client.as_deref(), Some("game"));
}

#[test]
fn one_lost_request_is_asked_again() {
    let mut world = World::new(2, &[]);
    let seed = world.connect_as(1, false, false);
    world.say(seed, Message::HaveAll);
    world.say(seed, Message::Unchoke);
    let asked = requests(&world.told(seed));
    assert_eq!(asked.len(), 4);
    for b in &asked[..3] {
        world.deliver(seed, *b);
    }
    world.told(seed);
    let mut again = 0;
    for _ in 0..100 {
        world.pass(Duration::from_secs(30));
        again += requests(&world.told(seed)).len();
    }
    assert!(again > 0, "it stood still");
}

#[test]
fn a_piece_that_nobody_delivers_gives_way() {
    let geometry = Geometry::new(4 * u64::from(PIECE), PIECE, &bits(4, &[]));
    let mut world = World::with(Some(&geometry));
    world.input(Input::Budget(Budget { memory_bytes: u64::from(PIECE), ..BUDGET }));
    let a = world.connect(1);
    world.say(a, Message::Bitfield(Bytes::copy_from_slice(bits(4, &[0]).as_bytes())));
    world.say(a, Message::Unchoke);
    let asked = requests(&world.told(a));
    assert_eq!(asked.len(), 2);
    world.deliver(a, asked[0]);
    world.input(Input::Disconnected { connection: a, misbehaved: false });
    let b = world.connect(2);
    world.say(b, Message::Bitfield(Bytes::copy_from_slice(bits(4, &[1, 2, 3]).as_bytes())));
    world.say(b, Message::Unchoke);
    let mut more = requests(&world.told(b)).len();
    for _ in 0..100 {
        world.pass(Duration::from_secs(30));
        more += requests(&world.told(b)).len();
    }
    assert!(more > 0, "it stood still");
}

#[test]
fn a_started_piece_that_is_skipped_gives_way() {
    let geometry = Geometry::new(4 * u64::from(PIECE), PIECE, &bits(4, &[]));
    let mut world = World::with(Some(&geometry));
    world.input(Input::Budget(Budget { memory_bytes: u64::from(PIECE), ..BUDGET }));
    let (a, asked) = world.seed(1);
    world.deliver(a, asked[0]);
    let p = asked[0].piece;
    world.say(a, Message::Choke);
    for b in &asked[1..] {
        world.say(a, Message::Reject(*b));
    }
    world.input(Input::Command(Command::SetPiecePriority { piece: p, priority: 0 }));
    world.say(a, Message::Unchoke);
    let mut more = requests(&world.told(a)).len();
    for _ in 0..100 {
        world.pass(Duration::from_secs(30));
        more += requests(&world.told(a)).len();
    }
    assert!(more > 0, "it stood still");
}

#[test]
fn one_peer_cannot_fill_the_list_of_candidates() {
    let mut world = World::new(2, &[]);
    let a = world.connect(1);
    for port in 1..=4000u16 {
        world.say(
            a,
            Message::ExtensionHandshake(ExtensionHandshake { listen_port: Some(port), ..Default::default() }),
        );
    }
    world.input(Input::Disconnected { connection: a, misbehaved: false });
    world.out.clear();
    world.input(Input::Peers { endpoints: vec![endpoint(99)], source: PeerSource::Tracker });
    world.pass(Duration::from_secs(86400));
    let dialled = world.out.iter().any(|o| matches!(o, Output::Dial { endpoint: e } if *e == endpoint(99)));
    assert!(dialled);
}

#[test]
fn a_peer_that_does_not_read_is_closed() {
    let mut world = World::new(2, &[0, 1]);
    let a = world.connect(1);
    for _ in 0..100000 {
        world.say(a, Message::Interested);
        world.say(a, Message::NotInterested);
    }
    let n = world.messages(a).len();
    assert!(n < 10000, "it stood still");
}

#[test]
fn a_throttled_reader_is_woken_though_it_cannot_write() {
    let mut world = World::new(2, &[]);
    let a = world.connect(1);
    world.input(Input::Allowance { direction: Direction::Download, allowance: Allowance::Bytes(0) });
    world.told(a);
    // something queued while the writer is blocked: woken stays set
    world.say(a, Message::Bitfield(Bytes::copy_from_slice(bits(2, &[0]).as_bytes())));
    assert_eq!(world.swarm.reserve_read(a, 100), 0);
    world.out.clear();
    world.input(Input::Allowance { direction: Direction::Download, allowance: Allowance::Bytes(1000) });
    assert!(world.out.iter().any(|o| matches!(o, Output::Wake { .. })), "it stood still");
}

#[test]
fn a_free_slot_chokes_nobody() {
    let geometry = Geometry::new(8 * u64::from(PIECE), PIECE, &bits(8, &[0]));
    let mut world = World::with(Some(&geometry));
    world.input(Input::Budget(Budget { upload_slots: 4, connections: 40, memory_bytes: 1 << 20 }));
    let all: Vec<_> = (1..=20).map(|n| world.connect(n)).collect();
    for c in &all {
        world.say(*c, Message::Interested);
    }
    let unchoked: Vec<_> =
        all.iter().copied().filter(|c| world.messages(*c).contains(&Message::Unchoke)).collect();
    world.say(unchoked[0], Message::NotInterested);
    let choked = unchoked[1..].iter().filter(|c| world.messages(**c).contains(&Message::Choke)).count();
    assert!(choked == 0, "it stood still");
}
