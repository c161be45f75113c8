//! Peers that misbehave, on plain sockets.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// The port that all of them listen on.
const PORT: u16 = 6881;
/// The longest message that they read.
const LONGEST: usize = 1 << 20;
const BLOCK: usize = 16 << 10;

/// How a peer misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rogue {
    /// Has everything, and sends other bytes than those of the torrent.
    WrongBlocks,
    /// Has everything, and sends blocks that are a byte short.
    ShortBlocks,
    /// Has everything, and sends blocks that were not asked for, beyond the torrent's end.
    BlocksBeyondTheEnd,
    /// Has everything, and never sends any of it.
    NoBlocks,
    /// Sends message after message of kinds that nobody knows.
    UnknownMessages,
    /// Says that a message of 2 GiB follows.
    EndlessMessage,
    /// Sends a bitfield for another number of pieces.
    WrongBitfield,
    /// Sends bytes that are no handshake.
    NoHandshake,
    /// Takes the connection and says nothing.
    Nothing,
}

/// What the handshake and the bitfield need to know of a torrent.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its info-hash.
    pub info_hash: [u8; 20],
    /// How many pieces it has.
    pub pieces: u32,
}

impl Rogue {
    /// Lets a peer listen at `address`, to the end of the process.
    ///
    /// # Panics
    /// If it cannot listen there.
    #[must_use]
    pub fn listen(self, address: Ipv4Addr, target: Target) -> SocketAddr {
        let listener = TcpListener::bind((address, PORT)).expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // It ends when the other side has had enough.
                thread::spawn(move || drop(self.talk(stream, target)));
            }
        });
        address
    }

    fn talk(self, mut stream: TcpStream, target: Target) -> std::io::Result<()> {
        match self {
            Self::Nothing => return wait_for_end(&mut stream),
            Self::NoHandshake => {
                stream.write_all(&[0x55; 200])?;
                return wait_for_end(&mut stream);
            }
            _ => {}
        }
        // Of each place another: two peers with one id would be taken for one.
        let mut id = *b"-RG0001-rogue-rogue-";
        if let SocketAddr::V4(here) = stream.local_addr()? {
            id[16..].copy_from_slice(&here.ip().octets());
        }
        stream.write_all(&handshake(target, id))?;
        stream.read_exact(&mut [0; 68])?;
        match self {
            Self::UnknownMessages => loop {
                message(&mut stream, 99, &[0x55; 100])?;
                thread::sleep(Duration::from_millis(1));
            },
            Self::EndlessMessage => {
                stream.write_all(&[0x7f, 0xff, 0xff, 0xff, 7])?;
                return wait_for_end(&mut stream);
            }
            Self::WrongBitfield => {
                message(&mut stream, 5, &vec![0xff; target.pieces as usize])?;
                return wait_for_end(&mut stream);
            }
            _ => {}
        }
        let mut bitfield = vec![0xff; target.pieces.div_ceil(8) as usize];
        if let (Some(last), spare @ 1..) = (bitfield.last_mut(), bitfield_spare(target.pieces)) {
            *last = 0xff << spare;
        }
        message(&mut stream, 5, &bitfield)?;
        message(&mut stream, 1, &[])?;
        loop {
            let request = read_message(&mut stream)?;
            if request.first() != Some(&6) || request.len() != 13 {
                continue;
            }
            let mut block = request[1..9].to_vec();
            let length = u32::from_be_bytes([request[9], request[10], request[11], request[12]]) as usize;
            match self {
                Self::WrongBlocks => block.resize(8 + length, 0x55),
                Self::ShortBlocks => block.resize(8 + length.saturating_sub(1), 0x55),
                Self::BlocksBeyondTheEnd => {
                    block[..4].copy_from_slice(&target.pieces.to_be_bytes());
                    block.resize(8 + BLOCK, 0x55);
                }
                _ => continue,
            }
            message(&mut stream, 7, &block)?;
        }
    }
}

/// Calls `address` so many times, with a handshake each time, and keeps some of the connections.
///
/// # Errors
/// If the other side no longer takes connections at all.
pub fn call_again_and_again(address: SocketAddr, target: Target, times: u32) -> std::io::Result<()> {
    let mut kept = std::collections::VecDeque::new();
    for call in 0..times {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
        let mut id = *b"-RG0002-rogue0000000";
        id[12..].copy_from_slice(format!("{call:08}").as_bytes());
        // It may be closed already: that is its right.
        let _ = stream.write_all(&handshake(target, id));
        kept.push_back(stream);
        if kept.len() > 200 {
            kept.pop_front();
        }
    }
    thread::sleep(Duration::from_secs(1));
    Ok(())
}

fn bitfield_spare(pieces: u32) -> u32 {
    (8 - pieces % 8) % 8
}

/// BEP 3, without extensions.
fn handshake(target: Target, peer_id: [u8; 20]) -> Vec<u8> {
    let mut bytes = b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0".to_vec();
    bytes.extend(target.info_hash);
    bytes.extend(peer_id);
    bytes
}

fn message(stream: &mut TcpStream, id: u8, payload: &[u8]) -> std::io::Result<()> {
    let mut bytes = (payload.len() as u32 + 1).to_be_bytes().to_vec();
    bytes.push(id);
    bytes.extend(payload);
    stream.write_all(&bytes)
}

fn read_message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut bytes = vec![0; (u32::from_be_bytes(length) as usize).min(LONGEST)];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn wait_for_end(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer)? > 0 {}
    Ok(())
}
