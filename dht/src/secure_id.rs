//! Node ids that fit their address (BEP 42), so that nobody can choose where to sit.

use core::net::IpAddr;

use downpour_base::{NodeId, Rng};

use crate::address::is_local;

/// The first 21 bits are the checksum's.
const MASK: u32 = 0xffff_f800;

/// CRC32C (Castagnoli), bit by bit: the input has eight bytes at most.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    })
}

/// The checksum that ids at `address` begin with, for the number in the id's last byte.
fn checksum(address: &IpAddr, last: u8) -> u32 {
    let r = last & 7;
    match address {
        IpAddr::V4(v4) => crc32c(&(v4.to_bits() & 0x030f_3fff | u32::from(r) << 29).to_be_bytes()),
        IpAddr::V6(v6) => {
            let high = (v6.to_bits() >> 64) as u64;
            crc32c(&(high & 0x0103_070f_1f3f_7fff | u64::from(r) << 61).to_be_bytes())
        }
    }
}

/// Whether a node at `address` may have this id. On a local network it may have any.
#[must_use]
pub fn is_secure_id(id: &NodeId, address: &IpAddr) -> bool {
    let [a, b, c, d, .., last] = id.0;
    is_local(address) || (u32::from_be_bytes([a, b, c, d]) ^ checksum(address, last)) & MASK == 0
}

/// An id for a node whose external address is `address`; the rest of it is random.
#[must_use]
pub fn secure_id(address: &IpAddr, rng: &mut Rng) -> NodeId {
    let mut id = [0; 20];
    rng.fill(&mut id);
    let [a, b, c, d, .., last] = &mut id;
    let random = u32::from_be_bytes([*a, *b, *c, *d]);
    let bytes = (checksum(address, *last) & MASK | random & !MASK).to_be_bytes();
    [*a, *b, *c, *d] = bytes;
    NodeId(id)
}

#[cfg(test)]
mod tests {
    use downpour_base::Seed;

    use super::*;

    /// The test vectors of BEP 42.
    const VECTORS: [(&str, &str); 5] = [
        ("124.31.75.21", "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"),
        ("21.75.31.124", "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"),
        ("65.23.51.170", "a5d43220bc8f112a3d426c84764f8c2a1150e616"),
        ("84.124.73.14", "1b0321dd1bb1fe518101ceef99462b947a01ff41"),
        ("43.213.53.83", "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"),
    ];

    #[test]
    fn the_vectors_of_bep_42_hold() {
        for (address, id) in VECTORS {
            let (address, mut id): (IpAddr, NodeId) = (address.parse().unwrap(), id.parse().unwrap());
            assert!(is_secure_id(&id, &address), "{address}");
            id.0[2] ^= 0x08;
            assert!(!is_secure_id(&id, &address), "the 21st bit counts");
            id.0[2] ^= 0x08 | 0x04;
            assert!(is_secure_id(&id, &address), "the 22nd does not");
        }
    }

    #[test]
    fn an_id_made_for_an_address_fits_it_and_not_another() {
        let mut rng = Rng::new(Seed::from_u64(3));
        for address in ["8.8.8.8", "2a00:1450:4001:81b::200e"] {
            let address: IpAddr = address.parse().unwrap();
            let id = secure_id(&address, &mut rng);
            assert!(is_secure_id(&id, &address));
            assert!(!is_secure_id(&id, &"9.9.9.9".parse().unwrap()));
            assert!(is_secure_id(&id, &"192.168.0.7".parse().unwrap()), "local networks are exempt");
        }
    }
}
