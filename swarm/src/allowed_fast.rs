//! The canonical allowed-fast set (BEP 6).

use core::net::IpAddr;

use downpour_base::InfoHashV1;
use sha1_smol::Sha1;

/// The first `count` pieces of the allowed-fast set of the peer at `address`, for a torrent of `pieces` pieces.
/// Empty for IPv6, for which BEP 6 has no rule.
#[must_use]
pub fn allowed_fast_set(address: IpAddr, info_hash: InfoHashV1, pieces: u32, count: usize) -> Vec<u32> {
    let IpAddr::V4(address) = address.to_canonical() else { return Vec::new() };
    let count = count.min(pieces as usize);
    let [a, b, c, _] = address.octets();
    let mut seed = [&[a, b, c, 0], &info_hash.0[..]].concat();
    let mut set = Vec::with_capacity(count);
    while set.len() < count {
        let digest = Sha1::from(&seed).digest().bytes();
        for four in digest.chunks_exact(4) {
            let piece = u32::from_be_bytes([four[0], four[1], four[2], four[3]]) % pieces;
            if set.len() < count && !set.contains(&piece) {
                set.push(piece);
            }
        }
        seed = digest.to_vec();
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_bep_6_hold() {
        let set = |count| allowed_fast_set([80, 4, 4, 200].into(), InfoHashV1([0xaa; 20]), 1313, count);
        assert_eq!(set(7), [1059, 431, 808, 1217, 287, 376, 1188]);
        assert_eq!(set(9), [1059, 431, 808, 1217, 287, 376, 1188, 353, 508]);
    }

    #[test]
    fn a_small_torrent_is_offered_whole() {
        let mut set = allowed_fast_set([1, 2, 3, 4].into(), InfoHashV1([1; 20]), 3, 10);
        set.sort_unstable();
        assert_eq!(set, [0, 1, 2]);
        assert!(allowed_fast_set("::1".parse().unwrap(), InfoHashV1([1; 20]), 3, 10).is_empty());
    }
}
