//! Bloom filters over addresses, which many nodes can count together (BEP 33).

use core::fmt;
use core::net::IpAddr;

use sha1_smol::Sha1;

/// Bits of a filter.
const BITS: usize = 256 * 8;

/// A set of addresses in 2,048 bits, two for each.
#[derive(Clone, PartialEq, Eq)]
pub struct BloomFilter([u8; 256]);

impl Default for BloomFilter {
    fn default() -> Self {
        Self([0; 256])
    }
}

impl BloomFilter {
    /// A filter as it comes from another node.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 256]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 256] {
        &self.0
    }

    /// Puts an address in.
    pub fn insert(&mut self, address: &IpAddr) {
        for bit in bits(address) {
            self.0[bit / 8] |= 1 << (bit % 8);
        }
    }

    /// Whether an address may be in; `false` is certain.
    #[must_use]
    pub fn may_contain(&self, address: &IpAddr) -> bool {
        bits(address).into_iter().all(|bit| self.0[bit / 8] & 1 << (bit % 8) != 0)
    }

    /// Takes all that is in `other` in too.
    pub fn unite(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(ours, theirs)| *ours |= theirs);
    }

    /// About how many addresses are in. Useless above some 6,000.
    #[must_use]
    pub fn estimate(&self) -> f64 {
        let zeros: u32 = self.0.iter().map(|byte| byte.count_zeros()).sum();
        let (bits, zeros) = (BITS as f64, f64::from(zeros.clamp(1, BITS as u32)));
        if zeros >= bits {
            return 0.0;
        }
        (zeros / bits).ln() / (2.0 * (1.0 - 1.0 / bits).ln())
    }
}

/// The two bits of an address: below 2,048, so that they index the filter.
fn bits(address: &IpAddr) -> [usize; 2] {
    let hash = match address {
        IpAddr::V4(v4) => Sha1::from(v4.octets()),
        IpAddr::V6(v6) => Sha1::from(v6.octets()),
    };
    let [a, b, c, d, ..] = hash.digest().bytes();
    [u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])].map(|index| usize::from(index) % BITS)
}

impl fmt::Debug for BloomFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BloomFilter(about {:.0})", self.estimate())
    }
}
