//! Whatever clients send: one answer at most, nothing larger than a packet over UDP, and no more kept than allowed.
//!
//! The input is a list of steps: a byte that chooses what happens, a length, and so many bytes of it.
#![no_main]

use std::net::SocketAddr;
use std::time::Duration;

use downpour_base::{Instant, Machine as _, Seed};
use downpour_tracker::http::{decode_announce, decode_request};
use downpour_tracker::server::{Input, Output, RequestId, Server, Settings};
use downpour_tracker::udp::{Request, Response};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut now = Instant::ORIGIN;
    let settings = Settings { max_peers: 8, max_swarms: 4, ..Settings::default() };
    let mut server = Server::new(Seed::from_u64(1), settings);
    let mut connection = 0;
    let mut left = input;
    while let [step, length, rest @ ..] = left {
        let (content, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        left = rest;
        let from = SocketAddr::from(([192, 0, 2, step >> 4], 1000 + u16::from(*length)));
        let mut datagram = None;
        match step % 4 {
            0 => {
                let target = format!("/announce?{}", String::from_utf8_lossy(content));
                let _ = decode_request(&target);
                server.handle_input(now, Input::Http { request: RequestId(1), from, target });
            }
            1 => {
                let payload = Request::Connect { transaction: 7 }.encode();
                server.handle_input(now, Input::Datagram { from, payload });
                datagram = Some(16);
            }
            2 => {
                // Past the door: a good connection id.
                let mut payload = content.to_vec();
                if let Some(place) = payload.get_mut(..8) {
                    place.copy_from_slice(&u64::to_be_bytes(connection));
                }
                datagram = Some(payload.len());
                server.handle_input(now, Input::Datagram { from, payload });
            }
            _ => {
                now += Duration::from_secs(u64::from(*length) * 30);
                server.handle_timeout(now);
            }
        }
        let outputs: Vec<Output> = std::iter::from_fn(|| server.poll_output()).collect();
        assert!(outputs.len() <= 1);
        for output in outputs {
            match output {
                Output::Http { body, .. } => assert!(decode_announce(&body).is_ok()),
                Output::Datagram { to, payload } => {
                    assert!(to == from && payload.len() <= 1400 && datagram.is_some());
                    match Response::decode(&payload) {
                        Ok(Response::Connect { connection: given }) => connection = given,
                        Ok(_) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                _ => {}
            }
        }
        let statistics = server.statistics();
        assert!(statistics.peers <= 8 && statistics.swarms <= 4);
    }
});
