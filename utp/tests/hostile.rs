//! What forgers, floods and peers that break the rules can do: little.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use downpour_base::{Instant, Machine as _, Rng, Seed};
use downpour_utp::limits::{HALF_OPEN_TIMEOUT, LINGER, MAX_BACKLOG, MAX_HALF_OPEN, MAX_RESETS_PER_SECOND};
use downpour_utp::limits::{MAX_REORDER_PACKETS, MIN_RECEIVE_BYTES};
use downpour_utp::{CloseReason, Datagram, Endpoint, Event, Header, Kind, Packet, Read, Settings, StreamId};
use downpour_utp::{UnknownStream, WriteError};

const NOW: Instant = Instant::from_nanos(1_000_000_000);

fn peer(n: u32) -> SocketAddr {
    SocketAddr::from((n.to_be_bytes(), 6881))
}

const PEER: u32 = 0x0a00_0001;

/// A packet by hand; the same layout as in BEP 29.
fn packet(kind: u8, id: u16, sequence: u16, acknowledged: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind << 4 | 1, 0];
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0x10, 0, 0]);
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(&acknowledged.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

const DATA: u8 = 0;
const FIN: u8 = 1;
const STATE: u8 = 2;
const RESET: u8 = 3;
const SYN: u8 = 4;

fn endpoint(settings: Settings) -> Endpoint {
    Endpoint::new(Seed::from_u64(1), settings)
}

fn put(endpoint: &mut Endpoint, from: u32, bytes: Vec<u8>) {
    endpoint.handle_input(NOW, Datagram { from: peer(from), payload: bytes.into() });
}

/// What it sends now: to whom, header, payload length.
fn sent(endpoint: &mut Endpoint, now: Instant) -> Vec<(SocketAddr, Header, usize)> {
    let (mut all, mut buffer) = (Vec::new(), Vec::new());
    while let Some(transmit) = endpoint.poll_transmit(now, 64, &mut buffer) {
        for datagram in buffer.chunks(transmit.segment_size) {
            let packet = Packet::decode(datagram).expect("ours are well-formed");
            all.push((transmit.to, packet.header, packet.payload.len()));
        }
    }
    all
}

fn events(endpoint: &mut Endpoint) -> Vec<Event> {
    std::iter::from_fn(|| endpoint.poll_output()).collect()
}

/// A connection that `PEER` opened with id 100; returns it with the number that our first packet has.
fn accepted(endpoint: &mut Endpoint) -> (StreamId, u16) {
    put(endpoint, PEER, packet(SYN, 100, 1, 0, b""));
    let answers = sent(endpoint, NOW);
    assert_eq!(answers.len(), 1);
    let (to, answer, _) = answers[0];
    assert_eq!((to, answer.kind, answer.connection_id), (peer(PEER), Kind::State, 100));
    assert_eq!(answer.acknowledged, 1);
    assert_eq!((endpoint.accept(), events(endpoint)), (None, Vec::new()), "the address is not proven");
    put(endpoint, PEER, packet(STATE, 101, 2, answer.sequence.wrapping_sub(1), b""));
    assert_eq!(events(endpoint), [Event::Incoming]);
    let (id, from) = endpoint.accept().expect("somebody to accept");
    assert_eq!(from, peer(PEER));
    (id, answer.sequence)
}

#[test]
fn forged_packets_do_not_touch_a_connection() {
    let mut endpoint = endpoint(Settings::default());
    let (id, ours) = accepted(&mut endpoint);
    let last = ours.wrapping_sub(1);
    let far = ours.wrapping_add(20_000);
    for (from, bytes) in [
        (PEER, packet(RESET, 101, 2, far, b"")),
        (PEER, packet(RESET, 103, 2, last, b"")),
        (PEER + 1, packet(RESET, 101, 2, last, b"")),
        (PEER, packet(DATA, 101, 2, far, b"forged")),
        (PEER, packet(FIN, 101, 2, far, b"")),
        (PEER + 1, packet(DATA, 101, 2, last, b"forged")),
        (PEER, packet(DATA, 100, 2, last, b"forged")),
        (PEER, packet(DATA, 101, 2 + MAX_REORDER_PACKETS, last, b"forged")),
        (PEER, packet(FIN, 101, 2 + MAX_REORDER_PACKETS, last, b"")),
    ] {
        put(&mut endpoint, from, bytes);
    }
    assert_eq!(events(&mut endpoint), []);
    assert_eq!(endpoint.read(NOW, id), Ok(Read::Empty));
    put(&mut endpoint, PEER, packet(DATA, 101, 2, last, b"genuine"));
    assert_eq!(endpoint.read(NOW, id), Ok(Read::Data(Bytes::from_static(b"genuine"))));
    put(&mut endpoint, PEER, packet(RESET, 101, 3, last, b""));
    assert_eq!(events(&mut endpoint).last(), Some(&Event::Closed(id, CloseReason::Reset)));
    assert_eq!(endpoint.read(NOW, id), Err(UnknownStream(id)));
}

#[test]
fn a_flood_of_syns_leaves_room_for_the_honest() {
    let mut endpoint = endpoint(Settings::default());
    for forged in 0..5000 {
        put(&mut endpoint, 0x0b00_0000 + forged, packet(SYN, 7, 1, 0, b""));
    }
    assert_eq!(endpoint.connections(), MAX_HALF_OPEN);
    let answers = sent(&mut endpoint, NOW);
    assert!(answers.len() <= 5000 && answers.iter().all(|(_, _, payload)| *payload == 0), "no amplification");
    accepted(&mut endpoint);
    assert_eq!(endpoint.statistics().refused, 5000 - MAX_HALF_OPEN as u64 + 1);
    endpoint.handle_timeout(NOW + HALF_OPEN_TIMEOUT);
    assert_eq!(endpoint.connections(), 1, "the others are forgotten");
}

#[test]
fn syns_are_not_answered_while_nobody_accepts() {
    let mut endpoint = endpoint(Settings::default());
    for n in 0..MAX_BACKLOG as u32 + 10 {
        put(&mut endpoint, PEER + n, packet(SYN, 7, 1, 0, b""));
        for (_, answer, _) in sent(&mut endpoint, NOW) {
            put(&mut endpoint, PEER + n, packet(STATE, 8, 2, answer.sequence.wrapping_sub(1), b""));
        }
    }
    let all = std::iter::from_fn(|| endpoint.accept()).count();
    assert_eq!((all, endpoint.statistics().refused), (MAX_BACKLOG, 10));
}

#[test]
fn a_repeated_syn_gets_the_same_answer() {
    let mut endpoint = endpoint(Settings::default());
    put(&mut endpoint, PEER, packet(SYN, 100, 1, 0, b""));
    let first = sent(&mut endpoint, NOW)[0].1;
    put(&mut endpoint, PEER, packet(SYN, 100, 1, 0, b""));
    let again = sent(&mut endpoint, NOW + Duration::from_secs(1))[0].1;
    assert_eq!((first.sequence, first.acknowledged), (again.sequence, again.acknowledged));
    assert_eq!(endpoint.connections(), 1);
    put(&mut endpoint, PEER, packet(SYN, 100, 99, 0, b""));
    assert_eq!(sent(&mut endpoint, NOW), [], "a number that collides is ignored");
}

#[test]
fn unknown_packets_are_answered_rarely_and_shortly() {
    let mut endpoint = endpoint(Settings::default());
    for n in 0..1000 {
        put(&mut endpoint, PEER + n, packet(DATA, 5, 77, 3, b"who are you"));
        put(&mut endpoint, PEER + n, packet(RESET, 5, 77, 3, b""));
    }
    let answers = sent(&mut endpoint, NOW);
    assert_eq!(answers.len(), MAX_RESETS_PER_SECOND as usize);
    let (_, reset, payload) = answers[0];
    assert_eq!((reset.kind, reset.connection_id, reset.acknowledged, payload), (Kind::Reset, 5, 77, 0));
    assert_eq!(endpoint.connections(), 0);
}

#[test]
fn a_refused_connection_is_said_so() {
    let mut endpoint = endpoint(Settings::default());
    let id = endpoint.connect(NOW, peer(PEER)).expect("room");
    let (_, syn, _) = sent(&mut endpoint, NOW)[0];
    assert_eq!(syn.kind, Kind::Syn);
    // µTorrent resets by the number that it was called by.
    put(&mut endpoint, PEER, packet(RESET, syn.connection_id.wrapping_add(1), 9, syn.sequence, b""));
    assert_eq!(events(&mut endpoint), [Event::Closed(id, CloseReason::Refused)]);
}

#[test]
fn nobody_who_answers_is_no_connection() {
    let mut endpoint = endpoint(Settings::default());
    let id = endpoint.connect(NOW, peer(PEER)).expect("room");
    let mut syns = sent(&mut endpoint, NOW).len();
    let mut seen = Vec::new();
    while let Some(at) = endpoint.poll_timeout() {
        assert!(at <= NOW + Duration::from_secs(20));
        endpoint.handle_timeout(at);
        syns += sent(&mut endpoint, at).len();
        seen.extend(events(&mut endpoint));
    }
    assert_eq!((syns, seen), (4, vec![Event::Closed(id, CloseReason::ConnectTimedOut)]));
}

#[test]
fn what_is_not_read_is_bounded() {
    let settings =
        Settings { receive_buffer_bytes: 100_000, receive_budget_bytes: 50_000, ..Settings::default() };
    let mut endpoint = endpoint(settings);
    let (id, ours) = accepted(&mut endpoint);
    let last = ours.wrapping_sub(1);
    // Far more than it was told to send, some too early, some in order.
    for sequence in 3..900 {
        put(&mut endpoint, PEER, packet(DATA, 101, sequence, last, &[1; 1000]));
    }
    assert!(endpoint.held_bytes() <= 50_000);
    for sequence in 2..900 {
        put(&mut endpoint, PEER, packet(DATA, 101, sequence, last, &[1; 1000]));
    }
    let held = endpoint.held_bytes();
    assert!((49_000..=50_000 + MIN_RECEIVE_BYTES).contains(&held), "{held}");
    let told = sent(&mut endpoint, NOW).last().expect("an answer").1.window;
    assert!(told < 1000, "{told}");
    let mut read = 0;
    while let Ok(Read::Data(data)) = endpoint.read(NOW, id) {
        read += data.len();
    }
    assert_eq!((read, endpoint.held_bytes()), (held, 0));
    let answer = sent(&mut endpoint, NOW).last().expect("the window is open again").1;
    assert_eq!(answer.window, 50_000);
}

#[test]
fn a_closed_window_is_probed_until_it_opens() {
    let mut endpoint = endpoint(Settings::default());
    let (id, ours) = accepted(&mut endpoint);
    let window = |window: u32, acknowledged| {
        let mut bytes = packet(STATE, 101, 2, acknowledged, b"");
        bytes[12..16].copy_from_slice(&window.to_be_bytes());
        bytes
    };
    put(&mut endpoint, PEER, window(0, ours.wrapping_sub(1)));
    endpoint.write(NOW, id, &mut Bytes::from(vec![7; 5000])).expect("open");
    assert_eq!(sent(&mut endpoint, NOW), []);
    let mut at = NOW;
    for _ in 0..100 {
        at = endpoint.poll_timeout().expect("a probe is due");
        endpoint.handle_timeout(at);
        let probes = sent(&mut endpoint, at);
        assert!(
            probes.len() <= 1 && probes.iter().all(|(_, header, _)| header.sequence == ours),
            "{probes:?}"
        );
        endpoint
            .handle_input(at, Datagram { from: peer(PEER), payload: window(0, ours.wrapping_sub(1)).into() });
    }
    assert_eq!(events(&mut endpoint), [], "a peer that answers is not given up");
    endpoint.handle_input(at, Datagram { from: peer(PEER), payload: window(1 << 20, ours).into() });
    let data: usize = sent(&mut endpoint, at).iter().map(|(_, _, payload)| payload).sum();
    assert!(data > 1000, "{data}");
}

#[test]
fn closing_is_half_until_both_have_closed() {
    let mut endpoint = endpoint(Settings::default());
    let (id, ours) = accepted(&mut endpoint);
    endpoint.shutdown(NOW, id).expect("open");
    assert_eq!(endpoint.write(NOW, id, &mut Bytes::from_static(b"x")), Err(WriteError::ShutDown(id)));
    let (_, fin, _) = sent(&mut endpoint, NOW)[0];
    assert_eq!((fin.kind, fin.sequence), (Kind::Fin, ours));
    // The other half goes on, and its packets are acknowledged under the FIN's number.
    put(&mut endpoint, PEER, packet(DATA, 101, 2, ours, b"still here"));
    let (_, answer, _) = sent(&mut endpoint, NOW)[0];
    assert_eq!((answer.kind, answer.sequence, answer.acknowledged), (Kind::State, ours, 2));
    assert_eq!(endpoint.read(NOW, id), Ok(Read::Data(Bytes::from_static(b"still here"))));
    // The end comes twice, once too early.
    put(&mut endpoint, PEER, packet(FIN, 101, 4, ours, b""));
    assert_eq!(endpoint.read(NOW, id), Ok(Read::Empty));
    put(&mut endpoint, PEER, packet(DATA, 101, 3, ours, b"last"));
    assert_eq!(endpoint.read(NOW, id), Ok(Read::Data(Bytes::from_static(b"last"))));
    assert_eq!(endpoint.read(NOW, id), Ok(Read::End));
    sent(&mut endpoint, NOW);
    assert_eq!(events(&mut endpoint).last(), Some(&Event::Closed(id, CloseReason::Finished)));
    put(&mut endpoint, PEER, packet(FIN, 101, 4, ours, b""));
    assert_eq!(sent(&mut endpoint, NOW)[0].1.acknowledged, 4, "a repeated FIN is acknowledged for a while");
    endpoint.handle_timeout(NOW + LINGER);
    assert_eq!(endpoint.connections(), 0);
}

#[test]
fn given_up_connections_say_no_more() {
    let mut endpoint = endpoint(Settings::default());
    let (id, ours) = accepted(&mut endpoint);
    endpoint.write(NOW, id, &mut Bytes::from_static(b"farewell")).expect("open");
    endpoint.close(NOW, id).expect("open");
    assert_eq!(endpoint.close(NOW, id), Err(UnknownStream(id)));
    let kinds: Vec<Kind> = sent(&mut endpoint, NOW).iter().map(|(_, header, _)| header.kind).collect();
    assert_eq!(kinds, [Kind::Data, Kind::Fin]);
    put(&mut endpoint, PEER, packet(DATA, 101, 2, ours.wrapping_add(1), &[1; 1000]));
    assert_eq!((events(&mut endpoint), endpoint.held_bytes()), (Vec::new(), 0));

    let mut endpoint = self::endpoint(Settings::default());
    let (id, _) = accepted(&mut endpoint);
    endpoint.reset(NOW, id).expect("open");
    let (_, reset, _) = sent(&mut endpoint, NOW)[0];
    assert_eq!((reset.kind, reset.connection_id, reset.acknowledged), (Kind::Reset, 100, 1));
    assert_eq!((endpoint.connections(), events(&mut endpoint)), (0, Vec::new()));
}

/// Noise on all fields of packets of a live connection: nothing panics, and memory stays bounded.
#[test]
fn noise_does_no_harm() {
    let mut endpoint = endpoint(Settings::default());
    let (id, ours) = accepted(&mut endpoint);
    let mut rng = Rng::new(Seed::from_u64(5));
    let mut now = NOW;
    for _ in 0..200_000 {
        now += Duration::from_micros(rng.below(3000));
        let near = |rng: &mut Rng, n: u16| n.wrapping_add(rng.below(40) as u16).wrapping_sub(20);
        let (sequence, acknowledged) = (near(&mut rng, 2), near(&mut rng, ours));
        let length = rng.index(60);
        let mut bytes = packet(rng.below(3) as u8, 101, sequence, acknowledged, &vec![0; length]);
        if rng.below(4) == 0 {
            bytes[1] = rng.below(3) as u8;
        }
        let at = rng.index(bytes.len());
        bytes[at] ^= rng.next_u32() as u8 & rng.next_u32() as u8;
        endpoint.handle_input(now, Datagram { from: peer(PEER), payload: bytes.into() });
        let _ = endpoint.write(now, id, &mut Bytes::from_static(b"some bytes"));
        endpoint.handle_timeout(now);
        sent(&mut endpoint, now);
        events(&mut endpoint);
        assert!(endpoint.held_bytes() <= Settings::default().receive_buffer_bytes);
    }
}
