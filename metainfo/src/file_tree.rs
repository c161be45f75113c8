//! The files of the info dictionary: `files` (BEP 3, 47), `file tree` (BEP 52), and both in a hybrid.

use downpour_bencode::{Dict, List, Value};

use crate::entry::{Extra, Files};
use crate::limits::{MAX_COMPONENTS, MAX_V2_FILE_LENGTH};
use crate::{Expected, MetainfoError};

/// Files with this in their path are pad files that BitComet wrote before BEP 47.
const BITCOMET_PAD: &[u8] = b"_____padding_file_";

/// An entry of `files`.
struct Entry<'d, 'a> {
    length: u64,
    path: Option<List<'d, 'a>>,
    extra: Extra<'d, 'a>,
}

impl<'d, 'a> Entry<'d, 'a> {
    /// In one pass, for there may be a million of them. The first of equal keys counts.
    fn parse(value: Value<'d, 'a>) -> Result<Self, MetainfoError> {
        let wrong = |field, expected| MetainfoError::WrongKind { field, expected };
        let dict = value.as_dict().ok_or(wrong("files", Expected::Dict))?;
        let (mut length, mut path, mut path_utf8, mut extra) = (None, None, None, Extra::default());
        for (key, value) in dict {
            match key {
                b"length" => length = length.or(Some(value)),
                b"path" => path = path.or(Some(value)),
                b"path.utf-8" => path_utf8 = path_utf8.or(Some(value)),
                _ => extra.take(key, value),
            }
        }
        let (path, field) = if path_utf8.is_some() { (path_utf8, "path.utf-8") } else { (path, "path") };
        let path = path.map(|path| path.as_list().ok_or(wrong(field, Expected::List))).transpose()?;
        for component in path.into_iter().flatten() {
            let component = component.as_bytes().ok_or(wrong(field, Expected::Bytes))?;
            extra.attributes.pad |= component.starts_with(BITCOMET_PAD);
        }
        if path.is_none() && !extra.attributes.pad {
            return Err(MetainfoError::Missing("path"));
        }
        // A link has no content, whatever it says.
        let length = if extra.link().is_some() { 0 } else { file_length(length, i64::MAX as u64)? };
        Ok(Self { length, path, extra })
    }

    fn components(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'d, 'a> {
        self.path.into_iter().flatten().filter_map(Value::as_bytes)
    }

    fn is_pad(&self) -> bool {
        self.extra.attributes.pad
    }
}

fn file_length(value: Option<Value<'_, '_>>, maximum: u64) -> Result<u64, MetainfoError> {
    let value = value.ok_or(MetainfoError::Missing("length"))?;
    let length =
        value.as_int().ok_or(MetainfoError::WrongKind { field: "length", expected: Expected::Int })?;
    let maximum = maximum as i64;
    match u64::try_from(length) {
        Ok(bytes) if length <= maximum => Ok(bytes),
        _ => Err(MetainfoError::OutOfRange { field: "length", value: length, minimum: 0, maximum }),
    }
}

/// Adds all of `files`.
pub(crate) fn push_list<'d, 'a>(files: &mut Files<'d, 'a>, list: List<'d, 'a>) -> Result<(), MetainfoError> {
    for value in list {
        let entry = Entry::parse(value)?;
        files.push(entry.components(), entry.length, &entry.extra, None)?;
    }
    Ok(())
}

/// A file of a `file tree`.
pub(crate) struct Leaf<'d, 'a> {
    length: u64,
    pieces_root: Option<[u8; 32]>,
    extra: Extra<'d, 'a>,
}

impl<'d, 'a> Leaf<'d, 'a> {
    /// The file under a name in a folder, or `None` if a folder is there.
    fn find(dict: Dict<'d, 'a>, index: usize) -> Result<Option<Self>, MetainfoError> {
        let mut entries = dict.iter();
        let Some((b"", value)) = entries.next() else { return Ok(None) };
        let inside = value.as_dict().filter(|_| entries.next().is_none()).ok_or(MetainfoError::FileTree)?;
        let extra = Extra::of(inside);
        if extra.attributes.pad {
            return Err(MetainfoError::PadFileInTree(index));
        }
        if extra.link().is_some() {
            return Ok(Some(Self { length: 0, pieces_root: None, extra }));
        }
        let length = file_length(inside.get(b"length"), MAX_V2_FILE_LENGTH)?;
        let pieces_root = match length {
            0 => None,
            _ => {
                let root = inside.get(b"pieces root").and_then(Value::as_bytes);
                let root =
                    root.and_then(|root| <[u8; 32]>::try_from(root).ok()).filter(|root| *root != [0; 32]);
                Some(root.ok_or(MetainfoError::PiecesRoot(index))?)
            }
        };
        Ok(Some(Self { length, pieces_root, extra }))
    }
}

/// Whether the tree is a single file: an only file, right at the top.
pub(crate) fn is_single_file(tree: Dict<'_, '_>) -> bool {
    let mut entries = tree.iter();
    let only = entries.next().filter(|_| entries.next().is_none());
    only.and_then(|(_, value)| value.as_dict()?.iter().next()).is_some_and(|(key, _)| key.is_empty())
}

/// Visits all files of `tree` in their order, with their path.
fn walk<'d, 'a>(
    tree: Dict<'d, 'a>,
    mut visit: impl FnMut(&[&'a [u8]], &Leaf<'d, 'a>) -> Result<(), MetainfoError>,
) -> Result<(), MetainfoError> {
    let (mut way, mut folders, mut count) = (Vec::new(), vec![tree.iter()], 0);
    while let Some(folder) = folders.last_mut() {
        let Some((name, value)) = folder.next() else {
            folders.pop();
            way.pop();
            continue;
        };
        let inside = value.as_dict().filter(|_| !name.is_empty()).ok_or(MetainfoError::FileTree)?;
        way.push(name);
        if way.len() > MAX_COMPONENTS {
            return Err(MetainfoError::PathTooDeep(count));
        }
        match Leaf::find(inside, count)? {
            None => folders.push(inside.iter()),
            Some(leaf) => {
                visit(&way, &leaf)?;
                way.pop();
                count += 1;
            }
        }
    }
    Ok(())
}

/// Adds the one file of a tree that holds no other, under the name `name`.
pub(crate) fn push_single<'d, 'a>(
    files: &mut Files<'d, 'a>,
    tree: Dict<'d, 'a>,
    name: Option<&'a [u8]>,
) -> Result<(), MetainfoError> {
    walk(tree, |way, leaf| {
        let name = name.or(way.last().copied());
        files.push(name.into_iter(), leaf.length, &leaf.extra, leaf.pieces_root)
    })
}

/// Adds all files of a tree. Zeros fill up the piece that each ends in, as if pad files were there; unless there is only
/// one file.
pub(crate) fn push_tree<'d, 'a>(
    files: &mut Files<'d, 'a>,
    tree: Dict<'d, 'a>,
    piece_length: u64,
) -> Result<(), MetainfoError> {
    let mut count = 0;
    let pad = |files: &mut Files<'d, 'a>| match files.length() % piece_length {
        0 => Ok(()),
        past => files.push_pad(piece_length - past),
    };
    walk(tree, |way, leaf| {
        pad(files)?;
        count += 1;
        files.push(way.iter().copied(), leaf.length, &leaf.extra, leaf.pieces_root)
    })?;
    if count > 1 { pad(files) } else { Ok(()) }
}

/// Adds all files of a hybrid: those of `list` with the roots of `tree`, if both describe the same files, in the same
/// order, at the same places. Pad files at the end may be there or not.
pub(crate) fn push_hybrid<'d, 'a>(
    files: &mut Files<'d, 'a>,
    list: List<'d, 'a>,
    tree: Dict<'d, 'a>,
    piece_length: u64,
) -> Result<(), MetainfoError> {
    let (mut entries, mut count, mut end) = (list.iter(), 0, 0u64);
    walk(tree, |way, leaf| {
        let entry = loop {
            let entry = Entry::parse(entries.next().ok_or(MetainfoError::HybridMismatch(count))?)?;
            if !entry.is_pad() {
                break entry;
            }
            files.push_pad(entry.length)?;
        };
        let here = leaf.length == 0 || files.length() == end.next_multiple_of(piece_length);
        let alike =
            entry.length == leaf.length && entry.extra.link().is_some() == leaf.extra.link().is_some();
        if !(here && alike && entry.components().eq(way.iter().copied())) {
            return Err(MetainfoError::HybridMismatch(count));
        }
        files.push(entry.components(), entry.length, &entry.extra, leaf.pieces_root)?;
        count += 1;
        if leaf.length > 0 {
            end = files.length();
        }
        Ok(())
    })?;
    for value in entries {
        let entry = Entry::parse(value)?;
        if !entry.is_pad() {
            return Err(MetainfoError::HybridMismatch(count));
        }
        files.push_pad(entry.length)?;
    }
    if files.length() > end.next_multiple_of(piece_length) {
        return Err(MetainfoError::HybridMismatch(count));
    }
    Ok(())
}

/// The file of a hybrid that is a single file, if both halves agree on it.
pub(crate) fn push_hybrid_single<'d, 'a>(
    files: &mut Files<'d, 'a>,
    length: u64,
    tree: Dict<'d, 'a>,
    name: &'a [u8],
    original_name: &[u8],
) -> Result<(), MetainfoError> {
    walk(tree, |way, leaf| {
        if way != [original_name] || leaf.length != length || files.length() > 0 {
            return Err(MetainfoError::HybridMismatch(0));
        }
        files.push([name].into_iter(), leaf.length, &leaf.extra, leaf.pieces_root)
    })
}
