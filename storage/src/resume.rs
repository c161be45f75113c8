//! What is remembered of a torrent between two runs.

use std::collections::{BTreeMap, BTreeSet};

use downpour_base::{Bitfield, InfoHash};
use downpour_bencode::{DecodeError, DecodeOptions, Dict, DictEncoder, Encoder, Limits, Value};
use downpour_metainfo::Layout;
use thiserror::Error;

use crate::FileStamp;
use crate::placement::is_safe;

const VERSION: i64 = 1;

/// The resume state of a torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumeData {
    /// Which torrent.
    pub info_hash: InfoHash,
    /// The pieces that are verified and synced.
    pub have: Bitfield,
    /// After a clean stop: the files as they were. `None` while the torrent runs, so that a crash can be told.
    pub stamps: Option<Stamps>,
    /// What is in the part file: file and piece.
    pub in_parts: BTreeSet<(usize, u32)>,
    /// Payload received in all runs, in bytes.
    pub downloaded: u64,
    /// Payload sent in all runs, in bytes.
    pub uploaded: u64,
    /// The folders in which the files may be, as [`Placement::save_paths`](crate::Placement::save_paths). Empty: where the
    /// torrent was added.
    pub save_paths: Vec<String>,
    /// Names of renamed files, as [`Placement::names`](crate::Placement::names).
    pub names: BTreeMap<usize, Vec<String>>,
    /// Priorities of files by index, of those for which one was chosen: 0 to 7.
    pub file_priorities: BTreeMap<usize, u8>,
    /// Priorities of pieces for which one was chosen, 0 to 7.
    pub piece_priorities: BTreeMap<u32, u8>,
}

/// A torrent's files as they were when it stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamps {
    /// Of each file, `None` for one that was not there.
    pub files: Vec<Option<FileStamp>>,
    /// Of the part file, if it held something.
    pub parts: Option<FileStamp>,
}

/// Bytes are not resume state.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// Not bencode.
    #[error(transparent)]
    Bencode(#[from] DecodeError),
    /// Written by a version that this one does not know.
    #[error("resume state of an unknown version")]
    Version,
    /// That of another torrent.
    #[error("resume state of another torrent")]
    OtherTorrent,
    /// A field is missing or makes no sense.
    #[error("resume state without a valid `{0}`")]
    Field(&'static str),
}

impl ResumeData {
    /// The state of a torrent that runs for the first time, and has `have`.
    #[must_use]
    pub fn new(info_hash: InfoHash, have: Bitfield) -> Self {
        Self {
            info_hash,
            have,
            stamps: None,
            in_parts: BTreeSet::new(),
            downloaded: 0,
            uploaded: 0,
            save_paths: Vec::new(),
            names: BTreeMap::new(),
            file_priorities: BTreeMap::new(),
            piece_priorities: BTreeMap::new(),
        }
    }

    /// Whether this can be the state of a torrent: nothing in it leads to pieces that the torrent does not have, or to names
    /// outside its folder.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, info_hash: InfoHash, layout: &Layout) -> Result<(), ResumeError> {
        if self.info_hash != info_hash {
            return Err(ResumeError::OtherTorrent);
        }
        let (pieces, files) = (layout.piece_count(), layout.files().len());
        let names = self.names.values().flatten();
        let stamped = self.stamps.as_ref().is_none_or(|stamps| stamps.files.len() == files);
        let fields = [
            ("pieces", self.have.len() == pieces),
            ("files", stamped),
            ("in-parts", self.in_parts.iter().all(|(file, piece)| *file < files && *piece < pieces)),
            ("names", self.names.keys().all(|file| *file < files) && names.clone().all(|name| is_safe(name))),
            ("file-priorities", self.file_priorities.keys().all(|file| *file < files)),
            ("piece-priorities", self.piece_priorities.keys().all(|piece| *piece < pieces)),
        ];
        match fields.into_iter().find(|(_, is_right)| !is_right) {
            Some((field, _)) => Err(ResumeError::Field(field)),
            None => Ok(()),
        }
    }

    /// Writes the state.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        Encoder::new(&mut out).dict(|dict| {
            dict.entry(b"downloaded").int(self.downloaded);
            let levels = self.file_priorities.iter();
            pairs(dict, b"file-priorities", levels.map(|(file, level)| (*file as u64, u64::from(*level))));
            if let Some(stamps) = &self.stamps {
                dict.entry(b"files").list(|list| {
                    stamps.files.iter().for_each(|file| stamp(list.item(), *file));
                });
            }
            dict.entry(b"have").bytes(self.have.as_bytes());
            pairs(
                dict,
                b"in-parts",
                self.in_parts.iter().map(|(file, piece)| (*file as u64, u64::from(*piece))),
            );
            if let Some(v1) = self.info_hash.v1() {
                dict.entry(b"info-hash").bytes(v1.0);
            }
            if let Some(v2) = self.info_hash.v2() {
                dict.entry(b"info-hash2").bytes(v2.0);
            }
            if !self.names.is_empty() {
                dict.entry(b"names").list(|list| {
                    for (file, names) in &self.names {
                        list.item().list(|fields| {
                            fields.item().int(*file as u64);
                            names.iter().for_each(|name| fields.item().bytes(name));
                        });
                    }
                });
            }
            if let Some(Stamps { parts: Some(parts), .. }) = self.stamps {
                stamp(dict.entry(b"parts"), Some(parts));
            }
            let levels = self.piece_priorities.iter();
            pairs(
                dict,
                b"piece-priorities",
                levels.map(|(piece, level)| (u64::from(*piece), u64::from(*level))),
            );
            dict.entry(b"pieces").int(self.have.len());
            if !self.save_paths.is_empty() {
                dict.entry(b"save-paths").list(|list| {
                    self.save_paths.iter().for_each(|path| list.item().bytes(path));
                });
            }
            dict.entry(b"uploaded").int(self.uploaded);
            dict.entry(b"version").int(VERSION);
        });
        out
    }

    /// Reads the state.
    ///
    /// # Errors
    /// If it is damaged, or of another version.
    pub fn decode(input: &[u8]) -> Result<Self, ResumeError> {
        let document = DecodeOptions::strict(Limits::TORRENT).decode(input)?;
        let dict = document.root().as_dict().ok_or(ResumeError::Field("dictionary"))?;
        if dict.get(b"version").and_then(|value| value.as_int()) != Some(VERSION) {
            return Err(ResumeError::Version);
        }
        let pieces = u32::try_from(number(dict, "pieces")?).map_err(|_| ResumeError::Field("pieces"))?;
        let have = dict.get(b"have").and_then(|value| value.as_bytes()).ok_or(ResumeError::Field("have"))?;
        let parts = optional(dict, "parts", read_stamp)?.flatten();
        let files = optional(dict, "files", |files| list(files, read_stamp))?;
        Ok(Self {
            info_hash: info_hash(dict).ok_or(ResumeError::Field("info-hash"))?,
            have: Bitfield::from_bytes(have, pieces).map_err(|_| ResumeError::Field("have"))?,
            stamps: files.map(|files| Stamps { files, parts }),
            in_parts: read_pairs(dict, "in-parts", |file, piece| Some((small(file)?, small(piece)?)))?,
            downloaded: number(dict, "downloaded")?,
            uploaded: number(dict, "uploaded")?,
            save_paths: optional(dict, "save-paths", |paths| list(paths, text))?.unwrap_or_default(),
            names: optional(dict, "names", |all| list(all, names))?.unwrap_or_default().into_iter().collect(),
            file_priorities: read_pairs(dict, "file-priorities", |file, of| {
                Some((small(file)?, level(of)?))
            })?,
            piece_priorities: read_pairs(dict, "piece-priorities", |piece, of| {
                Some((small(piece)?, level(of)?))
            })?,
        })
    }
}

fn number(dict: Dict<'_, '_>, field: &'static str) -> Result<u64, ResumeError> {
    let value = dict.get(field.as_bytes()).and_then(|value| value.as_int());
    value.and_then(|value| u64::try_from(value).ok()).ok_or(ResumeError::Field(field))
}

fn info_hash(dict: Dict<'_, '_>) -> Option<InfoHash> {
    let bytes = |key: &[u8]| dict.get(key).and_then(|value| value.as_bytes());
    let v1 = bytes(b"info-hash").map(|v1| Some(downpour_base::InfoHashV1(v1.try_into().ok()?)));
    let v2 = bytes(b"info-hash2").map(|v2| Some(downpour_base::InfoHashV2(v2.try_into().ok()?)));
    Some(match (v1, v2) {
        (Some(v1), None) => InfoHash::V1(v1?),
        (None, Some(v2)) => InfoHash::V2(v2?),
        (Some(v1), Some(v2)) => InfoHash::Hybrid(v1?, v2?),
        (None, None) => return None,
    })
}

/// Writes pairs of numbers as one flat list, if there are any.
fn pairs(dict: &mut DictEncoder<'_>, key: &[u8], pairs: impl ExactSizeIterator<Item = (u64, u64)>) {
    if pairs.len() > 0 {
        dict.entry(key).list(|list| {
            for (first, second) in pairs {
                list.item().int(first);
                list.item().int(second);
            }
        });
    }
}

fn read_pairs<T: Default + Extend<P>, P>(
    dict: Dict<'_, '_>,
    field: &'static str,
    pair: impl Fn(u64, u64) -> Option<P>,
) -> Result<T, ResumeError> {
    let numbers = optional(dict, field, |value| list(value, unsigned))?.unwrap_or_default();
    let mut read = T::default();
    for numbers in numbers.chunks(2) {
        let &[first, second] = numbers else { return Err(ResumeError::Field(field)) };
        read.extend([pair(first, second).ok_or(ResumeError::Field(field))?]);
    }
    Ok(read)
}

/// A field that need not be there.
fn optional<T>(
    dict: Dict<'_, '_>,
    field: &'static str,
    read: impl Fn(Value<'_, '_>) -> Option<T>,
) -> Result<Option<T>, ResumeError> {
    let value = dict.get(field.as_bytes());
    value.map(|value| read(value).ok_or(ResumeError::Field(field))).transpose()
}

fn list<T>(value: Value<'_, '_>, item: impl Fn(Value<'_, '_>) -> Option<T>) -> Option<Vec<T>> {
    value.as_list()?.iter().map(item).collect()
}

fn unsigned(value: Value<'_, '_>) -> Option<u64> {
    u64::try_from(value.as_int()?).ok()
}

fn small<T: TryFrom<u32>>(number: u64) -> Option<T> {
    T::try_from(u32::try_from(number).ok()?).ok()
}

fn level(number: u64) -> Option<u8> {
    u8::try_from(number).ok().filter(|level| *level <= 7)
}

fn text(value: Value<'_, '_>) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// A file's index, and its names.
fn names(value: Value<'_, '_>) -> Option<(usize, Vec<String>)> {
    let mut fields = value.as_list()?.iter();
    let file = small(unsigned(fields.next()?)?)?;
    Some((file, fields.map(text).collect::<Option<_>>()?))
}

fn stamp(encoder: Encoder<'_>, stamp: Option<FileStamp>) {
    encoder.list(|fields| {
        if let Some(stamp) = stamp {
            fields.item().int(stamp.length);
            fields.item().int(stamp.modified_nanos);
        }
    });
}

fn read_stamp(value: Value<'_, '_>) -> Option<Option<FileStamp>> {
    match list(value, unsigned)?[..] {
        [] => Some(None),
        [length, modified_nanos] => Some(Some(FileStamp { length, modified_nanos })),
        _ => None,
    }
}
