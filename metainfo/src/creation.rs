//! From hashes to a .torrent file.

use std::collections::BTreeMap;

use bytes::Bytes;
use downpour_bencode::{DictEncoder, Encoder};

use crate::merkle::{self, Hash};
use crate::{BuildError, Builder, File, FileAttributes, FileSpan, Info, Layout, Metainfo, PieceLayers};

/// What there is beside pad files.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// A file with the torrent's name.
    Single,
    /// Files by their path below the name, in the order of the layout.
    Tree(Vec<Vec<String>>),
}

/// A torrent that waits for the hashes of its pieces, in any order: who reads and hashes, and on how many
/// threads, is the caller's choice.
#[derive(Clone, Debug)]
pub struct Creation {
    builder: Builder,
    content: Content,
    layout: Layout,
    /// The SHA-1 of each piece; empty for v2-only.
    v1: Vec<Option<[u8; 20]>>,
    /// The root over the blocks of each piece; empty for v1-only.
    v2: Vec<Option<Hash>>,
}

impl Creation {
    pub(crate) fn new(builder: Builder, content: Content, layout: Layout) -> Self {
        let pieces = layout.piece_count() as usize;
        let v1 = vec![None; if builder.version.has_v1() { pieces } else { 0 }];
        let v2 = vec![None; if builder.version.has_v2() { pieces } else { 0 }];
        Self { builder, content, layout, v1, v2 }
    }

    /// Which bytes of which files each piece covers. Bytes of pad files are zero.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Gives the SHA-1 of a piece, pad files included: for v1 and hybrid torrents.
    ///
    /// # Errors
    /// If there is no such piece, or the torrent is v2-only.
    pub fn set_piece_hash(&mut self, piece: u32, hash: [u8; 20]) -> Result<(), BuildError> {
        *slot(&mut self.v1, &self.layout, piece)? = Some(hash);
        Ok(())
    }

    /// Gives the [leaves](merkle::leaf) of a piece, one for each 16 KiB of its file, the last of which may be shorter:
    /// for v2 and hybrid torrents. Pad files have none.
    ///
    /// # Errors
    /// If there is no such piece, it has another number of blocks, or the torrent is v1-only.
    pub fn set_block_hashes(&mut self, piece: u32, leaves: &[Hash]) -> Result<(), BuildError> {
        let slot = slot(&mut self.v2, &self.layout, piece)?;
        let Some((file, span)) = payload(&self.layout, piece) else {
            return Err(BuildError::NoSuchPiece(piece));
        };
        let expected = span.length.div_ceil(u64::from(merkle::BLOCK_LENGTH)) as u32;
        if leaves.len() as u64 != u64::from(expected) {
            return Err(BuildError::LeafCount { piece, expected, found: leaves.len() });
        }
        // The tree of a file that fits into a piece is as high as its blocks need.
        let piece_length = self.layout.piece_length();
        let short = file.length <= u64::from(piece_length);
        let height =
            if short { expected.next_power_of_two().ilog2() } else { merkle::piece_height(piece_length) };
        *slot = Some(merkle::ancestor(leaves.to_vec(), 0, height));
        Ok(())
    }

    /// The .torrent file.
    ///
    /// # Errors
    /// If a hash is missing.
    pub fn finish(&self) -> Result<Vec<u8>, BuildError> {
        let (roots, piece_layers) = self.trees()?;
        let info = Info::parse(self.info(&roots)?.into())?;
        let builder = &self.builder;
        let metainfo = Metainfo {
            info,
            piece_layers,
            trackers: builder.trackers.clone(),
            web_seeds: builder.web_seeds.clone(),
            http_seeds: builder.http_seeds.clone(),
            nodes: builder.nodes.clone(),
            comment: builder.comment.clone(),
            created_by: builder.created_by.clone(),
            creation_date: builder.creation_date,
        };
        Ok(metainfo.encode())
    }

    /// The root of each file that has one, by its index, and the layers below them.
    fn trees(&self) -> Result<(BTreeMap<usize, Hash>, PieceLayers), BuildError> {
        let (mut roots, mut layers) = (BTreeMap::new(), BTreeMap::new());
        if self.v2.is_empty() {
            return Ok((roots, PieceLayers::default()));
        }
        let height = merkle::piece_height(self.layout.piece_length());
        let files = self.layout.files().iter().enumerate();
        for (index, _) in files.filter(|(_, file)| file.length > 0 && !file.is_pad()) {
            let pieces = self.layout.pieces_of(index);
            let hash = |piece: u32| {
                self.v2.get(piece as usize).copied().flatten().ok_or(BuildError::MissingHash(piece))
            };
            let hashes: Vec<Hash> = pieces.map(hash).collect::<Result<_, _>>()?;
            let layer = (hashes.len() > 1).then(|| Bytes::from(hashes.concat()));
            // A file of one piece has that piece's root, however high it is.
            let root = if layer.is_some() {
                merkle::root(hashes, height)
            } else {
                hashes.first().copied().unwrap_or_default()
            };
            roots.insert(index, root);
            layers.extend(layer.map(|layer| (root, layer)));
        }
        Ok((roots, PieceLayers::of(layers)))
    }

    /// The info dictionary, bencoded.
    fn info(&self, roots: &BTreeMap<usize, Hash>) -> Result<Vec<u8>, BuildError> {
        let mut pieces = Vec::with_capacity(self.v1.len() * 20);
        for (piece, hash) in (0..).zip(&self.v1) {
            pieces.extend_from_slice(hash.as_ref().ok_or(BuildError::MissingHash(piece))?);
        }
        let version = self.builder.version;
        let mut out = Vec::with_capacity(pieces.len() + 256);
        Encoder::new(&mut out).dict(|dict| {
            if version.has_v2() {
                let tree: Vec<Leaf<'_>> = self.leaves(roots);
                dict.entry(b"file tree").dict(|dict| folder(dict, &tree, 0));
                dict.entry(b"meta version").int(2);
            }
            if version.has_v1() {
                self.v1_files(dict);
                dict.entry(b"pieces").bytes(&pieces);
            }
            dict.entry(b"name").bytes(&self.builder.name);
            dict.entry(b"piece length").int(self.layout.piece_length());
            if self.builder.private {
                dict.entry(b"private").int(1);
            }
            if let Some(source) = &self.builder.source {
                dict.entry(b"source").bytes(source);
            }
        });
        Ok(out)
    }

    /// The path of each file below the name, `None` for pad files.
    fn paths(&self) -> impl Iterator<Item = (usize, &File, Option<&[String]>)> {
        let name = std::slice::from_ref(&self.builder.name);
        let mut tree = match &self.content {
            Content::Single => [].iter(),
            Content::Tree(paths) => paths.iter(),
        };
        self.layout.files().iter().enumerate().map(move |(index, file)| {
            let path = if file.is_pad() { None } else { Some(tree.next().map_or(name, Vec::as_slice)) };
            (index, file, path)
        })
    }

    fn v1_files(&self, dict: &mut DictEncoder<'_>) {
        if let (Content::Single, [file]) = (&self.content, self.layout.files()) {
            attributes(dict, file.attributes);
            return dict.entry(b"length").int(file.length);
        }
        dict.entry(b"files").list(|list| {
            for (_, file, path) in self.paths() {
                list.item().dict(|entry| {
                    attributes(entry, file.attributes);
                    entry.entry(b"length").int(file.length);
                    entry.entry(b"path").list(|list| match path {
                        Some(path) => path.iter().for_each(|component| list.item().bytes(component)),
                        None => {
                            list.item().bytes(".pad");
                            list.item().bytes(file.length.to_string());
                        }
                    });
                });
            }
        });
    }

    fn leaves(&self, roots: &BTreeMap<usize, Hash>) -> Vec<Leaf<'_>> {
        let leaf = |(index, file, path): (usize, _, Option<_>)| {
            path.map(|path| Leaf { path, file, root: roots.get(&index).copied() })
        };
        self.paths().filter_map(leaf).collect()
    }
}

fn slot<'s, H>(hashes: &'s mut [H], layout: &Layout, piece: u32) -> Result<&'s mut H, BuildError> {
    match hashes.get_mut(piece as usize) {
        Some(slot) => Ok(slot),
        None if piece < layout.piece_count() => Err(BuildError::OtherVersion),
        None => Err(BuildError::NoSuchPiece(piece)),
    }
}

/// The file that a piece of a v2 torrent is of, and the part of it.
fn payload(layout: &Layout, piece: u32) -> Option<(&File, FileSpan)> {
    let spans = layout.spans(piece, 0, layout.piece_length());
    spans.filter_map(|span| Some((layout.files().get(span.file)?, span))).find(|(file, _)| !file.is_pad())
}

/// A file in the file tree.
struct Leaf<'c> {
    path: &'c [String],
    file: &'c File,
    root: Option<Hash>,
}

/// Writes the folder that `leaves`, which are sorted by path, have in common at `depth`.
fn folder(dict: &mut DictEncoder<'_>, leaves: &[Leaf<'_>], depth: usize) {
    for group in leaves.chunk_by(|one, other| one.path.get(depth) == other.path.get(depth)) {
        let [first, ..] = group else { continue };
        let Some(name) = first.path.get(depth) else { continue };
        dict.entry(name.as_bytes()).dict(|inside| {
            if first.path.len() > depth + 1 {
                return folder(inside, group, depth + 1);
            }
            inside.entry(b"").dict(|entry| {
                attributes(entry, first.file.attributes);
                entry.entry(b"length").int(first.file.length);
                if let Some(root) = &first.root {
                    entry.entry(b"pieces root").bytes(root);
                }
            });
        });
    }
}

fn attributes(dict: &mut DictEncoder<'_>, attributes: FileAttributes) {
    let letters = [(attributes.pad, b'p'), (attributes.hidden, b'h'), (attributes.executable, b'x')];
    let letters: Vec<u8> = letters.into_iter().filter(|(has, _)| *has).map(|(_, letter)| letter).collect();
    if !letters.is_empty() {
        dict.entry(b"attr").bytes(letters);
    }
}
