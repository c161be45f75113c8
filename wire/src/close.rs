//! Why a connection is closed by the protocol.

use thiserror::Error;

use crate::{HandshakeError, MessageError};

/// The rule that the peer broke, or the patience that ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum CloseReason {
    /// The first bytes are not a handshake.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// The peer answered with another torrent's info-hash.
    #[error("the peer answered for another torrent")]
    InfoHashMismatch,
    /// The peer is ourselves.
    #[error("connected to ourselves")]
    SelfConnection,
    /// The handshake took longer than [`HANDSHAKE_TIMEOUT`](crate::limits::HANDSHAKE_TIMEOUT).
    #[error("the handshake took too long")]
    HandshakeTimeout,
    /// Nothing came for [`SILENCE_TIMEOUT`](crate::limits::SILENCE_TIMEOUT).
    #[error("nothing was received for three minutes")]
    Silence,
    /// A message longer than its kind may be.
    #[error("a message (id {id}) of {length} bytes is too long")]
    MessageTooLong {
        /// The message's id.
        id: u8,
        /// What its length prefix says.
        length: u32,
    },
    /// A message whose body does not fit its kind.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// A message of the Fast extension, which was not negotiated (BEP 6: "MUST close the connection").
    #[error("message {0} needs the Fast extension, which was not negotiated")]
    FastNotNegotiated(u8),
    /// An extended message, though the extension protocol was not negotiated (BEP 10).
    #[error("extended message, but the extension protocol was not negotiated")]
    ExtensionsNotNegotiated,
    /// `have none` after other messages (BEP 6: "immediately after the handshake"). A late bitfield or `have all`
    /// is taken and replaces what was known.
    #[error("have-none that is not the first message")]
    LateHaveNone,
    /// An extension handshake that is not a bencoded dictionary, or names too many extensions.
    #[error("invalid extension handshake")]
    InvalidExtensionHandshake,
}
