//! Whatever comes in whatever pieces: the same events, one close at most, and nothing after it.
//!
//! The first byte of the input chooses who opened the connection, whether a good handshake goes before, and how
//! the stream is cut.
#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use downpour_base::{InfoHashV1, Instant, Machine as _, PeerId};
use downpour_wire::{Config, Connection, Event, Handshake, Message, Registry, Reserved};
use libfuzzer_sys::fuzz_target;

const INFO_HASH: InfoHashV1 = InfoHashV1([7; 20]);

fuzz_target!(|input: &[u8]| {
    let Some((&choice, stream)) = input.split_first() else { return };
    let mut all = Vec::new();
    if choice & 1 != 0 {
        // Without extensions, or with both.
        let reserved = if choice & 2 != 0 { Reserved::ours() } else { Reserved::default() };
        all.extend_from_slice(&Handshake { reserved, info_hash: INFO_HASH, peer_id: PeerId([2; 20]) }.encode());
    }
    all.extend_from_slice(stream);
    let incoming = choice & 4 != 0;
    let whole = events(incoming, &all, |left| left);
    assert_eq!(whole, events(incoming, &all, |_| 1), "byte by byte");
    let mut state = u32::from(choice >> 3);
    let cut = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        1 + (state >> 27) as usize
    };
    assert_eq!(whole, events(incoming, &all, cut), "cut at random");
});

/// What a connection makes of `stream`, with the payload of a block in one.
fn events(incoming: bool, stream: &[u8], mut cut: impl FnMut(usize) -> usize) -> Vec<Event> {
    let mut registry = Registry::default();
    registry.register("ut_metadata");
    registry.register("ut_pex");
    let config = Config { registry: Arc::new(registry), ..Config::new(PeerId([1; 20])) };
    let now = Instant::ORIGIN;
    let mut connection = match incoming {
        true => Connection::incoming(now, config),
        false => Connection::outgoing(now, config, INFO_HASH),
    };
    let mut seen: Vec<Event> = Vec::new();
    let mut left = Bytes::copy_from_slice(stream);
    while !left.is_empty() {
        let chunk = left.split_to(cut(left.len()).clamp(1, left.len()));
        connection.handle_input(now, chunk);
        while let Some(event) = connection.poll_output() {
            assert!(!matches!(seen.last(), Some(Event::Close(_))), "{event:?} after the close");
            match (&event, seen.last_mut()) {
                (Event::Handshake(handshake), _) if incoming => connection.accept(handshake.info_hash),
                (Event::Payload(more), Some(Event::Payload(payload))) => {
                    *payload = [&payload[..], more].concat().into();
                    continue;
                }
                _ => {}
            }
            seen.push(event);
        }
    }
    if let Some(Event::Close(_)) = seen.last() {
        assert!(!connection.send(Message::Choke) && connection.poll_timeout().is_none());
    }
    while connection.poll_transmit(now).is_some() {}
    seen
}
