//! Randomness that can be replayed.

use core::fmt;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// What an [`Rng`] grows from. The engine draws it from the operating system, a test writes it down.
///
/// `Debug` does not show it: who knows the seed of a running client can predict its choices.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Seed(pub [u8; 32]);

impl Seed {
    /// A seed for tests and simulations, from a number that people can type.
    #[must_use]
    pub fn from_u64(number: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Self(bytes)
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// A pinned ChaCha8 generator: the same seed gives the same numbers in every version of this crate.
#[derive(Clone)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    /// A generator that starts at `seed`.
    #[must_use]
    pub fn new(seed: Seed) -> Self {
        Self(ChaCha8Rng::from_seed(seed.0))
    }

    /// A seed for a child machine, so that parent and child do not disturb each other's sequence.
    pub fn fork(&mut self) -> Seed {
        let mut bytes = [0; 32];
        self.fill(&mut bytes);
        Seed(bytes)
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// The next 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// A number in `0..bound`, zero if `bound` is zero.
    ///
    /// Multiply-and-shift: the bias is below `bound / 2^64`, far under anything a protocol decision can show.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A position in a collection of `len` elements, zero if it is empty.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// Fills `bytes` with random bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rng(..)")
    }
}
