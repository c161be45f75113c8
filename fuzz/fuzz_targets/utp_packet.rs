//! Whatever a datagram holds: it is taken apart without a panic, and its parts lie inside it.
#![no_main]

use downpour_utp::{HEADER_LENGTH, Packet, is_utp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|datagram: &[u8]| {
    let Ok(packet) = Packet::decode(datagram) else { return };
    assert!(is_utp(datagram));
    let selective = packet.selective.unwrap_or_default();
    assert!(HEADER_LENGTH + selective.len() + packet.payload.len() <= datagram.len());
    assert!(datagram.ends_with(packet.payload));
});
