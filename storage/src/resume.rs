//! What is remembered of a torrent between two runs.

use downpour_base::{Bitfield, InfoHash};
use downpour_bencode::{DecodeError, DecodeOptions, Dict, Encoder, Limits};
use thiserror::Error;

use crate::FileStamp;

const VERSION: i64 = 1;

/// The resume state of a torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumeData {
    /// Which torrent.
    pub info_hash: InfoHash,
    /// The pieces that are verified and synced.
    pub have: Bitfield,
    /// After a clean stop: the files as they were. `None` while the torrent runs, so that a crash can be told.
    pub stamps: Option<Vec<Option<FileStamp>>>,
    /// Payload received in all runs, in bytes.
    pub downloaded: u64,
    /// Payload sent in all runs, in bytes.
    pub uploaded: u64,
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
    /// A field is missing or makes no sense.
    #[error("resume state without a valid `{0}`")]
    Field(&'static str),
}

impl ResumeData {
    /// Writes the state.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        Encoder::new(&mut out).dict(|dict| {
            dict.entry(b"downloaded").int(self.downloaded);
            if let Some(stamps) = &self.stamps {
                dict.entry(b"files").list(|list| {
                    for stamp in stamps {
                        list.item().list(|fields| {
                            if let Some(stamp) = stamp {
                                fields.item().int(stamp.length);
                                fields.item().int(stamp.modified_nanos);
                            }
                        });
                    }
                });
            }
            dict.entry(b"have").bytes(self.have.as_bytes());
            if let Some(v1) = self.info_hash.v1() {
                dict.entry(b"info-hash").bytes(v1.0);
            }
            if let Some(v2) = self.info_hash.v2() {
                dict.entry(b"info-hash2").bytes(v2.0);
            }
            dict.entry(b"pieces").int(self.have.len());
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
        Ok(Self {
            info_hash: info_hash(dict).ok_or(ResumeError::Field("info-hash"))?,
            have: Bitfield::from_bytes(have, pieces).map_err(|_| ResumeError::Field("have"))?,
            stamps: stamps(dict)?,
            downloaded: number(dict, "downloaded")?,
            uploaded: number(dict, "uploaded")?,
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

fn stamps(dict: Dict<'_, '_>) -> Result<Option<Vec<Option<FileStamp>>>, ResumeError> {
    let wrong = ResumeError::Field("files");
    let Some(files) = dict.get(b"files") else { return Ok(None) };
    let stamp = |value: downpour_bencode::Value<'_, '_>| {
        let numbers: Option<Vec<u64>> =
            value.as_list()?.iter().map(|n| n.as_int().and_then(|n| u64::try_from(n).ok())).collect();
        match numbers?[..] {
            [] => Some(None),
            [length, modified_nanos] => Some(Some(FileStamp { length, modified_nanos })),
            _ => None,
        }
    };
    let list = files.as_list().ok_or_else(|| wrong.clone())?;
    list.iter().map(stamp).collect::<Option<Vec<_>>>().map(Some).ok_or(wrong)
}
