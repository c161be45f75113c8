//! Items: small values that anybody may store (immutable) or that one key holder may change (mutable) (BEP 44), and
//! torrents that such an item names (BEP 46).

use downpour_base::{InfoHashV1, NodeId};
use downpour_bencode::{DecodeOptions, Document, Encoder, Limits};
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use sha1_smol::Sha1;
use thiserror::Error;

use crate::limits::{MAX_DEPTH, MAX_SALT_BYTES, MAX_TOKENS, MAX_VALUE_BYTES};

/// Why something is no item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ItemError {
    /// The value is longer than [`MAX_VALUE_BYTES`].
    #[error("a value of {0} bytes, of which there may be {MAX_VALUE_BYTES}")]
    ValueTooBig(usize),
    /// The value is not canonical bencode.
    #[error("a value that is not canonical bencode")]
    NotBencode,
    /// The salt is longer than [`MAX_SALT_BYTES`].
    #[error("a salt of {0} bytes, of which there may be {MAX_SALT_BYTES}")]
    SaltTooBig(usize),
    /// The sequence number is negative.
    #[error("the negative sequence number {0}")]
    NegativeSequence(i64),
    /// The signature is not the key's over this value.
    #[error("a signature that does not fit")]
    InvalidSignature,
}

/// A value with its place in the DHT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A value whose place is its hash.
    Immutable(ImmutableItem),
    /// A value whose place is its key's.
    Mutable(MutableItem),
}

impl Item {
    /// Where it is stored.
    #[must_use]
    pub fn target(&self) -> NodeId {
        match self {
            Self::Immutable(item) => item.target(),
            Self::Mutable(item) => item.target(),
        }
    }

    /// The bencoded value.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        match self {
            Self::Immutable(item) => item.value(),
            Self::Mutable(item) => item.value(),
        }
    }
}

/// A value that nobody can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImmutableItem {
    value: Box<[u8]>,
}

impl ImmutableItem {
    /// An item of a bencoded value.
    ///
    /// # Errors
    /// If the value is too long or not canonical.
    pub fn new(value: &[u8]) -> Result<Self, ItemError> {
        check_value(value)?;
        Ok(Self { value: value.into() })
    }

    /// The bencoded value.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// Where it is stored: the value's SHA-1.
    #[must_use]
    pub fn target(&self) -> NodeId {
        immutable_target(&self.value)
    }
}

/// A value that the holder of a key can change. Its signature is right: nothing else is constructed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MutableItem {
    key: [u8; 32],
    salt: Box<[u8]>,
    seq: i64,
    value: Box<[u8]>,
    signature: [u8; 64],
}

impl MutableItem {
    /// Signs a bencoded value. `seq` must grow with each change.
    ///
    /// # Errors
    /// If the value or the salt is too long, the value not canonical, or the number negative.
    pub fn sign(secret: &SecretKey, salt: &[u8], seq: i64, value: &[u8]) -> Result<Self, ItemError> {
        check_parts(salt, seq, value)?;
        let signature =
            raw_sign::<ed25519_dalek::Sha512>(&secret.0, &signed(salt, seq, value), &secret.public());
        Ok(Self {
            key: secret.public_key(),
            salt: salt.into(),
            seq,
            value: value.into(),
            signature: signature.to_bytes(),
        })
    }

    /// An item that somebody else signed.
    ///
    /// # Errors
    /// If [`sign`](Self::sign) would not have made it.
    pub fn verify(
        key: &[u8; 32],
        salt: &[u8],
        seq: i64,
        value: &[u8],
        signature: &[u8; 64],
    ) -> Result<Self, ItemError> {
        check_parts(salt, seq, value)?;
        let fault = ItemError::InvalidSignature;
        let public = VerifyingKey::from_bytes(key).map_err(|_| fault)?;
        let message = signed(salt, seq, value);
        public.verify_strict(&message, &Signature::from_bytes(signature)).map_err(|_| fault)?;
        Ok(Self { key: *key, salt: salt.into(), seq, value: value.into(), signature: *signature })
    }

    /// The public key.
    #[must_use]
    pub fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// What tells the items of one key apart.
    #[must_use]
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// The number of the version.
    #[must_use]
    pub fn seq(&self) -> i64 {
        self.seq
    }

    /// The bencoded value.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &[u8; 64] {
        &self.signature
    }

    /// Where it is stored.
    #[must_use]
    pub fn target(&self) -> NodeId {
        mutable_target(&self.key, &self.salt)
    }
}

/// An ed25519 secret key in its expanded form: scalar and nonce prefix, as BEP 44's vectors and libtorrent have it.
pub struct SecretKey(ExpandedSecretKey);

impl SecretKey {
    /// The key that grows from 32 random bytes (RFC 8032).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ExpandedSecretKey::from(SigningKey::from_bytes(seed).as_bytes()))
    }

    /// A key in its expanded form.
    #[must_use]
    pub fn from_expanded(bytes: &[u8; 64]) -> Self {
        Self(ExpandedSecretKey::from_bytes(bytes))
    }

    fn public(&self) -> VerifyingKey {
        VerifyingKey::from(&self.0)
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.public().to_bytes()
    }
}

impl core::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// Where an immutable item is stored.
#[must_use]
pub fn immutable_target(value: &[u8]) -> NodeId {
    NodeId(Sha1::from(value).digest().bytes())
}

/// Where the mutable item of a key and a salt is stored.
#[must_use]
pub fn mutable_target(key: &[u8; 32], salt: &[u8]) -> NodeId {
    let mut hash = Sha1::from(key);
    hash.update(salt);
    NodeId(hash.digest().bytes())
}

/// The value of an item that names a torrent (BEP 46).
#[must_use]
pub fn torrent_value(info_hash: &InfoHashV1) -> Vec<u8> {
    let mut value = Vec::with_capacity(30);
    Encoder::new(&mut value).dict(|dict| dict.entry(b"ih").bytes(info_hash.0));
    value
}

/// The torrent that an item's value names (BEP 46).
#[must_use]
pub fn named_torrent(value: &[u8]) -> Option<InfoHashV1> {
    let document = Document::decode(value).ok()?;
    let info_hash = document.root().as_dict()?.get(b"ih")?.as_bytes()?;
    Some(InfoHashV1(info_hash.try_into().ok()?))
}

/// What is signed: salt, number and value as a dictionary has them, without its `d` and `e`.
fn signed(salt: &[u8], seq: i64, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + salt.len() + 48);
    if !salt.is_empty() {
        out.extend_from_slice(b"4:salt");
        Encoder::new(&mut out).bytes(salt);
    }
    out.extend_from_slice(b"3:seq");
    Encoder::new(&mut out).int(seq);
    out.extend_from_slice(b"1:v");
    out.extend_from_slice(value);
    out
}

fn check_value(value: &[u8]) -> Result<(), ItemError> {
    if value.len() > MAX_VALUE_BYTES {
        return Err(ItemError::ValueTooBig(value.len()));
    }
    let limits = Limits { depth: MAX_DEPTH, tokens: MAX_TOKENS };
    DecodeOptions::strict(limits).decode(value).map(drop).map_err(|_| ItemError::NotBencode)
}

fn check_parts(salt: &[u8], seq: i64, value: &[u8]) -> Result<(), ItemError> {
    if salt.len() > MAX_SALT_BYTES {
        return Err(ItemError::SaltTooBig(salt.len()));
    }
    if seq < 0 {
        return Err(ItemError::NegativeSequence(seq));
    }
    check_value(value)
}
