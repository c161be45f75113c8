#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod close;
mod connection;
pub mod encryption;
mod extension;
mod handshake;
pub mod limits;
mod message;

pub use close::CloseReason;
pub use connection::{Config, Connection, Event, Segment};
pub use extension::{ExtensionHandshake, ExtensionId, Registry};
pub use handshake::{HANDSHAKE_LENGTH, Handshake, HandshakeError, Reserved};
pub use message::{Message, MessageError, PIECE_HEADER_LENGTH, piece_header};
