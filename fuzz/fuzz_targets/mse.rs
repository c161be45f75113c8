//! Whatever comes in whatever pieces: an encrypted handshake ends once at most, alike however the stream is cut, and
//! noise never gets through it.
//!
//! The first byte chooses role and policy; its high bit puts a good key and offer before the rest, which then bends them.
#![no_main]

use bytes::Bytes;
use downpour_base::{InfoHashV1, Instant, Machine as _, Seed};
use downpour_wire::encryption::{Event, Handshake, Policy};
use libfuzzer_sys::fuzz_target;

const TORRENT: InfoHashV1 = InfoHashV1([7; 20]);
const NOW: Instant = Instant::ORIGIN;

fuzz_target!(|input: &[u8]| {
    let Some((&choice, rest)) = input.split_first() else { return };
    let policies = [Policy::Disabled, Policy::Allowed, Policy::Preferred, Policy::Required];
    let policy = policies[usize::from(choice >> 1 & 3)];
    let make = || match choice & 1 {
        0 => Handshake::respond(NOW, Seed::from_u64(1), policy),
        _ => Handshake::initiate(NOW, Seed::from_u64(1), policy, TORRENT, b"first"),
    };
    let stream = if choice & 0x80 != 0 { bent(make(), rest) } else { rest.to_vec() };
    let whole = outcome(make(), &stream, stream.len());
    let cut = 1 + usize::from(choice >> 3 & 15);
    assert_eq!(whole, outcome(make(), &stream, cut));
});

/// What an honest peer says to `handshake`, with `bends` over it, three bytes each: where, and which bits.
fn bent(mut handshake: Handshake, bends: &[u8]) -> Vec<u8> {
    let mut peer = match handshake.poll_transmit() {
        Some(key) => {
            let mut peer = Handshake::respond(NOW, Seed::from_u64(2), Policy::Allowed);
            peer.handle_input(NOW, key);
            peer
        }
        None => Handshake::initiate(NOW, Seed::from_u64(2), Policy::Preferred, TORRENT, b"first"),
    };
    let mut stream = Vec::new();
    // Both go on as long as one has something to say.
    for _ in 0..3 {
        while let Some(bytes) = peer.poll_transmit() {
            stream.extend_from_slice(&bytes);
            handshake.handle_input(NOW, bytes);
        }
        answer(&mut handshake);
        while let Some(bytes) = handshake.poll_transmit() {
            peer.handle_input(NOW, bytes);
        }
        answer(&mut peer);
    }
    for bend in bends.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([bend[0], bend[1]])) % stream.len().max(1);
        if let Some(byte) = stream.get_mut(at) {
            *byte ^= bend[2];
        }
    }
    stream
}

fn answer(handshake: &mut Handshake) {
    while let Some(event) = handshake.poll_output() {
        if let Event::Lookup(_) = event {
            handshake.answer(Some(TORRENT));
        }
    }
}

/// How it ends.
fn outcome(mut handshake: Handshake, stream: &[u8], cut: usize) -> Option<String> {
    let mut end: Option<String> = None;
    for chunk in stream.chunks(cut.max(1)) {
        if end.is_some() {
            break;
        }
        handshake.handle_input(NOW, Bytes::copy_from_slice(chunk));
        while let Some(event) = handshake.poll_output() {
            assert!(end.is_none(), "{event:?} after the end");
            match event {
                Event::Lookup(_) => handshake.answer(Some(TORRENT)),
                Event::Plain(_) => end = Some("plain".into()),
                Event::Established(established) => end = Some(format!("{:?}", established.ciphers.is_some())),
                other => end = Some(format!("{other:?}")),
            }
        }
        while handshake.poll_transmit().is_some() {}
    }
    assert_eq!(end.is_some(), handshake.poll_timeout().is_none());
    end
}
