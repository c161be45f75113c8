#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod decode;
mod encode;
mod error;
#[cfg(feature = "serde")]
pub mod serde;
mod value;

pub use decode::{DecodeOptions, Document, Limits};
pub use encode::{DictEncoder, Encoder, ListEncoder};
pub use error::{DecodeError, DecodeErrorKind};
pub use value::{Dict, DictIter, Kind, List, ListIter, Value};
