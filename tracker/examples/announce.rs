//! Two clients announce themselves to a tracker, over UDP on the loopback: the crate alone with sockets of std.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "an example drives the machines, so it has the sockets, the clock and a thread"
)]

use std::net::UdpSocket;
use std::time::{Duration, Instant as Clock};

use downpour_base::{InfoHash, InfoHashV1, Instant, Machine, PeerId, Seed, TorrentId};
use downpour_tracker::client::{self, Client, Output, Totals};
use downpour_tracker::server::{self, Server};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let started = Clock::now();
    let now = move || Instant::ORIGIN + started.elapsed();
    let tracker_socket = UdpSocket::bind("127.0.0.1:0")?;
    let url = format!("udp://{}/announce", tracker_socket.local_addr()?);
    println!("tracker at {url}");
    std::thread::spawn(move || serve(&tracker_socket, now));
    for port in [6881, 6882] {
        announce(&url, port, now)?;
    }
    Ok(())
}

/// Drives a tracker.
fn serve(socket: &UdpSocket, now: impl Fn() -> Instant) -> std::io::Result<()> {
    let mut server = Server::new(Seed::from_u64(1), server::Settings::default());
    let mut buffer = [0; 2048];
    loop {
        let (length, from) = socket.recv_from(&mut buffer)?;
        server.handle_input(now(), server::Input::Datagram { from, payload: buffer[..length].to_vec() });
        while let Some(output) = server.poll_output() {
            if let server::Output::Datagram { to, payload } = output {
                socket.send_to(&payload, to)?;
            }
        }
    }
}

/// Drives a client until its announce is answered.
fn announce(url: &str, port: u16, now: impl Fn() -> Instant) -> Result<(), Box<dyn std::error::Error>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let (torrent, info_hash) = (TorrentId(1), InfoHash::V1(InfoHashV1([7; 20])));
    let mut client = Client::new(Seed::from_u64(u64::from(port)), client::Settings::default());
    let tiers = vec![vec![url.to_owned()]];
    client.handle_input(now(), client::Input::Identity { peer_id: PeerId([b'x'; 20]), port });
    client.handle_input(now(), client::Input::Add { torrent, info_hash, tiers });
    client.handle_input(now(), client::Input::Start { torrent });
    let mut buffer = [0; 2048];
    loop {
        while let Some(output) = client.poll_output() {
            match output {
                Output::Totals { torrent } => {
                    let totals = Totals { left: 1000, want: 50, ..Totals::default() };
                    client.handle_input(now(), client::Input::Totals { torrent, totals });
                }
                Output::Datagram { to, payload } => {
                    socket.send_to(&payload, to)?;
                }
                Output::Peers { endpoints, .. } => println!("port {port} hears of {endpoints:?}"),
                Output::Event(client::Event::Announced { peers, interval, .. }) => {
                    println!("port {port} is announced: {peers} peers, again in {interval:?}");
                    return Ok(());
                }
                Output::Event(event) => return Err(format!("{event:?}").into()),
                _ => {}
            }
        }
        let wait =
            client.poll_timeout().map_or(Duration::from_secs(60), |at| at.saturating_duration_since(now()));
        socket.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                client.handle_input(
                    now(),
                    client::Input::Datagram { from, payload: buffer[..length].to_vec() },
                );
            }
            Err(_) => client.handle_timeout(now()),
        }
    }
}
