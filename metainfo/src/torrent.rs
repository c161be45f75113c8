//! A whole .torrent file.

use bytes::Bytes;
use downpour_bencode::{DecodeOptions, Limits, Value};

use crate::field::Fields;
use crate::limits::MAX_TORRENT_BYTES;
use crate::{Info, MetainfoError};

/// A parsed .torrent file (BEP 3; tracker tiers after BEP 12).
///
/// Only the info dictionary is needed for a download; what is wrong elsewhere is left out, not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metainfo {
    /// What to download.
    pub info: Info,
    /// Tracker URLs in tiers: all of one tier are tried before the next (BEP 12).
    pub trackers: Vec<Vec<String>>,
    /// HTTP and FTP seeds (BEP 19).
    pub web_seeds: Vec<String>,
    /// What the author has to say.
    pub comment: Option<String>,
    /// The program that made the file.
    pub created_by: Option<String>,
    /// When it was made, in seconds since 1970.
    pub creation_date: Option<i64>,
}

impl Metainfo {
    /// Parses a .torrent file.
    ///
    /// # Errors
    /// If it is not bencode or its info dictionary is not acceptable.
    pub fn parse(input: &[u8]) -> Result<Self, MetainfoError> {
        if input.len() > MAX_TORRENT_BYTES {
            return Err(MetainfoError::TooLarge(input.len()));
        }
        let document = DecodeOptions::lenient(Limits::TORRENT).decode(input)?;
        let fields = Fields::of(document.root(), "torrent")?;
        let info = Info::parse(Bytes::copy_from_slice(fields.required("info")?.raw()))?;
        let text = |field| fields.optional(field).and_then(text);
        Ok(Self {
            info,
            trackers: trackers(fields),
            web_seeds: fields.optional("url-list").map(strings).unwrap_or_default(),
            comment: text("comment.utf-8").or_else(|| text("comment")),
            created_by: text("created by"),
            creation_date: fields.optional("creation date").and_then(|value| value.as_int()),
        })
    }
}

fn text(value: Value<'_, '_>) -> Option<String> {
    value.as_bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// A list of strings, or a string alone, without the empty ones.
fn strings(value: Value<'_, '_>) -> Vec<String> {
    let all = match value.as_list() {
        Some(list) => list.iter().filter_map(text).collect(),
        None => text(value).into_iter().collect::<Vec<_>>(),
    };
    all.into_iter().filter(|text| !text.trim().is_empty()).collect()
}

/// `announce-list` where there is one (BEP 12: `announce` is then ignored), else `announce`.
fn trackers(fields: Fields<'_, '_>) -> Vec<Vec<String>> {
    let list = fields.optional("announce-list").and_then(|value| value.as_list());
    let tiers: Vec<Vec<String>> =
        list.into_iter().flatten().map(strings).filter(|tier| !tier.is_empty()).collect();
    if tiers.is_empty() {
        let single = fields.optional("announce").map(strings).unwrap_or_default();
        return single.into_iter().map(|tracker| vec![tracker]).collect();
    }
    tiers
}
