#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod adjustment;
mod builder;
mod entry;
mod error;
mod field;
mod file_tree;
mod host;
mod info;
mod layout;
pub mod limits;
mod links;
pub mod merkle;
mod names;
mod path;
mod piece_layers;
mod torrent;

pub use adjustment::{Adjustment, AdjustmentReason};
pub use builder::{BuildError, Builder, Creation, automatic_piece_length};
pub use error::{Expected, MetainfoError, PieceLayerError};
pub use host::{HostPort, HostPortError};
pub use info::Info;
pub use layout::{File, FileAttributes, FileSpan, Layout, Spans};
pub use piece_layers::PieceLayers;
pub use torrent::Metainfo;
