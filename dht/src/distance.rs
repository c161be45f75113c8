//! The metric: `|A xor B|` as an unsigned number (BEP 5).

use downpour_base::{NodeId, Rng};

/// How far two places are apart. Ordered: smaller is closer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Distance([u8; 20]);

/// The distance between two places.
#[must_use]
pub fn distance(a: &NodeId, b: &NodeId) -> Distance {
    Distance(core::array::from_fn(|at| a.0[at] ^ b.0[at]))
}

impl Distance {
    /// How many leading bits the two places share, up to 160.
    #[must_use]
    pub fn shared_bits(&self) -> usize {
        let zeros = self.0.iter().take_while(|byte| **byte == 0).count();
        8 * zeros + self.0.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize)
    }
}

/// A random id.
pub(crate) fn random_id(rng: &mut Rng) -> NodeId {
    let mut id = NodeId([0; 20]);
    rng.fill(&mut id.0);
    id
}

/// A random id that shares exactly `bits` leading bits with `id`, or all of it if there are no more.
pub(crate) fn random_id_near(id: &NodeId, bits: usize, rng: &mut Rng) -> NodeId {
    let mut other = random_id(rng);
    for (at, byte) in other.0.iter_mut().enumerate() {
        let shared = bits.saturating_sub(8 * at).min(8);
        let mask = if shared == 0 { 0 } else { 0xffu8 << (8 - shared) };
        *byte = id.0[at] & mask | *byte & !mask;
        if bits / 8 == at {
            let flip = 0x80 >> (bits % 8);
            *byte = *byte & !flip | !id.0[at] & flip;
        }
    }
    other
}

#[cfg(test)]
mod tests {
    use downpour_base::Seed;

    use super::*;

    #[test]
    fn a_random_id_near_another_shares_just_so_many_bits() {
        let mut rng = Rng::new(Seed::from_u64(1));
        let id = random_id(&mut rng);
        for bits in 0..=160 {
            let near = random_id_near(&id, bits, &mut rng);
            assert_eq!(distance(&id, &near).shared_bits(), bits);
        }
    }
}
