//! Two connections talk to each other, and to nonsense.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use downpour_base::{Block, InfoHashV1, Instant, Machine, PeerId};
use downpour_wire::{
    CloseReason, Config, Connection, Event, ExtensionHandshake, ExtensionId, HANDSHAKE_LENGTH, Handshake,
    HandshakeError, Message, MessageError, Registry, Reserved, Segment, limits, piece_header,
};
use proptest::prelude::*;

const HASH: InfoHashV1 = InfoHashV1([7; 20]);
const START: Instant = Instant::ORIGIN;

fn config(id: u8) -> Config {
    let mut registry = Registry::default();
    // Different orders, so that the numbers differ.
    let names = if id == 1 { ["ut_metadata", "x_game"] } else { ["x_game", "ut_metadata"] };
    names.iter().for_each(|name| assert!(registry.register(name).is_some()));
    Config { registry: Arc::new(registry), ..Config::new(PeerId([id; 20])) }
}

fn events(connection: &mut Connection) -> Vec<Event> {
    std::iter::from_fn(|| connection.poll_output()).collect()
}

/// All that `connection` wants written, blocks filled with `0xbb`.
fn written(connection: &mut Connection, now: Instant) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(segment) = connection.poll_transmit(now) {
        match segment {
            Segment::Bytes(bytes) => out.extend_from_slice(&bytes),
            Segment::Block { header, block } => {
                out.extend_from_slice(&header);
                out.resize(out.len() + block.length as usize, 0xbb);
            }
        }
    }
    out
}

/// Two connections after their handshakes.
fn pair_with(reserved: Reserved) -> (Connection, Connection) {
    let mut caller = Connection::outgoing(START, config(1), HASH);
    let mut callee = Connection::incoming(START, Config { reserved, ..config(2) });
    callee.handle_input(START, written(&mut caller, START).into());
    assert!(matches!(events(&mut callee)[..], [Event::Handshake(Handshake { info_hash: HASH, .. })]));
    callee.accept(HASH);
    caller.handle_input(START, written(&mut callee, START).into());
    assert!(matches!(events(&mut caller)[..], [Event::Handshake(_)]));
    (caller, callee)
}

fn pair() -> (Connection, Connection) {
    pair_with(Reserved::ours())
}

fn index() -> impl Strategy<Value = u32> {
    any::<u32>()
}

fn block() -> impl Strategy<Value = Block> {
    (index(), any::<u32>(), 1..=limits::MAX_BLOCK_LENGTH).prop_map(|(piece, begin, length)| Block {
        piece,
        begin,
        length,
    })
}

/// Messages that may come at any time.
fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        Just(Message::KeepAlive),
        Just(Message::Choke),
        Just(Message::Unchoke),
        Just(Message::Interested),
        Just(Message::NotInterested),
        index().prop_map(Message::Have),
        block().prop_map(Message::Request),
        block().prop_map(Message::Cancel),
        block().prop_map(Message::Reject),
        any::<u16>().prop_map(Message::Port),
        index().prop_map(Message::Suggest),
        index().prop_map(Message::AllowedFast),
        extension_handshake().prop_map(Message::ExtensionHandshake),
    ]
}

fn extension_handshake() -> impl Strategy<Value = ExtensionHandshake> {
    let text = prop::option::of("[a-z0-9µ ]{0,20}");
    let ip = prop::option::of(any::<std::net::IpAddr>());
    (text, prop::option::of(1u16..), ip, any::<Option<u32>>(), any::<Option<u32>>(), any::<Option<bool>>())
        .prop_map(|(client, listen_port, your_ip, request_queue, metadata_size, upload_only)| {
            ExtensionHandshake { client, listen_port, your_ip, request_queue, metadata_size, upload_only }
        })
}

proptest! {
    #[test]
    fn messages_round_trip_however_they_are_cut(
        messages in prop::collection::vec(message(), 0..20),
        blocks in prop::collection::vec(block(), 0..3),
        cut in 1usize..100,
    ) {
        let (mut caller, mut callee) = pair();
        messages.iter().for_each(|message| assert!(caller.send(message.clone())));
        blocks.iter().for_each(|block| caller.send_block(*block));
        let bytes = Bytes::from(written(&mut caller, START));
        for start in (0..bytes.len()).step_by(cut) {
            callee.handle_input(START, bytes.slice(start..bytes.len().min(start + cut)));
        }
        let (mut said, mut pieces, mut payload) = (Vec::new(), Vec::new(), 0);
        for event in events(&mut callee) {
            match event {
                Event::Message(message) => said.push(message),
                Event::Piece(block) => pieces.push(block),
                Event::Payload(bytes) => {
                    prop_assert!(bytes.iter().all(|byte| *byte == 0xbb));
                    payload += bytes.len();
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert_eq!(said, messages);
        prop_assert_eq!(payload, blocks.iter().map(|block| block.length as usize).sum::<usize>());
        prop_assert_eq!(pieces, blocks);
    }

    #[test]
    fn any_bytes_after_the_handshake_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 1usize..50) {
        let (_, mut callee) = pair();
        bytes.chunks(cut).for_each(|chunk| callee.handle_input(START, Bytes::copy_from_slice(chunk)));
        let events = events(&mut callee);
        let closes = events.iter().filter(|event| matches!(event, Event::Close(_))).count();
        prop_assert!(closes <= 1 && (closes == 0 || matches!(events.last(), Some(Event::Close(_)))));
    }

    #[test]
    fn any_framed_message_never_panics(id: u8, body in prop::collection::vec(any::<u8>(), 0..60)) {
        let (_, mut callee) = pair();
        callee.handle_input(START, framed(id, &body).into());
        events(&mut callee);
    }

    #[test]
    fn any_first_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 1..200)) {
        let mut callee = Connection::incoming(START, config(2));
        callee.handle_input(START, bytes.into());
        prop_assert_eq!(events(&mut callee), [Event::Close(HandshakeError::Protocol.into())]);
    }

    #[test]
    fn handshakes_round_trip(reserved: [u8; 8], hash: [u8; 20], id: [u8; 20]) {
        let handshake = Handshake { reserved: Reserved(reserved), info_hash: InfoHashV1(hash), peer_id: PeerId(id) };
        prop_assert_eq!(Handshake::decode(&handshake.encode()), Ok(handshake));
    }
}

fn framed(id: u8, body: &[u8]) -> Vec<u8> {
    [&(1 + body.len() as u32).to_be_bytes()[..], &[id], body].concat()
}

/// What a callee without the Fast extension closes with.
fn closed_by(reserved: Reserved, bytes: Vec<u8>) -> Option<CloseReason> {
    let (_, mut callee) = pair_with(reserved);
    callee.handle_input(START, bytes.into());
    match events(&mut callee).pop() {
        Some(Event::Close(reason)) => Some(reason),
        _ => None,
    }
}

#[test]
fn each_broken_rule_has_its_reason() {
    use CloseReason::*;
    let ours = Reserved::ours();
    let plain = Reserved::default();
    assert_eq!(closed_by(plain, framed(14, &[])), Some(FastNotNegotiated(14)));
    assert_eq!(closed_by(plain, framed(16, &[0; 12])), Some(FastNotNegotiated(16)));
    assert_eq!(closed_by(plain, framed(20, b"\0de")), Some(ExtensionsNotNegotiated));
    assert_eq!(closed_by(ours, [framed(4, &[0; 4]), framed(15, &[])].concat()), Some(LateHaveNone));
    assert_eq!(closed_by(ours, [framed(14, &[]), framed(15, &[])].concat()), Some(LateHaveNone));
    assert_eq!(
        closed_by(ours, [framed(5, &[0]), framed(5, &[0x80]), framed(14, &[])].concat()),
        None,
        "aria2 sends a bitfield or have-all in place of many haves"
    );
    assert_eq!(closed_by(ours, framed(0, &[0])), Some(MessageTooLong { id: 0, length: 2 }));
    assert_eq!(closed_by(ours, framed(4, &[0; 3])), Some(Message(MessageError::Length { id: 4, length: 3 })));
    assert_eq!(closed_by(ours, framed(7, &[0; 7])), Some(Message(MessageError::Length { id: 7, length: 7 })));
    assert_eq!(closed_by(ours, framed(7, &[0; 8])), Some(Message(MessageError::BlockLength(0))));
    assert_eq!(
        closed_by(ours, [&(9 + 16385u32).to_be_bytes()[..], &[7]].concat()),
        Some(Message(MessageError::BlockLength(16385)))
    );
    assert_eq!(
        closed_by(ours, framed(6, &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x40, 1])),
        Some(Message(MessageError::BlockLength(16385)))
    );
    assert_eq!(
        closed_by(ours, [&u32::MAX.to_be_bytes()[..], &[5]].concat()),
        Some(MessageTooLong { id: 5, length: u32::MAX })
    );
    assert_eq!(closed_by(ours, framed(20, &[])), Some(Message(MessageError::Length { id: 20, length: 0 })));
    assert_eq!(closed_by(ours, framed(20, b"\0i1e")), Some(InvalidExtensionHandshake));
    assert_eq!(closed_by(ours, framed(99, b"unknown")), None, "unknown ids are ignored");
    assert_eq!(
        closed_by(ours, [framed(9, &[1, 2]), framed(5, &[0])].concat()),
        None,
        "a port may come first"
    );
}

#[test]
fn the_wrong_torrent_and_ourselves_are_refused() {
    let answer = |info_hash, id| {
        let mut caller = Connection::outgoing(START, config(1), HASH);
        let handshake = Handshake { reserved: Reserved::ours(), info_hash, peer_id: PeerId([id; 20]) };
        caller.handle_input(START, Bytes::copy_from_slice(&handshake.encode()));
        events(&mut caller)
    };
    assert_eq!(answer(InfoHashV1([8; 20]), 2), [Event::Close(CloseReason::InfoHashMismatch)]);
    assert_eq!(answer(HASH, 1), [Event::Close(CloseReason::SelfConnection)]);
}

#[test]
fn what_comes_before_the_answer_is_not_lost() {
    let mut caller = Connection::outgoing(START, config(1), HASH);
    caller.send(Message::Interested);
    let mut callee = Connection::incoming(START, config(2));
    let bytes = Bytes::from(written(&mut caller, START));
    bytes.chunks(10).for_each(|chunk| callee.handle_input(START, Bytes::copy_from_slice(chunk)));
    assert!(matches!(events(&mut callee)[..], [Event::Handshake(_)]));
    assert_eq!(callee.poll_transmit(START), None, "nothing is said before the torrent is known");
    callee.accept(HASH);
    assert_eq!(events(&mut callee), [Event::Message(Message::Interested)]);
    assert_eq!(written(&mut callee, START).len(), HANDSHAKE_LENGTH);
}

#[test]
fn extensions_are_called_by_the_numbers_of_the_receiver() {
    let (mut caller, mut callee) = pair();
    let game = ExtensionId(1);
    let hello = Message::Extended { extension: game, payload: Bytes::from_static(b"hello") };
    assert!(!caller.send(hello.clone()), "not before the peer named it");
    callee.send(Message::ExtensionHandshake(ExtensionHandshake::default()));
    caller.handle_input(START, written(&mut callee, START).into());
    assert!(caller.speaks(game));
    assert!(caller.send(hello));
    callee.handle_input(START, written(&mut caller, START).into());
    let Some(Event::Message(Message::Extended { extension, payload })) = callee.poll_output() else {
        panic!()
    };
    assert_eq!((extension, &payload[..]), (ExtensionId(0), &b"hello"[..]), "the callee's own id for x_game");

    // Zero turns it off again, and only it.
    caller.handle_input(START, framed(20, b"\0d1:md6:x_gamei0eee").into());
    assert!(!caller.speaks(game) && caller.speaks(ExtensionId(0)));
}

#[test]
fn keep_alives_and_silence() {
    let (mut caller, mut callee) = pair();
    let mut now = START;
    for _ in 0..10 {
        now = caller.poll_timeout().unwrap();
        caller.handle_timeout(now - Duration::from_nanos(1));
        assert_eq!(caller.poll_transmit(now), None, "a spurious call changes nothing");
        caller.handle_timeout(now);
        let bytes = written(&mut caller, now);
        assert_eq!(bytes, [0; 4]);
        callee.handle_input(now, bytes.into());
        caller.handle_input(now, vec![0; 4].into());
    }
    assert_eq!(events(&mut callee).len(), 10);
    callee.handle_timeout(now + limits::SILENCE_TIMEOUT);
    assert_eq!(events(&mut callee), [Event::Close(CloseReason::Silence)]);
    assert_eq!(callee.poll_timeout(), None);
}

#[test]
fn a_slow_handshake_is_cut_off_however_it_drips() {
    let mut callee = Connection::incoming(START, config(2));
    let mut now = START;
    let handshake = Handshake { reserved: Reserved::ours(), info_hash: HASH, peer_id: PeerId([1; 20]) };
    for byte in handshake.encode() {
        now += Duration::from_secs(1);
        callee.handle_timeout(now);
        callee.handle_input(now, Bytes::copy_from_slice(&[byte]));
    }
    assert_eq!(events(&mut callee), [Event::Close(CloseReason::HandshakeTimeout)]);
}

#[test]
fn payload_can_go_past_the_machine() {
    let (mut caller, mut callee) = pair();
    let block = Block { piece: 1, begin: 16384, length: 100 };
    callee.handle_input(START, Bytes::copy_from_slice(&piece_header(block)));
    assert_eq!(events(&mut callee), [Event::Piece(block)]);
    assert!(callee.skip_payload(START, 60));
    assert!(!callee.skip_payload(START, 41), "more than is left");
    assert!(callee.skip_payload(START, 40));
    caller.send(Message::Choke);
    callee.handle_input(START, written(&mut caller, START).into());
    assert_eq!(events(&mut callee), [Event::Message(Message::Choke)]);
}
