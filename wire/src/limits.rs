//! What a peer may ask of us, and how long it may take.

use core::time::Duration;

/// The longest message that is taken into memory, in bytes: a bitfield over 2^21 pieces, or a large
/// extension message.
pub const MAX_MESSAGE_LENGTH: u32 = 1 << 20;

/// The longest block in a `piece`, `request`, `cancel` or `reject` message, in bytes. BEP 3: clients "close
/// connections which request an amount greater than" 16 KiB.
pub const MAX_BLOCK_LENGTH: u32 = 16 * 1024;

/// Extensions that a peer may name in its extension handshake.
pub const MAX_EXTENSIONS: usize = 128;

/// How long the handshake may take.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// After how long without a message of ours a keep-alive is sent (BEP 3: "generally once every two minutes").
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(100);

/// After how long without a byte a peer is gone: a keep-alive and a half.
pub const SILENCE_TIMEOUT: Duration = Duration::from_secs(180);

/// How long an encrypted handshake may take, before that of the protocol.
pub const ENCRYPTION_TIMEOUT: Duration = Duration::from_secs(15);

/// The longest padding in an encrypted handshake, in bytes.
pub const MAX_PADDING: usize = 512;

/// The longest payload inside an initiator's encrypted handshake, in bytes.
pub const MAX_INITIAL_PAYLOAD: usize = 1024;

/// What may lie unread in an encrypted handshake, in bytes: more than a socket is asked for at once.
pub const MAX_HELD: usize = 1 << 20;
