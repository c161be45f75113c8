//! A hash map that is deterministic for us and unpredictable for peers.

use core::hash::BuildHasher;

use siphasher::sip::SipHasher13;

use crate::Rng;

/// The key of a [`Map`]'s hash function, drawn from its machine's [`Rng`].
///
/// SipHash-1-3 under a secret key: a peer that chooses keys cannot make them collide, and a machine that is
/// built from the same seed still iterates in the same order.
#[derive(Clone, Copy, Debug)]
pub struct MapKey(u64, u64);

impl MapKey {
    /// Draws a key.
    pub fn new(rng: &mut Rng) -> Self {
        Self(rng.next_u64(), rng.next_u64())
    }

    /// An empty map under this key.
    #[must_use]
    pub fn map<K, V>(self) -> Map<K, V> {
        Map::with_hasher(self)
    }

    /// An empty set under this key.
    #[must_use]
    pub fn set<K>(self) -> Set<K> {
        Set::with_hasher(self)
    }
}

impl BuildHasher for MapKey {
    type Hasher = SipHasher13;
    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, self.1)
    }
}

/// A hash map keyed from the machine's seed. Make one with [`MapKey::map`].
pub type Map<K, V> = hashbrown::HashMap<K, V, MapKey>;

/// A hash set keyed from the machine's seed. Make one with [`MapKey::set`].
pub type Set<K> = hashbrown::HashSet<K, MapKey>;
