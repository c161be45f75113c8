//! A whole .torrent file.

use bytes::Bytes;
use downpour_bencode::{DecodeOptions, Limits, Value};

use crate::field::Fields;
use crate::limits::MAX_TORRENT_BYTES;
use crate::{HostPort, Info, MetainfoError, PieceLayers};

/// A parsed .torrent file (BEP 3, BEP 52; tracker tiers after BEP 12).
///
/// Only the info dictionary is needed for a download; what is wrong elsewhere is left out, not refused, but for hashes
/// of pieces that do not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metainfo {
    /// What to download.
    pub info: Info,
    /// The hashes of a v2 torrent's pieces (BEP 52).
    pub piece_layers: PieceLayers,
    /// Tracker URLs in tiers: all of one tier are tried before the next (BEP 12).
    pub trackers: Vec<Vec<String>>,
    /// HTTP and FTP servers that have the files (BEP 19, `url-list`).
    pub web_seeds: Vec<String>,
    /// HTTP servers that have the pieces (BEP 17, `httpseeds`).
    pub http_seeds: Vec<String>,
    /// Nodes of the distributed hash table to start from (BEP 5).
    pub nodes: Vec<HostPort>,
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
        // Some files have a line break at the end.
        let document = DecodeOptions::lenient(Limits::TORRENT).decode_prefix(input)?;
        let fields = Fields::of(document.root(), "torrent")?;
        let info = fields.required("info")?;
        Fields::of(info, "info")?;
        let info = Info::parse(Bytes::copy_from_slice(info.raw()))?;
        let layers = fields.optional("piece layers").and_then(|layers| layers.as_dict());
        let layers = layers.filter(|_| info.info_hash().v2().is_some());
        let piece_layers = layers.map(|layers| PieceLayers::parse(layers, info.layout())).transpose()?;
        let text = |field| fields.optional(field).and_then(text);
        Ok(Self {
            info,
            piece_layers: piece_layers.unwrap_or_default(),
            trackers: trackers(fields),
            web_seeds: fields.optional("url-list").map(strings).unwrap_or_default(),
            http_seeds: fields.optional("httpseeds").map(strings).unwrap_or_default(),
            nodes: nodes(fields),
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

/// The usable entries of `nodes`: lists of host and port (BEP 5).
fn nodes(fields: Fields<'_, '_>) -> Vec<HostPort> {
    let node = |value: Value<'_, '_>| {
        let mut parts = value.as_list()?.iter();
        let (host, port) = (parts.next()?.as_str()?, parts.next()?.as_int()?);
        HostPort::new(host, u16::try_from(port).ok()?).ok()
    };
    let list = fields.optional("nodes").and_then(|value| value.as_list());
    list.into_iter().flatten().filter_map(node).collect()
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
