#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod builder;
mod error;
mod field;
mod info;
mod layout;
pub mod limits;
mod path;
mod torrent;

pub use builder::{BuildError, Builder, Creation, automatic_piece_length};
pub use error::{Expected, MetainfoError};
pub use info::Info;
pub use layout::{File, FileSpan, Layout, Spans};
pub use torrent::Metainfo;
