//! Write tokens: the proof that an asker can be reached at its address (BEP 5).

use core::hash::BuildHasher;
use core::net::IpAddr;

use downpour_base::{Instant, MapKey, NodeId, Rng};

use crate::limits::TOKEN_ROTATION;

/// A keyed hash over asker and target, under a secret that changes. A token is good for one target only, so that one
/// answer does not open the whole store.
pub(crate) struct Tokens {
    secret: MapKey,
    previous: MapKey,
    rotate_at: Instant,
}

impl Tokens {
    pub(crate) fn new(now: Instant, rng: &mut Rng) -> Self {
        let (secret, previous) = (MapKey::new(rng), MapKey::new(rng));
        Self { secret, previous, rotate_at: now + TOKEN_ROTATION }
    }

    /// Changes the secret if it is time to.
    pub(crate) fn rotate(&mut self, now: Instant, rng: &mut Rng) {
        if now >= self.rotate_at {
            // After a long pause the old secret is too old as well.
            let long = now >= self.rotate_at + TOKEN_ROTATION;
            self.previous = if long { MapKey::new(rng) } else { self.secret };
            self.secret = MapKey::new(rng);
            self.rotate_at = now + TOKEN_ROTATION;
        }
    }

    pub(crate) fn issue(&self, to: &IpAddr, target: &NodeId) -> [u8; 8] {
        token(self.secret, to, target)
    }

    pub(crate) fn is_valid(&self, token_bytes: &[u8], from: &IpAddr, target: &NodeId) -> bool {
        [self.secret, self.previous].iter().any(|secret| token(*secret, from, target) == token_bytes)
    }
}

fn token(secret: MapKey, address: &IpAddr, target: &NodeId) -> [u8; 8] {
    secret.hash_one((address, target)).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use downpour_base::Seed;

    use super::*;

    #[test]
    fn a_token_is_good_for_one_address_and_target_and_five_to_ten_minutes() {
        let mut rng = Rng::new(Seed::from_u64(1));
        let (here, there): (IpAddr, IpAddr) = ("1.2.3.4".parse().unwrap(), "1.2.3.5".parse().unwrap());
        let (target, other) = (NodeId([1; 20]), NodeId([2; 20]));
        let mut tokens = Tokens::new(Instant::ORIGIN, &mut rng);
        let token = tokens.issue(&here, &target);
        let at = |minutes: u64| Instant::ORIGIN + Duration::from_secs(60 * minutes);
        for minutes in [0, 4, 5, 9] {
            tokens.rotate(at(minutes), &mut rng);
            assert!(tokens.is_valid(&token, &here, &target), "after {minutes} minutes");
            assert!(!tokens.is_valid(&token, &there, &target));
            assert!(!tokens.is_valid(&token, &here, &other));
            assert!(!tokens.is_valid(&token[..7], &here, &target));
        }
        tokens.rotate(at(10), &mut rng);
        assert!(!tokens.is_valid(&token, &here, &target));
        let token = tokens.issue(&here, &target);
        tokens.rotate(at(60), &mut rng);
        assert!(!tokens.is_valid(&token, &here, &target), "after a pause both secrets are new");
    }
}
