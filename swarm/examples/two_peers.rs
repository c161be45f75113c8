//! A seed and a leecher over loopback TCP: two swarms, two wire connections, a thread and a socket each. The content is
//! in memory, and all of it is driven by this one function.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "an example is a driver: it owns the sockets"
)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use downpour_base::{
    Bitfield, Block, ConnectionId, InfoHashV1, Instant, Machine, PeerEndpoint, PeerId, Seed,
};
use downpour_swarm::{Budget, Config, Event, Geometry, Input, Output, StoreResult, Swarm, Totals, Transmit};
use downpour_wire::{Connection, Event as Said, Segment};

const LENGTH: usize = 300_000;
const PIECE: usize = 64 << 10;
const HASH: InfoHashV1 = InfoHashV1([0x42; 20]);

/// Runs one side until it has everything and the other side closes.
fn run(
    mut socket: TcpStream,
    outgoing: bool,
    id: u8,
    mut content: Vec<u8>,
    have: &Bitfield,
) -> std::io::Result<Vec<u8>> {
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    let clock = std::time::Instant::now();
    let now = || Instant::from_nanos(clock.elapsed().as_nanos() as u64);
    let (connection, peer_id) = (ConnectionId(1), PeerId([id; 20]));
    let endpoint = PeerEndpoint::Tcp(socket.peer_addr()?);
    let config = Config {
        seed: Seed::from_u64(u64::from(id)),
        info_hash: HASH,
        peer_id,
        client: "example".into(),
        listen_port: None,
        private: false,
        before: Totals::default(),
    };
    let mut swarm: Swarm<Bytes> = Swarm::new(config, Some(&Geometry::new(LENGTH as u64, PIECE as u32, have)));
    swarm.handle_input(
        now(),
        Input::Budget(Budget {
            upload_slots: 1,
            connections: 1,
            connections_per_address: 4,
            memory_bytes: 1 << 20,
        }),
    );
    let config = downpour_wire::Config::new(peer_id);
    let mut wire = if outgoing {
        Connection::outgoing(now(), config, HASH)
    } else {
        Connection::incoming(now(), config)
    };
    let mut arriving: Option<(Block, BytesMut)> = None;
    let mut buffer = vec![0; 64 << 10];
    loop {
        // What was said goes to the swarm.
        while let Some(said) = wire.poll_output() {
            let input = match said {
                Said::Handshake(handshake) => {
                    wire.accept(handshake.info_hash);
                    let (fast, extensions) = (wire.is_fast(), wire.has_extensions());
                    Input::Connected {
                        connection,
                        endpoint,
                        outgoing,
                        peer_id: handshake.peer_id,
                        fast,
                        extensions,
                    }
                }
                Said::Message(message) => Input::Message { connection, message },
                Said::Piece(block) => {
                    arriving = Some((block, BytesMut::new()));
                    continue;
                }
                Said::Payload(chunk) => {
                    let Some((block, mut payload)) = arriving.take() else { continue };
                    payload.extend_from_slice(&chunk);
                    if payload.len() < block.length as usize {
                        arriving = Some((block, payload));
                        continue;
                    }
                    Input::Block { connection, block, payload: payload.freeze() }
                }
                _ => return Ok(content),
            };
            swarm.handle_input(now(), input);
        }
        // What the swarm wants done is done.
        while let Some(output) = swarm.poll_output() {
            match output {
                Output::Store { job, piece, blocks, .. } => {
                    let start = piece as usize * PIECE;
                    let bytes = blocks.concat();
                    content[start..start + bytes.len()].copy_from_slice(&bytes);
                    // A real driver compares the hash here.
                    swarm.handle_input(
                        now(),
                        Input::Stored { job, result: StoreResult::Stored, digests: vec![] },
                    );
                }
                Output::Event(Event::PieceFinished { piece }) => println!("peer {id} has piece {piece}"),
                Output::Close { reason, .. } => {
                    println!("peer {id} closes: {reason}");
                    return Ok(content);
                }
                _ => {}
            }
        }
        // What it wants said is said.
        while let Some(transmit) = swarm.poll_transmit(now(), connection) {
            match transmit {
                Transmit::Message(message) => {
                    wire.send(message);
                }
                Transmit::Block(block) => wire.send_block(block),
            }
        }
        while let Some(segment) = wire.poll_transmit(now()) {
            match segment {
                Segment::Bytes(bytes) => socket.write_all(&bytes)?,
                Segment::Block { header, block } => {
                    let start = block.piece as usize * PIECE + block.begin as usize;
                    socket.write_all(&header)?;
                    socket.write_all(&content[start..start + block.length as usize])?;
                }
            }
        }
        match socket.read(&mut buffer) {
            Ok(0) => return Ok(content),
            Ok(length) => wire.handle_input(now(), Bytes::copy_from_slice(&buffer[..length])),
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => return Ok(content),
        }
        swarm.handle_timeout(now());
        wire.handle_timeout(now());
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pieces = LENGTH.div_ceil(PIECE) as u32;
    let original: Vec<u8> = (0..LENGTH).map(|at| (at * 7 % 251) as u8).collect();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let content = original.clone();
    let seed =
        std::thread::spawn(move || run(listener.accept()?.0, false, 1, content, &Bitfield::full(pieces)));
    let copy = run(TcpStream::connect(address)?, true, 2, vec![0; LENGTH], &Bitfield::new(pieces))?;
    seed.join().map_err(|_| "the seed panicked")??;
    println!("the copy is {}", if copy == original { "identical" } else { "DIFFERENT" });
    if copy == original { Ok(()) } else { Err("the copy differs".into()) }
}
