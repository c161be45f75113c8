//! Trackers that misbehave, on plain sockets.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// How a tracker misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RogueTracker {
    /// Nobody is there.
    Down,
    /// Answers with a web page.
    WebPage,
    /// Answers with something that is not HTTP.
    NotHttp,
    /// Names ten thousand peers that cannot be, and asks to be asked again at once.
    Lying,
    /// Its answer never ends.
    Endless,
    /// Its headers never end.
    EndlessHeader,
    /// Sends a byte each second.
    Slow,
    /// Sends us elsewhere, again and again.
    Redirects,
    /// Over UDP, with answers to other questions.
    WrongTransaction,
}

/// A running one.
#[derive(Debug)]
pub struct RunningTracker {
    /// Its announce URL.
    pub url: String,
    requests: Arc<AtomicU32>,
}

impl RunningTracker {
    /// How often it was asked something.
    #[must_use]
    pub fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }
}

impl RogueTracker {
    /// Lets a tracker listen at `address`, to the end of the process.
    ///
    /// # Panics
    /// If it cannot listen there.
    #[must_use]
    pub fn listen(self, address: Ipv4Addr) -> RunningTracker {
        let requests = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&requests);
        let place = match self {
            Self::WrongTransaction => {
                let socket = UdpSocket::bind((address, 0)).expect("a port");
                let place = socket.local_addr().expect("an address");
                thread::spawn(move || answer_wrongly(&socket, &counter));
                place
            }
            _ => {
                let listener = TcpListener::bind((address, 0)).expect("a port");
                let place = listener.local_addr().expect("an address");
                if self != Self::Down {
                    thread::spawn(move || {
                        for stream in listener.incoming().flatten() {
                            counter.fetch_add(1, Ordering::Relaxed);
                            // It ends when the other side has had enough.
                            thread::spawn(move || drop(self.answer(stream)));
                        }
                    });
                }
                place
            }
        };
        let scheme = if self == Self::WrongTransaction { "udp" } else { "http" };
        RunningTracker { url: format!("{scheme}://{place}/announce"), requests }
    }

    fn answer(self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut request = [0; 8192];
        let length = stream.read(&mut request)?;
        match self {
            Self::Down | Self::WrongTransaction => Ok(()),
            Self::WebPage => whole(&mut stream, b"<html><body>It works!</body></html>"),
            Self::NotHttp => stream.write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
            Self::Lying => whole(&mut stream, &lies()),
            Self::Endless => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nd5:peers999999999:")?;
                loop {
                    stream.write_all(&[0x55; 4096])?;
                }
            }
            Self::EndlessHeader => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
                loop {
                    stream.write_all(b"X-More: and more and more and more\r\n")?;
                }
            }
            Self::Slow => {
                stream.write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nd8:intervali1800e5:peers",
                )?;
                loop {
                    stream.write_all(b"6")?;
                    thread::sleep(Duration::from_secs(1));
                }
            }
            Self::Redirects => {
                let text = String::from_utf8_lossy(&request[..length]).into_owned();
                let path = text.split(' ').nth(1).unwrap_or("/");
                let (folder, query) = path.split_once('?').unwrap_or((path, ""));
                let answer = format!(
                    "HTTP/1.1 302 Found\r\nLocation: {folder}/x?{query}\r\nContent-Length: 0\r\n\r\n"
                );
                stream.write_all(answer.as_bytes())
            }
        }
    }
}

fn whole(stream: &mut TcpStream, body: &[u8]) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    stream.write_all(body)
}

/// Addresses of nobody, of everybody, and of far too many.
fn lies() -> Vec<u8> {
    let mut peers = Vec::new();
    let special = [[0, 0, 0, 0], [255, 255, 255, 255], [224, 0, 0, 1], [127, 0, 0, 1], [240, 0, 0, 1]];
    for number in 0..10_000_u32 {
        let address =
            special.get(number as usize).copied().unwrap_or([10, 99, (number >> 8) as u8, number as u8]);
        peers.extend(SocketAddrV4::new(address.into(), 0).ip().octets());
        peers.extend((if number % 2 == 0 { 0 } else { 6881_u16 }).to_be_bytes());
    }
    let mut body = b"d8:completei-5e8:intervali0e12:min intervali0e5:peers".to_vec();
    body.extend(format!("{}:", peers.len()).bytes());
    body.extend(peers);
    body.push(b'e');
    body
}

/// BEP 15 wants the transaction id of the question.
fn answer_wrongly(socket: &UdpSocket, requests: &AtomicU32) {
    let mut buffer = [0; 2048];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        requests.fetch_add(1, Ordering::Relaxed);
        let mut answer = [0; 16];
        answer[4..8].copy_from_slice(&[0xde, 0xad, 0xbe, 0xef]);
        for size in [16, 8, length.min(3), 0] {
            // The other side may be gone.
            let _ = socket.send_to(&answer[..size], from);
        }
    }
}
