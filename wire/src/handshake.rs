//! The first 68 bytes.

use downpour_base::{InfoHashV1, PeerId};
use thiserror::Error;

/// The length of a handshake in bytes.
pub const HANDSHAKE_LENGTH: usize = 68;

const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";

/// What a peer says first (BEP 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Handshake {
    /// Which extensions the peer speaks.
    pub reserved: Reserved,
    /// Which torrent it is about; in a v2 handshake, the first 20 bytes of its hash.
    pub info_hash: InfoHashV1,
    /// What the peer calls itself.
    pub peer_id: PeerId,
}

/// The eight reserved bytes: one bit for each extension of the handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Reserved(pub [u8; 8]);

impl Reserved {
    /// The extension protocol and the Fast extension.
    #[must_use]
    pub const fn ours() -> Self {
        Self([0, 0, 0, 0, 0, 0x10, 0, 0x04])
    }

    /// The extension protocol (BEP 10): bit 20 from the right.
    #[must_use]
    pub const fn extensions(self) -> bool {
        self.0[5] & 0x10 != 0
    }

    /// The Fast extension (BEP 6).
    #[must_use]
    pub const fn fast(self) -> bool {
        self.0[7] & 0x04 != 0
    }
}

/// Why bytes are not a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum HandshakeError {
    /// They do not begin with 19 and "BitTorrent protocol".
    #[error("not a BitTorrent handshake")]
    Protocol,
}

impl Handshake {
    /// Reads a handshake.
    ///
    /// # Errors
    /// If it does not begin with the protocol's name.
    pub fn decode(bytes: &[u8; HANDSHAKE_LENGTH]) -> Result<Self, HandshakeError> {
        let (protocol, rest) = bytes.split_at(PROTOCOL.len());
        if protocol != PROTOCOL {
            return Err(HandshakeError::Protocol);
        }
        let mut handshake =
            Self { reserved: Reserved::default(), info_hash: InfoHashV1([0; 20]), peer_id: PeerId([0; 20]) };
        handshake.reserved.0.copy_from_slice(&rest[..8]);
        handshake.info_hash.0.copy_from_slice(&rest[8..28]);
        handshake.peer_id.0.copy_from_slice(&rest[28..]);
        Ok(handshake)
    }

    /// Writes a handshake.
    #[must_use]
    pub fn encode(&self) -> [u8; HANDSHAKE_LENGTH] {
        let mut bytes = [0; HANDSHAKE_LENGTH];
        bytes[..20].copy_from_slice(PROTOCOL);
        bytes[20..28].copy_from_slice(&self.reserved.0);
        bytes[28..48].copy_from_slice(&self.info_hash.0);
        bytes[48..].copy_from_slice(&self.peer_id.0);
        bytes
    }

    /// Whether `bytes`, which may be fewer than a handshake has, can be the beginning of one.
    pub(crate) fn may_begin_with(bytes: &[u8]) -> bool {
        let compared = bytes.len().min(PROTOCOL.len());
        bytes[..compared] == PROTOCOL[..compared]
    }
}
