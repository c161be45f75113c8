//! Two endpoints with a network between them that the input plays: it loses, repeats, reorders, bends and forges
//! packets and lets time pass. Memory stays bounded, and what arrives on a connection that nobody forged anything
//! into is what was sent.
#![no_main]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use downpour_base::{Instant, Machine as _, Seed};
use downpour_utp::{Datagram, Endpoint, Read, Settings, StreamId};
use libfuzzer_sys::fuzz_target;

struct Side {
    endpoint: Endpoint,
    address: SocketAddr,
    streams: Vec<StreamId>,
    /// Bytes written and read; the content counts upwards.
    written: usize,
    read: usize,
    /// Datagrams of this side under way.
    out: Vec<Vec<u8>>,
}

fn side(n: u8, settings: Settings) -> Side {
    let endpoint = Endpoint::new(Seed::from_u64(n.into()), settings);
    let address = SocketAddr::from(([10, 0, 0, n], 1));
    Side { endpoint, address, streams: Vec::new(), written: 0, read: 0, out: Vec::new() }
}

fuzz_target!(|input: &[u8]| {
    let settings = Settings {
        receive_buffer_bytes: 20_000,
        receive_budget_bytes: 30_000,
        send_buffer_bytes: 10_000,
        max_connections: 20,
        ..Settings::default()
    };
    let mut sides = [side(1, settings), side(2, settings)];
    let mut now = Instant::from_nanos(4_294_967_000_000);
    let to = sides[1].address;
    sides[0].streams.extend(sides[0].endpoint.connect(now, to));
    let mut forged = false;
    let mut buffer = Vec::new();
    let mut input = input.iter().copied();
    while let (Some(action), Some(value)) = (input.next(), input.next()) {
        let at = usize::from(action & 1);
        let from = sides[1 - at].address;
        match action >> 1 & 15 {
            0..=3 if !sides[at].out.is_empty() => {
                // Delivers a packet to the other side, mostly the oldest.
                let which = if value < 128 { 0 } else { usize::from(value) % sides[at].out.len() };
                let payload = Bytes::from(sides[at].out.remove(which));
                let from = sides[at].address;
                sides[1 - at].endpoint.handle_input(now, Datagram { from, payload });
            }
            4 if !sides[at].out.is_empty() => {
                let which = usize::from(value) % sides[at].out.len();
                sides[at].out.swap_remove(which);
            }
            5 if !sides[at].out.is_empty() && sides[at].out.len() < 1000 => {
                let copy = sides[at].out[usize::from(value) % sides[at].out.len()].clone();
                sides[at].out.push(copy);
            }
            6 if !sides[at].out.is_empty() => {
                forged = true;
                let which = usize::from(value) % sides[at].out.len();
                let packet = &mut sides[at].out[which];
                let place = usize::from(input.next().unwrap_or(0)) % packet.len().min(40);
                packet[place] ^= input.next().unwrap_or(1);
            }
            7 => {
                forged = true;
                let bytes: Vec<u8> = input.by_ref().take(usize::from(value % 64)).collect();
                sides[at].endpoint.handle_input(now, Datagram { from, payload: bytes.into() });
            }
            8 | 9 => {
                now += Duration::from_micros(u64::from(value) * u64::from(value) * 100);
                for side in &mut sides {
                    side.endpoint.handle_timeout(now);
                }
            }
            10 | 11 => {
                let side = &mut sides[at];
                let length = usize::from(value) * 20;
                let data: Vec<u8> = (side.written..side.written + length).map(|n| n as u8).collect();
                let mut data = Bytes::from(data);
                if let Some(&id) = side.streams.first() {
                    let _ = side.endpoint.write(now, id, &mut data);
                    side.written += length - data.len();
                }
            }
            12 if value > 250 => {
                let to = sides[1 - at].address;
                forged = true;
                let _ = sides[at].endpoint.connect(now, to);
            }
            13 => {
                if let Some(&id) = sides[at].streams.first() {
                    let _ = match value {
                        0 => sides[at].endpoint.reset(now, id),
                        1 => sides[at].endpoint.close(now, id),
                        2 => sides[at].endpoint.shutdown(now, id),
                        _ => Ok(()),
                    };
                }
            }
            _ => {
                while let Some(&id) = sides[at].streams.first() {
                    let Ok(Read::Data(data)) = sides[at].endpoint.read(now, id) else { break };
                    for &byte in &data[..] {
                        assert!(forged || byte == sides[at].read as u8, "another byte than was sent");
                        sides[at].read += 1;
                    }
                }
            }
        }
        for side in &mut sides {
            while side.endpoint.poll_output().is_some() {}
            while let Some((id, _)) = side.endpoint.accept() {
                side.streams.push(id);
            }
            while side.out.len() < 2000 {
                let Some(transmit) = side.endpoint.poll_transmit(now, 4, &mut buffer) else { break };
                assert!(buffer.len() <= 4 * transmit.segment_size);
                side.out.extend(buffer.chunks(transmit.segment_size).map(<[u8]>::to_vec));
            }
            assert!(side.endpoint.held_bytes() <= 30_000 + 20 * 20_000);
            assert!(side.endpoint.connections() <= 20);
        }
    }
    let [a, b] = &sides;
    assert!(forged || (a.read <= b.written && b.read <= a.written));
});
