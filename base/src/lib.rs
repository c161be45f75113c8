#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bitfield;
mod block;
mod deadlines;
mod identity;
mod machine;
mod map;
mod rng;
mod time;

pub use bitfield::{Bitfield, BitfieldError};
pub use block::{BLOCK_SIZE, Block, block_count, block_length};
pub use deadlines::Deadlines;
pub use identity::{
    ConnectionId, InfoHash, InfoHashV1, InfoHashV2, NodeId, ParseHexError, PeerEndpoint, PeerId, TorrentId,
};
pub use machine::Machine;
pub use map::{Map, MapKey, Set};
pub use rng::{Rng, Seed};
pub use time::Instant;
