//! The info dictionary: what the info-hash names.

use std::borrow::Cow;

use bytes::Bytes;
use downpour_base::{InfoHash, InfoHashV1, InfoHashV2};
use downpour_bencode::{DecodeOptions, Dict, Limits};
use sha2::{Digest, Sha256};

use crate::entry::{Extra, Files};
use crate::field::Fields;
use crate::file_tree;
use crate::limits::{MAX_PIECE_LENGTH, MAX_PIECES};
use crate::merkle::BLOCK_LENGTH;
use crate::path::safe_component;
use crate::{Adjustment, AdjustmentReason, Expected, Layout, MetainfoError};

const HASH_LENGTH: usize = 20;

/// A parsed info dictionary (BEP 3, BEP 52) with the bytes it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    raw: Bytes,
    info_hash: InfoHash,
    name: String,
    layout: Layout,
    /// The SHA-1s of v1; empty for v2-only.
    pieces: Bytes,
    private: bool,
    source: Option<String>,
    adjustments: Vec<Adjustment>,
}

impl Info {
    /// Parses the bencoded info dictionary `raw`, as it stands in a .torrent file or comes from a peer (BEP 9).
    ///
    /// A dictionary with `meta version` 2 must be canonical bencode; it is a hybrid if it also has v1 keys, whose files
    /// must be those of the file tree (BEP 52).
    ///
    /// # Errors
    /// If a required field is missing, of the wrong kind, or out of bounds, or if the halves of a hybrid differ.
    pub fn parse(raw: Bytes) -> Result<Self, MetainfoError> {
        // Lenient: info-hashes are taken over the original bytes, so other people's sloppiness does no harm.
        let document = DecodeOptions::lenient(Limits::TORRENT).decode(&raw)?;
        let fields = Fields::of(document.root(), "info")?;
        let version = fields.optional("meta version").and_then(|version| version.as_int());
        if let Some(version) = version.filter(|version| *version > 2) {
            return Err(MetainfoError::UnknownVersion(version));
        }
        let v2 = version == Some(2);
        let v1 = !v2 || ["pieces", "files", "length"].iter().any(|field| fields.optional(field).is_some());
        if v2 {
            DecodeOptions::strict(Limits::TORRENT).decode(&raw)?;
        }
        let info_hash = info_hash(&raw, v1, v2);

        let piece_length = fields.int("piece length", 1, MAX_PIECE_LENGTH as i64)?;
        if v2 && (piece_length < i64::from(BLOCK_LENGTH) || !(piece_length as u64).is_power_of_two()) {
            return Err(MetainfoError::PieceLengthV2(piece_length));
        }
        let original_name = fields.text("name", "name.utf-8")?;
        let name = safe_name(original_name, &info_hash);
        let mut adjustments = Vec::new();
        if name.as_bytes() != original_name {
            let original = String::from_utf8_lossy(original_name).into_owned();
            adjustments.push(Adjustment { file: None, reason: AdjustmentReason::UnsafeName, original });
        }
        let name = name.as_ref();
        let files = files(fields, Names { name, original_name }, v1, v2, adjustments)?;

        let total = files.length();
        if total == 0 {
            return Err(MetainfoError::Empty);
        }
        let piece_count = total.div_ceil(piece_length as u64);
        if piece_count > MAX_PIECES {
            return Err(MetainfoError::TooManyPieces(piece_count));
        }
        let pieces = if v1 { fields.bytes("pieces")? } else { b"" };
        let expected = if v1 { piece_count * HASH_LENGTH as u64 } else { 0 };
        if pieces.len() as u64 != expected {
            return Err(MetainfoError::PiecesLength { found: pieces.len(), expected });
        }
        let private = fields.optional("private").and_then(|value| value.as_int()) == Some(1);
        let source = fields.optional("source").and_then(|value| value.as_bytes());
        let source = source.map(|source| String::from_utf8_lossy(source).into_owned());
        let (files, adjustments) = files.finish()?;
        let layout = Layout::new(files, piece_length as u32);
        if layout.payload_length() == 0 {
            return Err(MetainfoError::Empty);
        }
        let (pieces, name) = (if v1 { raw.slice_ref(pieces) } else { Bytes::new() }, name.to_owned());
        drop(document);
        Ok(Self { info_hash, name, layout, pieces, private, source, adjustments, raw })
    }

    /// The dictionary as it came: what a peer that asks for metadata gets (BEP 9).
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Which torrent this is, and in which versions of the protocol: v1, v2, or both for a hybrid (BEP 52).
    #[must_use]
    pub fn info_hash(&self) -> InfoHash {
        self.info_hash
    }

    /// The suggested name of the file or top folder, made safe.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Files and pieces.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The SHA-1 that piece `piece` must have; `None` past the end, and for all pieces of a v2-only torrent.
    #[must_use]
    pub fn piece_hash(&self, piece: u32) -> Option<[u8; HASH_LENGTH]> {
        let start = (piece as usize).checked_mul(HASH_LENGTH)?;
        self.pieces.get(start..start + HASH_LENGTH)?.try_into().ok()
    }

    /// Whether peers may come from the torrent's trackers only (BEP 27).
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.private
    }

    /// The tracker or group that the torrent is for, which gives it an info-hash of its own.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// What is not as the torrent says, because that was unsafe or impossible; files in order.
    #[must_use]
    pub fn adjustments(&self) -> &[Adjustment] {
        &self.adjustments
    }
}

fn info_hash(raw: &[u8], v1: bool, v2: bool) -> InfoHash {
    let sha1 = || InfoHashV1(sha1_smol::Sha1::from(raw).digest().bytes());
    let sha256 = || InfoHashV2(Sha256::digest(raw).into());
    match (v1, v2) {
        (true, true) => InfoHash::Hybrid(sha1(), sha256()),
        (false, true) => InfoHash::V2(sha256()),
        _ => InfoHash::V1(sha1()),
    }
}

/// A name of which nothing safe is left becomes the info-hash, so that such torrents do not meet in one folder.
fn safe_name<'a>(raw: &'a [u8], info_hash: &InfoHash) -> Cow<'a, str> {
    if !raw.iter().all(|byte| matches!(byte, b'.' | b' ')) {
        return safe_component(raw);
    }
    Cow::Owned(match *info_hash {
        InfoHash::V1(v1) | InfoHash::Hybrid(v1, _) => v1.to_string(),
        InfoHash::V2(v2) => v2.to_string(),
    })
}

/// The torrent's name, safe and as it came.
#[derive(Clone, Copy)]
struct Names<'a> {
    name: &'a str,
    original_name: &'a [u8],
}

fn files<'d, 'a>(
    fields: Fields<'d, 'a>,
    names: Names<'a>,
    v1: bool,
    v2: bool,
    adjustments: Vec<Adjustment>,
) -> Result<Files<'d, 'a>, MetainfoError> {
    let tree: Option<Dict<'d, 'a>> = match fields.optional("file tree") {
        Some(tree) if v2 => {
            let wrong = MetainfoError::WrongKind { field: "file tree", expected: Expected::Dict };
            Some(tree.as_dict().ok_or(wrong)?)
        }
        None if v2 => return Err(MetainfoError::Missing("file tree")),
        _ => None,
    };
    let list = match fields.optional("length") {
        // As in v1 ever since: a length makes it a single file.
        Some(_) => None,
        None if v1 => Some(fields.list("files")?),
        None => None,
    };
    let piece_length = fields.int("piece length", 1, MAX_PIECE_LENGTH as i64)? as u64;
    let single = list.is_none() && tree.is_none_or(file_tree::is_single_file);
    let mut files = Files::new(if single { "" } else { names.name }, adjustments);
    match (list, tree) {
        (Some(list), None) => file_tree::push_list(&mut files, list)?,
        (Some(list), Some(tree)) => file_tree::push_hybrid(&mut files, list, tree, piece_length)?,
        (None, None) => {
            let length = fields.int("length", 0, i64::MAX)? as u64;
            files.push([names.name.as_bytes()].into_iter(), length, &Extra::of(fields.dict()), None)?;
        }
        (None, Some(tree)) if v1 => {
            let length = fields.int("length", 0, i64::MAX)? as u64;
            let (name, original) = (names.name.as_bytes(), names.original_name);
            file_tree::push_hybrid_single(&mut files, length, tree, name, original)?;
        }
        (None, Some(tree)) if single => {
            // Where the file has the torrent's name, it also has its safe form.
            let same = tree.iter().next().is_some_and(|(key, _)| key == names.original_name);
            file_tree::push_single(&mut files, tree, same.then_some(names.name.as_bytes()))?;
        }
        (None, Some(tree)) => file_tree::push_tree(&mut files, tree, piece_length)?,
    }
    Ok(files)
}
