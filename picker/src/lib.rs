#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod choker;
mod partial;
mod peer_pieces;
mod picker;
mod picking;
mod piece_set;
mod priority;

pub use choker::{Candidate, Choker, OPTIMISTIC_INTERVAL, SEED_TURN};
pub use peer_pieces::PeerPieces;
pub use picker::{Picker, Receipt};
pub use piece_set::PieceSet;
pub use priority::Priority;
