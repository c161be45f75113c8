//! The info dictionary: what the info-hash names.

use bytes::Bytes;
use downpour_base::{InfoHash, InfoHashV1};
use downpour_bencode::{DecodeOptions, Limits};

use crate::field::Fields;
use crate::limits::{MAX_FILES, MAX_PIECE_LENGTH, MAX_PIECES};
use crate::path::{UniquePaths, safe_component, safe_path};
use crate::{Expected, Layout, MetainfoError};

const HASH_LENGTH: usize = 20;

/// A parsed info dictionary (BEP 3) with the bytes it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    raw: Bytes,
    info_hash: InfoHash,
    name: String,
    layout: Layout,
    pieces: Bytes,
    private: bool,
    renamed: Vec<usize>,
}

impl Info {
    /// Parses the bencoded info dictionary `raw`, as it stands in a .torrent file or comes from a peer (BEP 9).
    ///
    /// # Errors
    /// If a required field is missing, of the wrong kind, or out of bounds.
    pub fn parse(raw: Bytes) -> Result<Self, MetainfoError> {
        // Lenient: info-hashes are taken over the original bytes, so other people's sloppiness does no harm.
        let document = DecodeOptions::lenient(Limits::TORRENT).decode(&raw)?;
        let fields = Fields::of(document.root(), "info")?;
        if fields.optional("meta version").is_some() && fields.optional("pieces").is_none() {
            return Err(MetainfoError::V2Only);
        }
        let name = fields.text("name", "name.utf-8")?;
        let name = safe_component(name).ok_or(MetainfoError::EmptyPath(0))?;
        let piece_length = fields.int("piece length", 1, MAX_PIECE_LENGTH as i64)? as u32;
        let (files, renamed) = match fields.optional("length") {
            Some(_) => (vec![(name.clone(), fields.int("length", 0, i64::MAX)? as u64)], Vec::new()),
            None => files(fields, &name)?,
        };
        let total = files.iter().try_fold(0u64, |sum, file| sum.checked_add(file.1));
        let total =
            total.filter(|total| i64::try_from(*total).is_ok()).ok_or(MetainfoError::LengthOverflow)?;
        if total == 0 {
            return Err(MetainfoError::Empty);
        }
        let piece_count = total.div_ceil(u64::from(piece_length));
        if piece_count > MAX_PIECES {
            return Err(MetainfoError::TooManyPieces(piece_count));
        }
        let pieces = fields.bytes("pieces")?;
        let expected = piece_count * HASH_LENGTH as u64;
        if pieces.len() as u64 != expected {
            return Err(MetainfoError::PiecesLength { found: pieces.len(), expected });
        }
        let private = fields.optional("private").and_then(|value| value.as_int()) == Some(1);
        let info_hash = InfoHash::V1(InfoHashV1(sha1_smol::Sha1::from(&raw).digest().bytes()));
        let pieces = raw.slice_ref(pieces);
        drop(document);
        Ok(Self { info_hash, name, layout: Layout::new(files, piece_length), pieces, private, renamed, raw })
    }

    /// The dictionary as it came: what a peer that asks for metadata gets (BEP 9).
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Which torrent this is.
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

    /// The SHA-1 that piece `piece` must have, `None` past the end.
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

    /// The files whose path is not what the torrent says, because that was unsafe or taken.
    #[must_use]
    pub fn renamed_files(&self) -> &[usize] {
        &self.renamed
    }
}

/// Safe paths and lengths of a tree, and which of them were changed.
type Files = (Vec<(String, u64)>, Vec<usize>);

fn files(fields: Fields<'_, '_>, name: &str) -> Result<Files, MetainfoError> {
    let (mut files, mut renamed, mut unique) = (Vec::new(), Vec::new(), UniquePaths::default());
    for (index, entry) in fields.list("files")?.iter().enumerate() {
        if index >= MAX_FILES {
            return Err(MetainfoError::TooManyFiles);
        }
        let entry = Fields::of(entry, "files")?;
        let length = entry.int("length", 0, i64::MAX)? as u64;
        let field = if entry.optional("path.utf-8").is_some() { "path.utf-8" } else { "path" };
        let wrong = || MetainfoError::WrongKind { field, expected: Expected::Bytes };
        let components = entry.list(field)?;
        let components: Vec<&[u8]> =
            components.iter().map(|part| part.as_bytes().ok_or_else(wrong)).collect::<Result<_, _>>()?;
        let inside = safe_path(components.iter().copied()).ok_or(MetainfoError::EmptyPath(index))?;
        let unchanged = inside.as_bytes() == components.join(&b'/');
        let wanted = format!("{name}/{inside}");
        let path = unique.claim(wanted.clone());
        if !unchanged || path != wanted {
            renamed.push(index);
        }
        files.push((path, length));
    }
    Ok((files, renamed))
}
