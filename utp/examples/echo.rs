//! Echoes over uTP, on a UDP socket of the standard library.
//!
//! `echo` alone lets a client and a server talk over loopback; `echo <port>` serves others.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "an example is a driver: it may use I/O"
)]

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant as Clock};

use bytes::Bytes;
use downpour_base::{Instant, Machine as _, Seed};
use downpour_utp::{Datagram, Endpoint, Event, Read, Settings, StreamId};

/// An endpoint and what it needs of the world.
struct Driver {
    socket: UdpSocket,
    started: Clock,
    endpoint: Endpoint,
    buffer: Vec<u8>,
}

impl Driver {
    fn new(port: u16, seed: u64) -> io::Result<Self> {
        let socket = UdpSocket::bind(("127.0.0.1", port))?;
        let endpoint = Endpoint::new(Seed::from_u64(seed), Settings::default());
        Ok(Self { socket, started: Clock::now(), endpoint, buffer: Vec::new() })
    }

    fn now(&self) -> Instant {
        Instant::ORIGIN + self.started.elapsed()
    }

    /// Sends what there is, then waits for a datagram or the next timer, 50 ms at most.
    fn turn(&mut self) -> io::Result<()> {
        while let Some(transmit) = self.endpoint.poll_transmit(self.now(), 64, &mut self.buffer) {
            for datagram in self.buffer.chunks(transmit.segment_size) {
                self.socket.send_to(datagram, transmit.to)?;
            }
        }
        let due = self.endpoint.poll_timeout().map(|at| at.saturating_duration_since(self.now()));
        let wait = due.unwrap_or(Duration::MAX).clamp(Duration::from_millis(1), Duration::from_millis(50));
        self.socket.set_read_timeout(Some(wait))?;
        let mut datagram = [0; 2048];
        if let Ok((length, from)) = self.socket.recv_from(&mut datagram) {
            let payload = Bytes::copy_from_slice(&datagram[..length]);
            self.endpoint.handle_input(self.now(), Datagram { from, payload });
        }
        self.endpoint.handle_timeout(self.now());
        Ok(())
    }
}

/// Sends back whatever comes, for ever.
fn serve(mut driver: Driver) -> io::Result<()> {
    // What is still to be written, for each connection.
    let mut pending: BTreeMap<StreamId, Bytes> = BTreeMap::new();
    loop {
        driver.turn()?;
        while let Some(event) = driver.endpoint.poll_output() {
            match event {
                Event::Incoming => {
                    while let Some((id, from)) = driver.endpoint.accept() {
                        println!("{from} connected");
                        pending.insert(id, Bytes::new());
                    }
                }
                Event::Closed(id, reason) => {
                    println!("{id:?}: {reason}");
                    pending.remove(&id);
                }
                _ => {}
            }
        }
        let now = driver.now();
        pending.retain(|&id, left| {
            while driver.endpoint.write(now, id, left).is_ok() && left.is_empty() {
                match driver.endpoint.read(now, id) {
                    Ok(Read::Data(data)) => {
                        println!("{id:?}: {} bytes", data.len());
                        *left = data;
                    }
                    Ok(Read::End) => return driver.endpoint.close(now, id).is_err(),
                    Ok(Read::Empty) => break,
                    Err(_) => return false,
                }
            }
            true
        });
    }
}

fn main() -> io::Result<()> {
    if let Some(port) = std::env::args().nth(1) {
        return serve(Driver::new(port.parse().map_err(io::Error::other)?, 1)?);
    }
    let server = Driver::new(0, 1)?;
    let address: SocketAddr = server.socket.local_addr()?;
    std::thread::spawn(move || serve(server));

    let mut client = Driver::new(0, 2)?;
    let id = client.endpoint.connect(client.now(), address).map_err(io::Error::other)?;
    let mut message = Bytes::from_static(b"hello over uTP");
    client.endpoint.write(client.now(), id, &mut message).map_err(io::Error::other)?;
    loop {
        client.turn()?;
        if let Ok(Read::Data(echo)) = client.endpoint.read(client.now(), id) {
            println!("echo: {}", String::from_utf8_lossy(&echo));
            return Ok(());
        }
    }
}
