//! Whatever happens to a swarm, in whatever order: no panic, no bound broken, the same again from the same seed, and a
//! recording that replays.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use downpour_base::{
    BLOCK_SIZE, Bitfield, Block, ConnectionId, InfoHashV1, Instant, Machine, PeerEndpoint, PeerId, Seed,
};
use downpour_swarm::{
    Allowance, BlockDigest, Budget, Command, Config, Direction, DiskFailure, Geometry, Input, JobId, Output,
    PeerSource, Recorder, StoreResult, Totals, Transmit, replay,
};
use downpour_wire::{ExtensionHandshake, ExtensionId, Message};
use proptest::prelude::*;

const PIECES: u32 = 6;
const PEERS: u64 = 5;

#[derive(Clone, Debug)]
enum Step {
    Input(Box<Input<()>>),
    /// Pull everything, and answer so many requests.
    Poll(u64, usize),
    /// Answer a store job.
    Store(Result<(StoreResult, u8), bool>),
    Pass(Duration),
    ReserveRead(u64, u32),
    ReturnRead(u32),
}

fn connection() -> impl Strategy<Value = ConnectionId> {
    (0..PEERS).prop_map(ConnectionId)
}

fn endpoint() -> impl Strategy<Value = PeerEndpoint> {
    (0u8..6).prop_map(|n| PeerEndpoint::Tcp(SocketAddr::from(([10, 0, 0, n], 6881))))
}

fn block() -> impl Strategy<Value = Block> {
    (0..PIECES + 1, 0u32..4, prop_oneof![Just(BLOCK_SIZE), 1..BLOCK_SIZE])
        .prop_map(|(piece, index, length)| Block { piece, begin: index * BLOCK_SIZE, length })
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        1 => Just(Message::Choke),
        3 => Just(Message::Unchoke),
        2 => Just(Message::Interested),
        1 => Just(Message::NotInterested),
        1 => (0..PIECES + 1).prop_map(Message::Have),
        2 => prop_oneof![Just(0xfcu8), any::<u8>()].prop_map(|byte| Message::Bitfield(Bytes::copy_from_slice(&[byte]))),
        2 => block().prop_map(Message::Request),
        1 => block().prop_map(Message::Cancel),
        1 => block().prop_map(Message::Reject),
        2 => Just(Message::HaveAll),
        1 => Just(Message::HaveNone),
        1 => (0..PIECES + 1).prop_map(Message::AllowedFast),
        1 => (0..PIECES + 1).prop_map(Message::Suggest),
        1 => (any::<Option<u32>>(), any::<Option<bool>>(), any::<Option<u16>>()).prop_map(|(request_queue, upload_only, listen_port)| {
            Message::ExtensionHandshake(ExtensionHandshake { request_queue, upload_only, listen_port, ..Default::default() })
        }),
        1 => Just(Message::Extended { extension: ExtensionId(0), payload: Bytes::from_static(b"x") }),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        1 => Just(Command::Pause),
        3 => Just(Command::Resume),
        1 => prop::collection::vec(0u8..9, 0..12).prop_map(Command::SetPiecePriorities),
        1 => (0..PIECES + 1, 0u8..9).prop_map(|(piece, priority)| Command::SetPiecePriority { piece, priority }),
        1 => (0..PIECES + 1, any::<Option<u32>>()).prop_map(|(piece, at)| Command::SetPieceDeadline {
            piece,
            deadline: at.map(|at| Instant::from_nanos(u64::from(at))),
        }),
        1 => any::<bool>().prop_map(Command::SetSequential),
        1 => (0..PIECES + 1).prop_map(Command::PieceLost),
    ]
}

/// How a store job ends; failures say whether the disk is full.
fn store_result() -> impl Strategy<Value = Result<(StoreResult, u8), bool>> {
    prop_oneof![
        4 => Just(Ok((StoreResult::Stored, 0))),
        2 => (0u8..3).prop_map(|digest| Ok((StoreResult::HashMismatch, digest))),
        1 => any::<bool>().prop_map(Err),
    ]
}

fn allowance() -> impl Strategy<Value = Allowance> {
    prop_oneof![
        Just(Allowance::Unlimited),
        any::<u64>().prop_map(Allowance::Bytes),
        (0u64..100_000).prop_map(Allowance::Bytes)
    ]
}

fn input() -> impl Strategy<Value = Input<()>> {
    let direction = prop_oneof![Just(Direction::Download), Just(Direction::Upload)];
    prop_oneof![
        4 => (connection(), endpoint(), any::<bool>(), 0u8..9, any::<bool>()).prop_map(
            |(connection, endpoint, outgoing, id, fast)| Input::Connected {
                connection, endpoint, outgoing, peer_id: PeerId([id; 20]), fast, extensions: fast,
            }),
        16 => (connection(), message()).prop_map(|(connection, message)| Input::Message { connection, message }),
        2 => (connection(), block()).prop_map(|(connection, block)| Input::Block { connection, block, payload: () }),
        1 => (connection(), any::<bool>()).prop_map(|(connection, misbehaved)| Input::Disconnected { connection, misbehaved }),
        1 => endpoint().prop_map(|endpoint| Input::DialFailed { endpoint }),
        1 => prop::collection::vec(endpoint(), 0..4).prop_map(|endpoints| Input::Peers { endpoints, source: PeerSource::Tracker }),
        1 => (0u64..5).prop_map(|job| Input::Stored { job: JobId(job), result: StoreResult::Stored, digests: vec![] }),
        1 => (connection(), block()).prop_map(|(connection, block)| Input::ReadFailed { connection, block }),
        1 => Just(Input::Metadata(geometry())),
        2 => (0u32..4, 0u32..8, 0u64..500_000).prop_map(|(upload_slots, connections, memory_bytes)| {
            Input::Budget(Budget { upload_slots, connections, connections_per_address: 1 + upload_slots, memory_bytes })
        }),
        1 => (direction, allowance()).prop_map(|(direction, allowance)| Input::Allowance { direction, allowance }),
        1 => any::<[u8; 4]>().prop_map(|address| Input::ExternalAddress(address.into())),
        1 => prop::option::of(0u32..3000).prop_map(Input::SeedRatio),
        2 => command().prop_map(Input::Command),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => input().prop_map(|input| Step::Input(Box::new(input))),
        4 => (0..PEERS, 0usize..20).prop_map(|(peer, answers)| Step::Poll(peer, answers)),
        2 => store_result().prop_map(Step::Store),
        1 => (0u64..100_000).prop_map(|millis| Step::Pass(Duration::from_millis(millis))),
        1 => (0..PEERS, any::<u32>()).prop_map(|(peer, wanted)| Step::ReserveRead(peer, wanted)),
        1 => (0u32..100_000).prop_map(Step::ReturnRead),
    ]
}

fn geometry() -> Geometry {
    let length = u64::from(PIECES) * 3 * u64::from(BLOCK_SIZE) - 5000;
    Geometry::new(length, 3 * BLOCK_SIZE, &Bitfield::from_bytes(&[0x80], PIECES).unwrap())
}

/// Runs `steps` and returns the recording.
fn run(steps: &[Step], with_metadata: bool) -> Result<Vec<u8>, TestCaseError> {
    let config = Config {
        seed: Seed::from_u64(3),
        info_hash: InfoHashV1([1; 20]),
        peer_id: PeerId([4; 20]),
        client: String::new(),
        listen_port: None,
        private: false,
        before: Totals::default(),
    };
    let geometry = geometry();
    let mut swarm: Recorder<()> = Recorder::new(config, with_metadata.then_some(&geometry), true);
    let (mut now, mut jobs, mut memory_budget, mut slots) = (Instant::ORIGIN, Vec::new(), 0, 0);
    swarm.handle_input(
        now,
        Input::Budget(Budget {
            upload_slots: 2,
            connections: 8,
            connections_per_address: 4,
            memory_bytes: 400_000,
        }),
    );
    let mut lines = Vec::new();
    for step in steps {
        match step.clone() {
            Step::Input(input) => {
                if let Input::Budget(budget) = &*input {
                    memory_budget = memory_budget.max(budget.memory_bytes);
                    slots = budget.upload_slots;
                }
                swarm.handle_input(now, *input);
            }
            Step::Poll(peer, answers) => {
                let connection = ConnectionId(peer);
                let mut requests = Vec::new();
                while let Some(told) = swarm.poll_transmit(now, connection) {
                    if let Transmit::Message(Message::Request(block)) = told {
                        requests.push(block);
                    }
                }
                for block in requests.into_iter().take(answers) {
                    swarm.handle_input(now, Input::Block { connection, block, payload: () });
                }
            }
            Step::Store(result) => {
                if let Some(job) = jobs.pop() {
                    let input = match result {
                        Ok((result, digest)) => {
                            Input::Stored { job, result, digests: vec![BlockDigest([digest; 20]); 3] }
                        }
                        Err(disk_full) => {
                            let failure = DiskFailure { message: "broken".into(), disk_full };
                            Input::NotStored { job, failure, blocks: vec![(); 3] }
                        }
                    };
                    swarm.handle_input(now, input);
                }
            }
            Step::Pass(time) => {
                now += time;
                swarm.handle_timeout(now);
                let before = swarm.poll_timeout();
                while let Some(output) = swarm.poll_output() {
                    if let Output::Store { job, .. } = output {
                        jobs.push(job);
                    }
                }
                swarm.handle_timeout(now);
                prop_assert!(
                    swarm.poll_output().is_none() && swarm.poll_timeout() == before,
                    "a repeated call changes nothing"
                );
                prop_assert!(before.is_none_or(|deadline| deadline > now), "what was due is done");
            }
            Step::ReserveRead(peer, wanted) => {
                prop_assert!(swarm.reserve_read(ConnectionId(peer), wanted) <= wanted)
            }
            Step::ReturnRead(unused) => swarm.return_read(unused),
        }
        while let Some(output) = swarm.poll_output() {
            if let Output::Store { job, blocks, .. } = output {
                prop_assert!(!blocks.is_empty() && blocks.len() <= 3);
                jobs.push(job);
            }
        }
        let status = swarm.swarm().status(now);
        prop_assert!(status.memory_bytes <= memory_budget.max(400_000), "more memory than was ever granted");
        let unchoked = swarm.swarm().peer_statuses(now).filter(|peer| !peer.choked).count();
        let interested = swarm.swarm().peer_statuses(now).filter(|peer| peer.interested).count();
        prop_assert!(unchoked <= interested);
        if slots > 0 && status.peers > 0 && matches!(step, Step::Pass(time) if time.as_secs() > 10) {
            prop_assert!(unchoked <= slots as usize, "{} unchoked with {} slots", unchoked, slots);
        }
        lines.extend(swarm.take_lines());
    }
    Ok(lines)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_history_is_survived_repeated_and_replayed(
        steps in prop::collection::vec(step(), 0..120), with_metadata in prop::bool::weighted(0.8),
    ) {
        let recording = run(&steps, with_metadata)?;
        prop_assert_eq!(&run(&steps, with_metadata)?, &recording, "same seed, same inputs, other outputs");
        let text = String::from_utf8(recording).unwrap();
        let report = replay(text.lines()).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!(report.calls as usize >= steps.iter().filter(|step| matches!(step, Step::Input(_))).count());
    }
}

#[test]
fn a_damaged_or_false_recording_is_found_out() {
    let steps = [Step::Input(Box::new(Input::Peers {
        endpoints: vec![PeerEndpoint::Tcp(([1, 2, 3, 4], 5).into())],
        source: PeerSource::User,
    }))];
    let text = String::from_utf8(run(&steps, true).unwrap()).unwrap();
    assert!(replay(text.lines()).is_ok());
    let other = text.replace("1.2.3.4:5\"}}}}", "1.2.3.5:5\"}}}}");
    assert_ne!(other, text);
    assert!(replay(other.lines()).unwrap_err().to_string().contains("replayed"));
    assert!(replay(["nonsense"]).unwrap_err().to_string().starts_with("line 1"));
    assert!(replay(text.lines().skip(1)).unwrap_err().to_string().contains("before the start"));
}
