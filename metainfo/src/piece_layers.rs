//! `piece layers`: the hashes of a v2 torrent's pieces, which stand outside of the info dictionary (BEP 52).

use std::collections::BTreeMap;

use bytes::Bytes;
use downpour_bencode::Dict;

use crate::merkle::{self, Hash};
use crate::{Layout, MetainfoError, PieceLayerError};

/// The hashes of the pieces of each file that is longer than a piece, by the root of the file's Merkle tree. All were
/// checked against their roots, which the info-hash covers.
///
/// A torrent may come without them, or with some, as from a magnet link: peers have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PieceLayers(BTreeMap<Hash, Bytes>);

impl PieceLayers {
    /// Takes the dictionary `layers` of a torrent with the files of `layout`.
    pub(crate) fn parse(layers: Dict<'_, '_>, layout: &Layout) -> Result<Self, MetainfoError> {
        let needed = needed(layout)?;
        let height = merkle::piece_height(layout.piece_length());
        let mut checked = BTreeMap::new();
        for (root, layer) in layers {
            let wrong = MetainfoError::PieceLayer;
            let root = Hash::try_from(root).map_err(|_| wrong(PieceLayerError::NoSuchFile))?;
            let pieces = *needed.get(&root).ok_or(wrong(PieceLayerError::NoSuchFile))?;
            let layer = layer.as_bytes().ok_or(wrong(PieceLayerError::Length))?;
            if layer.len() as u64 != pieces * size_of::<Hash>() as u64 {
                return Err(wrong(PieceLayerError::Length));
            }
            if merkle::root(hashes(layer).collect(), height) != root {
                return Err(wrong(PieceLayerError::Root));
            }
            checked.insert(root, Bytes::copy_from_slice(layer));
        }
        Ok(Self(checked))
    }

    /// Layers that are right because they were just computed.
    pub(crate) fn of(layers: BTreeMap<Hash, Bytes>) -> Self {
        Self(layers)
    }

    /// The hashes of a file's pieces in order, 32 bytes each, by the file's `pieces_root`. Files that are not longer than
    /// a piece need none: their root is the hash of their only piece.
    #[must_use]
    pub fn layer(&self, pieces_root: &Hash) -> Option<&[u8]> {
        self.0.get(pieces_root).map(|layer| &layer[..])
    }

    /// All layers, in the order of their roots.
    pub fn iter(&self) -> impl Iterator<Item = (&Hash, &[u8])> {
        self.0.iter().map(|(root, layer)| (root, &layer[..]))
    }

    /// Whether there are none, as in every v1 torrent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every file of `layout` that needs a layer has one.
    #[must_use]
    pub fn is_complete(&self, layout: &Layout) -> bool {
        needed(layout).is_ok_and(|needed| needed.keys().all(|root| self.0.contains_key(root)))
    }
}

fn hashes(layer: &[u8]) -> impl Iterator<Item = Hash> {
    layer.chunks_exact(size_of::<Hash>()).filter_map(|hash| hash.try_into().ok())
}

/// The roots that need a layer, and the number of pieces under each. Files of one content share a root.
fn needed(layout: &Layout) -> Result<BTreeMap<Hash, u64>, MetainfoError> {
    let piece_length = u64::from(layout.piece_length());
    let mut needed = BTreeMap::new();
    for file in layout.files().iter().filter(|file| file.length > piece_length) {
        let Some(root) = file.pieces_root else { continue };
        let pieces = file.length.div_ceil(piece_length);
        if needed.insert(root, pieces).is_some_and(|other| other != pieces) {
            return Err(MetainfoError::PieceLayer(PieceLayerError::Length));
        }
    }
    Ok(needed)
}
