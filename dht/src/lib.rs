#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod address;
mod bloom;
mod distance;
mod interface;
mod item;
mod items;
pub mod limits;
mod lookup;
pub mod message;
mod node;
mod peers;
pub mod routing;
mod secure_id;
mod settings;
mod sources;
mod state;
mod tokens;
mod votes;

pub use address::Family;
pub use bloom::BloomFilter;
pub use distance::{Distance, distance};
pub use interface::{
    Command, Input, Output, QueryId, Rejection, Report, Scrape, SocketId, Statistics, Stored, Update,
};
pub use item::{
    ImmutableItem, Item, ItemError, MutableItem, SecretKey, immutable_target, mutable_target, named_torrent,
    torrent_value,
};
pub use message::Contact;
pub use node::Node;
pub use secure_id::{is_secure_id, secure_id};
pub use settings::Settings;
pub use state::{SavedSocket, SavedState, StateError};
