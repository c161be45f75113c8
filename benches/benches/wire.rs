//! How fast a connection reads what a peer says.

#![allow(missing_docs)]

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use downpour_base::{BLOCK_SIZE, Block, InfoHashV1, Instant, Machine as _, PeerId};
use downpour_wire::{Config, Connection, Handshake, Message, Reserved, Segment, piece_header};

/// What the socket gives at once.
const CHUNK: usize = 256 << 10;
const INFO_HASH: InfoHashV1 = InfoHashV1([7; 20]);

/// A connection past the peer's handshake.
fn connected() -> Connection {
    let mut connection = Connection::outgoing(Instant::ORIGIN, Config::new(PeerId([1; 20])), INFO_HASH);
    let handshake = Handshake { reserved: Reserved::ours(), info_hash: INFO_HASH, peer_id: PeerId([2; 20]) };
    connection.handle_input(Instant::ORIGIN, Bytes::copy_from_slice(&handshake.encode()));
    while connection.poll_output().is_some() {}
    while connection.poll_transmit(Instant::ORIGIN).is_some() {}
    connection
}

/// A stream in chunks as they come from a socket.
fn chunks(stream: &Bytes) -> Vec<Bytes> {
    (0..stream.len()).step_by(CHUNK).map(|at| stream.slice(at..stream.len().min(at + CHUNK))).collect()
}

fn pieces() -> Bytes {
    let block = downpour_benches::noise(BLOCK_SIZE as usize);
    let mut stream = Vec::new();
    for piece in 0..512 {
        stream.extend_from_slice(&piece_header(Block { piece, begin: 0, length: BLOCK_SIZE }));
        stream.extend_from_slice(&block);
    }
    stream.into()
}

/// Haves, requests and cancels, as a busy seed hears them.
fn small(count: u32) -> Bytes {
    let mut sender = connected();
    for piece in 0..count {
        let block = Block { piece, begin: BLOCK_SIZE, length: BLOCK_SIZE };
        sender.send(match piece % 4 {
            0 => Message::Have(piece),
            3 => Message::Cancel(block),
            _ => Message::Request(block),
        });
    }
    match sender.poll_transmit(Instant::ORIGIN) {
        Some(Segment::Bytes(bytes)) => bytes,
        _ => unreachable!("small messages are sent as bytes"),
    }
}

fn read(mut connection: Connection, chunks: &[Bytes]) -> (Connection, usize) {
    let mut events = 0;
    for chunk in chunks {
        connection.handle_input(Instant::ORIGIN, chunk.clone());
        while connection.poll_output().is_some() {
            events += 1;
        }
    }
    (connection, events)
}

fn wire(criterion: &mut Criterion) {
    const MESSAGES: u32 = 100_000;
    let mut group = criterion.benchmark_group("wire");
    let (blocks, small) = (pieces(), small(MESSAGES));
    let (block_chunks, small_chunks) = (chunks(&blocks), chunks(&small));
    assert_eq!(read(connected(), &small_chunks).1, MESSAGES as usize, "every message is read");
    group.throughput(Throughput::Bytes(blocks.len() as u64));
    group.bench_function("piece messages", |b| {
        b.iter_batched(connected, |connection| read(connection, &block_chunks), BatchSize::SmallInput);
    });
    group.throughput(Throughput::Elements(u64::from(MESSAGES)));
    group.bench_function("small messages", |b| {
        b.iter_batched(connected, |connection| read(connection, &small_chunks), BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, wire);
criterion_main!(benches);
