//! Making a .torrent file.

use downpour_bencode::{DictEncoder, Encoder};
use thiserror::Error;

use crate::Layout;
use crate::entry::{Extra, Files};
use crate::limits::{MAX_PIECE_LENGTH, MAX_PIECES};
use crate::path::safe_component;

/// What can be wrong with what a torrent is to be made of.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No byte to share.
    #[error("there is no content: all files are empty")]
    Empty,
    /// A name that is unsafe on some platform, or used twice.
    #[error("the name `{0}` is unsafe on some platform, or used twice")]
    UnsafeName(String),
    /// The piece length is not a power of two from 16 KiB to 512 MiB.
    #[error("the piece length {0} is not a power of two from 16 KiB to 512 MiB")]
    PieceLength(u64),
    /// Too many pieces at this piece length.
    #[error("{0} pieces are more than 2^21: choose a larger piece length")]
    TooManyPieces(u64),
    /// A piece past the end.
    #[error("there is no piece {0}")]
    NoSuchPiece(u32),
    /// A piece whose hash was not given.
    #[error("the hash of piece {0} is missing")]
    MissingHash(u32),
}

/// What a torrent is to be made of.
#[derive(Clone, Debug)]
pub struct Builder {
    name: String,
    /// `None` for a single file; else paths below the name.
    tree: Option<Vec<(Vec<String>, u64)>>,
    length: u64,
    piece_length: Option<u64>,
    trackers: Vec<Vec<String>>,
    comment: Option<String>,
    created_by: Option<String>,
    creation_date: Option<i64>,
    private: bool,
}

impl Builder {
    /// A torrent of one file.
    #[must_use]
    pub fn file(name: &str, length: u64) -> Self {
        Self::new(name, None, length)
    }

    /// A torrent of a folder `name`, with the path components below it and the length of each file. The order
    /// of the files is the order of the torrent.
    #[must_use]
    pub fn tree(name: &str, files: Vec<(Vec<String>, u64)>) -> Self {
        let length = files.iter().map(|file| file.1).sum();
        Self::new(name, Some(files), length)
    }

    fn new(name: &str, tree: Option<Vec<(Vec<String>, u64)>>, length: u64) -> Self {
        Self {
            name: name.to_owned(),
            tree,
            length,
            piece_length: None,
            trackers: Vec::new(),
            comment: None,
            created_by: None,
            creation_date: None,
            private: false,
        }
    }

    /// Sets the length of a piece in bytes; without it, [`automatic_piece_length`] decides.
    #[must_use]
    pub fn piece_length(mut self, bytes: u64) -> Self {
        self.piece_length = Some(bytes);
        self
    }

    /// Adds a tracker in a tier of its own (BEP 12).
    #[must_use]
    pub fn tracker(mut self, url: &str) -> Self {
        self.trackers.push(vec![url.to_owned()]);
        self
    }

    /// Sets the comment.
    #[must_use]
    pub fn comment(mut self, text: &str) -> Self {
        self.comment = Some(text.to_owned());
        self
    }

    /// Sets the name of the program that makes the torrent.
    #[must_use]
    pub fn created_by(mut self, text: &str) -> Self {
        self.created_by = Some(text.to_owned());
        self
    }

    /// Sets the date, in seconds since 1970.
    #[must_use]
    pub fn creation_date(mut self, seconds: i64) -> Self {
        self.creation_date = Some(seconds);
        self
    }

    /// Restricts peers to those of the trackers (BEP 27).
    #[must_use]
    pub fn private(mut self, private: bool) -> Self {
        self.private = private;
        self
    }

    /// Checks names and sizes; what remains to be given are the hashes.
    ///
    /// # Errors
    /// If there is no content, a name is unsafe, or the piece length does not fit.
    pub fn create(self) -> Result<Creation, BuildError> {
        if self.length == 0 {
            return Err(BuildError::Empty);
        }
        let piece_length = self.piece_length.unwrap_or_else(|| automatic_piece_length(self.length));
        if !piece_length.is_power_of_two() || !(16 << 10..=MAX_PIECE_LENGTH).contains(&piece_length) {
            return Err(BuildError::PieceLength(piece_length));
        }
        let pieces = self.length.div_ceil(piece_length);
        if pieces > MAX_PIECES {
            return Err(BuildError::TooManyPieces(pieces));
        }
        if safe_component(self.name.as_bytes()) != self.name {
            return Err(BuildError::UnsafeName(self.name));
        }
        let mut files = Files::new(if self.tree.is_some() { &self.name } else { "" }, Vec::new());
        let single = [(vec![self.name.clone()], self.length)];
        for (components, length) in self.tree.as_deref().unwrap_or(&single) {
            let pushed =
                files.push(components.iter().map(String::as_bytes), *length, &Extra::default(), None);
            pushed.map_err(|_| BuildError::UnsafeName(components.join("/")))?;
        }
        let (files, adjustments) = files.finish().map_err(|_| BuildError::TooManyPieces(pieces))?;
        if let Some(adjusted) = adjustments.into_iter().next() {
            return Err(BuildError::UnsafeName(adjusted.original));
        }
        let layout = Layout::new(files, piece_length as u32);
        let hashes = vec![None; layout.piece_count() as usize];
        Ok(Creation { builder: self, layout, hashes })
    }
}

/// A torrent that waits for the hashes of its pieces, in any order: who reads and hashes, and on how many
/// threads, is the caller's choice.
#[derive(Clone, Debug)]
pub struct Creation {
    builder: Builder,
    layout: Layout,
    hashes: Vec<Option<[u8; 20]>>,
}

impl Creation {
    /// Which bytes of which files each piece covers.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Gives the SHA-1 of a piece.
    ///
    /// # Errors
    /// If there is no such piece.
    pub fn set_piece_hash(&mut self, piece: u32, hash: [u8; 20]) -> Result<(), BuildError> {
        let slot = self.hashes.get_mut(piece as usize).ok_or(BuildError::NoSuchPiece(piece))?;
        *slot = Some(hash);
        Ok(())
    }

    /// The .torrent file.
    ///
    /// # Errors
    /// If a hash is missing.
    pub fn finish(&self) -> Result<Vec<u8>, BuildError> {
        let info = self.info()?;
        let builder = &self.builder;
        let mut out = Vec::with_capacity(info.len() + 256);
        Encoder::new(&mut out).dict(|dict| {
            if let Some(first) = builder.trackers.iter().flatten().next() {
                dict.entry(b"announce").bytes(first);
            }
            if builder.trackers.len() > 1 {
                dict.entry(b"announce-list").list(|tiers| {
                    for tier in &builder.trackers {
                        tiers.item().list(|list| tier.iter().for_each(|url| list.item().bytes(url)));
                    }
                });
            }
            optional_text(dict, b"comment", builder.comment.as_deref());
            optional_text(dict, b"created by", builder.created_by.as_deref());
            if let Some(date) = builder.creation_date {
                dict.entry(b"creation date").int(date);
            }
            dict.entry(b"info").raw(&info);
        });
        Ok(out)
    }

    /// The info dictionary alone, bencoded.
    fn info(&self) -> Result<Vec<u8>, BuildError> {
        let mut pieces = Vec::with_capacity(self.hashes.len() * 20);
        for (piece, hash) in (0..).zip(&self.hashes) {
            pieces.extend_from_slice(hash.as_ref().ok_or(BuildError::MissingHash(piece))?);
        }
        let mut out = Vec::with_capacity(pieces.len() + 256);
        Encoder::new(&mut out).dict(|dict| {
            match &self.builder.tree {
                None => dict.entry(b"length").int(self.builder.length),
                Some(files) => dict.entry(b"files").list(|list| {
                    for (components, length) in files {
                        list.item().dict(|file| {
                            file.entry(b"length").int(*length);
                            file.entry(b"path").list(|path| {
                                components.iter().for_each(|component| path.item().bytes(component));
                            });
                        });
                    }
                }),
            }
            dict.entry(b"name").bytes(&self.builder.name);
            dict.entry(b"piece length").int(self.layout.piece_length());
            dict.entry(b"pieces").bytes(&pieces);
            if self.builder.private {
                dict.entry(b"private").int(1);
            }
        });
        Ok(out)
    }
}

fn optional_text(dict: &mut DictEncoder<'_>, key: &[u8], text: Option<&str>) {
    if let Some(text) = text {
        dict.entry(key).bytes(text);
    }
}

/// A power of two that gives one to two thousand pieces, within 16 KiB to 16 MiB: small enough for peers to
/// trade soon, large enough for short piece lists.
#[must_use]
pub fn automatic_piece_length(total_length: u64) -> u64 {
    (total_length / 2048).next_power_of_two().clamp(16 << 10, 16 << 20)
}
