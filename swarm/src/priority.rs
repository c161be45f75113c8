//! The canonical priority of a peer (BEP 40).

use core::net::{IpAddr, SocketAddr};

/// How much a connection between `us`, as others see us, and `peer` is worth to the swarm: both ends come to the same
/// number, and those with the highest keep each other. 0 for addresses of two families, for which BEP 40 has no rule.
#[must_use]
pub fn peer_priority(us: SocketAddr, peer: SocketAddr) -> u32 {
    match (us.ip().to_canonical(), peer.ip().to_canonical()) {
        (ours, theirs) if ours == theirs => {
            let mut ports = [us.port(), peer.port()];
            ports.sort_unstable();
            crc32c(ports.iter().flat_map(|port| port.to_be_bytes()))
        }
        (IpAddr::V4(ours), IpAddr::V4(theirs)) => of_octets(ours.octets(), theirs.octets(), 2),
        (IpAddr::V6(ours), IpAddr::V6(theirs)) => of_octets(ours.octets(), theirs.octets(), 6),
        _ => 0,
    }
}

/// At least `whole` octets count with all their bits, and one more than both have in common; of the others, every
/// second bit does.
fn of_octets<const N: usize>(ours: [u8; N], theirs: [u8; N], whole: usize) -> u32 {
    let common = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
    let whole = if common < whole { whole } else { common + 1 };
    let masked = |octets: [u8; N]| {
        let mut at = 0..;
        octets.map(|octet| octet & if at.next().is_some_and(|at| at < whole) { 0xff } else { 0x55 })
    };
    let mut both = [masked(ours), masked(theirs)];
    both.sort_unstable();
    crc32c(both.into_iter().flatten())
}

/// CRC-32C (Castagnoli), bit by bit: a few dozen bytes for each peer do not repay a table.
fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let step = |crc: u32, _| (crc >> 1) ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 };
    !bytes.fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn priority(us: &str, peer: &str) -> u32 {
        let (us, peer): (SocketAddr, SocketAddr) = (us.parse().unwrap(), peer.parse().unwrap());
        assert_eq!(peer_priority(us, peer), peer_priority(peer, us), "both ends agree");
        peer_priority(us, peer)
    }

    #[test]
    fn the_examples_of_bep_40_hold() {
        assert_eq!(priority("123.213.32.10:1", "98.76.54.32:2"), 0xec2d_7224);
        assert_eq!(priority("123.213.32.10:1", "123.213.32.234:2"), 0x9956_8189);
    }

    #[test]
    fn the_check_value_of_crc_32c_holds() {
        assert_eq!(crc32c(b"123456789".iter().copied()), 0xe306_9283);
    }

    #[test]
    fn the_nearer_the_more_bits_count() {
        // Beyond the first two octets every second bit is masked out, but for neighbours.
        assert_eq!(priority("1.2.3.4:1", "9.9.0.0:1"), priority("1.2.3.4:1", "9.9.170.170:1"));
        assert_ne!(priority("1.2.3.4:1", "1.2.0.0:1"), priority("1.2.3.4:1", "1.2.170.0:1"));
        assert_eq!(priority("1.2.3.4:1", "1.2.0.0:1"), priority("1.2.3.4:1", "1.2.0.170:1"));
        assert_ne!(priority("1.2.3.4:1", "1.2.3.4:2"), priority("1.2.3.4:1", "1.2.3.4:3"));
        let us = "[2001:db8:1:2::1]:1";
        assert_eq!(priority(us, "[2001:db9::1]:1"), priority(us, "[2001:db9:0:aaaa::1]:1"));
        assert_ne!(priority(us, "[2001:db8:1:0100::1]:1"), priority(us, "[2001:db8:1:ab00::1]:1"));
    }
}
