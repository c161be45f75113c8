//! The exchange of keys (Diffie-Hellman), and what is made of the secret.

use crypto_bigint::modular::ConstMontyForm;
use crypto_bigint::{U192, U768, const_monty_params};
use downpour_base::{InfoHashV1, Rng};
use sha1_smol::Sha1;

use super::rc4::Rc4;

/// The length of a public key, in bytes.
pub(crate) const KEY_LENGTH: usize = 96;
/// The length of a private key, in bits.
const PRIVATE_BITS: u32 = 160;

const_monty_params!(
    Prime,
    U768,
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd\
     ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a63a36210000000000090563",
    "The prime of the group; its generator is 2."
);

type Residue = ConstMontyForm<Prime, { U768::LIMBS }>;

/// A private key.
pub(crate) struct PrivateKey(U192);

impl PrivateKey {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let mut bytes = [0; 24];
        rng.fill(&mut bytes[4..]);
        Self(U192::from_be_slice(&bytes))
    }

    pub(crate) fn public(&self) -> [u8; KEY_LENGTH] {
        bytes(&Residue::new(&U768::from(2u32)).pow_bounded_exp(&self.0, PRIVATE_BITS).retrieve())
    }

    /// The secret that both sides get; `None` if the other's key is one that makes the secret known to all.
    pub(crate) fn agree(&self, theirs: &[u8; KEY_LENGTH]) -> Option<Secret> {
        let theirs = U768::from_be_slice(theirs);
        let least = U768::from(2u32);
        let most = Self::prime().wrapping_sub(&least);
        if theirs < least || theirs > most {
            return None;
        }
        Some(Secret(bytes(&Residue::new(&theirs).pow_bounded_exp(&self.0, PRIVATE_BITS).retrieve())))
    }

    fn prime() -> U768 {
        use crypto_bigint::modular::ConstMontyParams as _;
        *Prime::PARAMS.modulus().as_ref()
    }
}

fn bytes(number: &U768) -> [u8; KEY_LENGTH] {
    let mut out = [0; KEY_LENGTH];
    for (chunk, limb) in out.rchunks_exact_mut(size_of::<crypto_bigint::Word>()).zip(number.as_words()) {
        chunk.copy_from_slice(&limb.to_be_bytes());
    }
    out
}

/// What both sides know and nobody else.
pub(crate) struct Secret([u8; KEY_LENGTH]);

fn hash(parts: &[&[u8]]) -> [u8; 20] {
    let mut hash = Sha1::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.digest().bytes()
}

/// By which an incoming encrypted connection names its torrent: a map from these to torrents finds it with one
/// look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TorrentKey(pub [u8; 20]);

impl TorrentKey {
    /// The key of a torrent; for v2 torrents, of the info-hash cut to 20 bytes.
    #[must_use]
    pub fn new(info_hash: InfoHashV1) -> Self {
        Self(hash(&[b"req2", &info_hash.0]))
    }
}

impl Secret {
    /// What the responder looks for in the initiator's noise.
    pub(crate) fn synchronisation(&self) -> [u8; 20] {
        hash(&[b"req1", &self.0])
    }

    /// Hides a torrent's key, or shows it again.
    pub(crate) fn mask(&self, key: TorrentKey) -> TorrentKey {
        let mut masked = hash(&[b"req3", &self.0]);
        masked.iter_mut().zip(key.0).for_each(|(byte, other)| *byte ^= other);
        TorrentKey(masked)
    }

    /// The ciphers from the initiator to the responder and back.
    pub(crate) fn ciphers(&self, info_hash: InfoHashV1) -> (Rc4, Rc4) {
        let cipher = |name: &[u8]| Rc4::new(&hash(&[name, &self.0, &info_hash.0]));
        (cipher(b"keyA"), cipher(b"keyB"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use downpour_base::Seed;

    #[test]
    fn both_sides_agree() {
        for seed in 0..20 {
            let mut rng = Rng::new(Seed::from_u64(seed));
            let (a, b) = (PrivateKey::new(&mut rng), PrivateKey::new(&mut rng));
            let at_a = a.agree(&b.public()).expect("a good key");
            let at_b = b.agree(&a.public()).expect("a good key");
            assert_eq!(at_a.0, at_b.0);
            assert_ne!(at_a.0, a.agree(&a.public()).expect("a good key").0);
        }
    }

    #[test]
    fn keys_that_make_the_secret_known_are_refused() {
        let key = PrivateKey::new(&mut Rng::new(Seed::from_u64(1)));
        let prime = PrivateKey::prime();
        let number = |n: u32| bytes(&U768::from(n));
        let below = |n: u32| bytes(&prime.wrapping_sub(&U768::from(n)));
        for degenerate in [number(0), number(1), below(1), below(0), [0xff; KEY_LENGTH]] {
            assert!(key.agree(&degenerate).is_none());
        }
        assert!(key.agree(&number(2)).is_some() && key.agree(&below(2)).is_some());
        assert_eq!(number(2)[95], 2);
    }
}
