#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod adjustment;
mod builder;
mod creation;
mod encode;
mod entry;
mod error;
mod field;
mod file_tree;
mod host;
mod info;
mod layout;
pub mod limits;
mod links;
mod magnet;
pub mod merkle;
mod names;
mod path;
mod piece_layers;
mod selection;
mod text;
mod torrent;

pub use adjustment::{Adjustment, AdjustmentReason};
pub use builder::{BuildError, Builder, TorrentVersion, automatic_piece_length};
pub use creation::Creation;
pub use error::{Expected, MetainfoError, PieceLayerError};
pub use host::{HostPort, HostPortError};
pub use info::Info;
pub use layout::{File, FileAttributes, FileSpan, Layout, Spans};
pub use magnet::{Magnet, MagnetError};
pub use piece_layers::PieceLayers;
pub use selection::{FileSelection, FileSelectionError};
pub use torrent::Metainfo;
