//! Bencode to and from Rust types with [serde](https://serde.rs) (feature `serde`).
//!
//! | Rust | bencode |
//! |---|---|
//! | integers of up to 128 bits | integer |
//! | `bool` | integer 0 or 1 |
//! | `&str`, `String`, `char` | string of UTF-8 |
//! | `&[u8]` when read; `serde_bytes` types | string |
//! | sequences, tuples | list |
//! | structs, maps with string keys | dictionary, sorted |
//! | `Some(value)` | the value |
//! | `None` | no entry; an error anywhere but in a dictionary |
//! | an enum's unit variant | string, its name |
//! | other variants | dictionary of one entry: the name and the content |
//!
//! There are no floating-point numbers and no `()`. A type that takes anything (untagged enums, flattened
//! fields) sees strings as text if they are UTF-8, else as bytes.
//!
//! ```rust
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Info<'a> {
//!     name: &'a str, // borrowed from the input
//!     length: Option<u64>,
//!     #[serde(with = "serde_bytes")]
//!     pieces: &'a [u8],
//! }
//!
//! let input = b"d6:lengthi42e4:name5:a.txt6:pieces3:\xff\xfe\xfde";
//! let info: Info<'_> = downpour_bencode::serde::from_bytes(input)?;
//! assert_eq!((info.name, info.length), ("a.txt", Some(42)));
//! assert_eq!(downpour_bencode::serde::to_vec(&info)?, input);
//! # Ok::<(), downpour_bencode::serde::Error>(())
//! ```

mod de;
mod error;
mod ser;

pub use de::{from_bytes, from_value};
pub use error::Error;
pub use ser::to_vec;
