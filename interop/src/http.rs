//! Requests to the remote interfaces of clients and trackers: HTTP/1.0, one for each connection.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// Sends `body`, or asks without one; `headers` are whole lines. `None` if nobody answers (yet).
pub(crate) fn request(
    address: (Ipv4Addr, u16),
    path: &str,
    headers: &[String],
    body: Option<&str>,
) -> Option<Answer> {
    let target = SocketAddrV4::new(address.0, address.1);
    let mut stream = TcpStream::connect_timeout(&target.into(), PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let verb = if body.is_some() { "POST" } else { "GET" };
    let mut text = format!("{verb} {path} HTTP/1.0\r\nHost: {target}\r\n");
    for header in headers {
        text += &format!("{header}\r\n");
    }
    if let Some(body) = body {
        text += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    text += "\r\n";
    text += body.unwrap_or_default();
    stream.write_all(text.as_bytes()).ok()?;
    let mut answer = Vec::new();
    let mut buffer = [0; 16 << 10];
    loop {
        match stream.read(&mut buffer).ok()? {
            0 => break,
            length => answer.extend_from_slice(&buffer[..length]),
        }
        // Some keep the connection although they were not asked to.
        if whole(&answer) {
            break;
        }
    }
    let end = head_end(&answer)?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head, body: answer.split_off(end) })
}

fn head_end(answer: &[u8]) -> Option<usize> {
    answer.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

fn whole(answer: &[u8]) -> bool {
    let Some(end) = head_end(answer) else { return false };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| answer.len() >= end + length)
}
