//! Two peers shake hands over loopback TCP and tell each other what they have. `hello_peer ADDR INFO_HASH` calls a real
//! peer instead and prints what it says first.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "an example is a driver: it owns the sockets"
)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use downpour_base::{InfoHashV1, Instant, Machine, PeerId};
use downpour_wire::{Config, Connection, Event, Message, Segment};

/// Drives a connection until the peer has said `enough` messages, or closes, or is silent for two seconds.
fn drive(
    mut socket: TcpStream,
    mut connection: Connection,
    name: &str,
    enough: usize,
) -> std::io::Result<()> {
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    let clock = std::time::Instant::now();
    let now = || Instant::from_nanos(clock.elapsed().as_nanos() as u64);
    let (mut buffer, mut heard) = ([0; 4096], 0);
    loop {
        while let Some(event) = connection.poll_output() {
            println!("{name} hears {event:?}");
            match event {
                Event::Handshake(handshake) => {
                    connection.accept(handshake.info_hash);
                    connection.send(Message::HaveAll);
                    connection.send(Message::Unchoke);
                }
                Event::Close(_) => return Ok(()),
                _ => heard += 1,
            }
        }
        while let Some(segment) = connection.poll_transmit(now()) {
            if let Segment::Bytes(bytes) = segment {
                socket.write_all(&bytes)?;
            }
        }
        if heard >= enough {
            return Ok(());
        }
        match socket.read(&mut buffer) {
            Ok(0) | Err(_) => return Ok(()),
            Ok(length) => connection.handle_input(now(), Bytes::copy_from_slice(&buffer[..length])),
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    if let (Some(address), Some(hash)) = (arguments.next(), arguments.next()) {
        let connection = Connection::outgoing(
            Instant::ORIGIN,
            Config::new(PeerId(*b"-DP0100-example00000")),
            hash.parse()?,
        );
        return Ok(drive(TcpStream::connect(address)?, connection, "we", 10)?);
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let callee = std::thread::spawn(move || {
        let connection = Connection::incoming(Instant::ORIGIN, Config::new(PeerId(*b"-DP0100-the-callee00")));
        drive(listener.accept()?.0, connection, "callee", 2)
    });
    let hash = InfoHashV1([0x42; 20]);
    let connection =
        Connection::outgoing(Instant::ORIGIN, Config::new(PeerId(*b"-DP0100-the-caller00")), hash);
    drive(TcpStream::connect(address)?, connection, "caller", 2)?;
    callee.join().map_err(|_| "the callee panicked")??;
    Ok(())
}
