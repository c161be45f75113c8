//! Message stream encryption (MSE, also protocol encryption, PE): a stage before [`Connection`](crate::Connection).
//!
//! There is no BEP. The specification is the page "Message Stream Encryption" of the Vuze wiki, and what other clients
//! take: libtorrent takes 68 bytes of first payload and no more.

mod handshake;
mod key;
mod policy;
mod rc4;

pub use handshake::{Ciphers, EncryptionError, Established, Event, Handshake};
pub use key::TorrentKey;
pub use policy::{Method, Policy};
pub use rc4::Rc4;
