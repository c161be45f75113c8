//! Magnet links (BEP 9; BEP 53 for the choice of files).

use std::fmt::{self, Write};
use std::str::FromStr;

use downpour_base::{InfoHash, InfoHashV1, InfoHashV2};
use thiserror::Error;

use crate::limits::{MAX_MAGNET_BYTES, MAX_MAGNET_PARAMETERS};
use crate::text::{base32, percent_decode, percent_encode};
use crate::{FileSelection, HostPort, Metainfo};

const SCHEME: &str = "magnet:?";
/// Multihash: SHA2-256, 32 bytes.
const MULTIHASH_SHA256: &str = "1220";

/// A magnet link: which torrent, and where to look for it.
///
/// Parameters that are not known, and those of the known ones that cannot be used, are left out; but what says which
/// torrent it is (`xt`) or which files are wanted (`so`) must be right.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Magnet {
    /// Which torrent: both hashes if the link has both topics, as that of a hybrid (`xt`).
    pub info_hash: InfoHash,
    /// What to show until the metadata is there (`dn`). Not safe as a file name.
    pub name: Option<String>,
    /// The length of the content in bytes, as the link says (`xl`).
    pub length: Option<u64>,
    /// Tracker URLs (`tr`), each a tier of its own.
    pub trackers: Vec<String>,
    /// HTTP and FTP servers that have the files (`ws`).
    pub web_seeds: Vec<String>,
    /// Peers to ask (`x.pe`).
    pub peers: Vec<HostPort>,
    /// The files that are wanted, all without it (`so`, BEP 53).
    pub select_only: Option<FileSelection>,
}

/// Why a text is not a usable magnet link.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MagnetError {
    /// It does not begin with `magnet:?`.
    #[error("it does not begin with `magnet:?`")]
    NotAMagnet,
    /// Longer than [`MAX_MAGNET_BYTES`].
    #[error("it has {0} bytes, more than 1 MiB")]
    TooLong(usize),
    /// More parameters than [`MAX_MAGNET_PARAMETERS`].
    #[error("it has more than 10000 parameters")]
    TooManyParameters,
    /// No topic of BitTorrent.
    #[error("it names no torrent: `xt=urn:btih:` or `xt=urn:btmh:` is missing")]
    NoTopic,
    /// A `btih` that is no SHA-1.
    #[error("`urn:btih:` must be followed by 40 hexadecimal digits or 32 of base32")]
    InvalidBtih,
    /// A `btmh` that is no SHA-256 in multihash form.
    #[error("`urn:btmh:` must be followed by 1220 and 64 hexadecimal digits")]
    InvalidBtmh,
    /// Two topics of one kind that differ.
    #[error("it names two different torrents")]
    ConflictingTopics,
    /// A `so` that is not a list of file indices.
    #[error("`so` must be a list of numbers and ranges of files, such as 0,2,4-6")]
    InvalidSelection,
}

impl Magnet {
    /// A link with nothing but the hash.
    #[must_use]
    pub fn new(info_hash: InfoHash) -> Self {
        Self {
            info_hash,
            name: None,
            length: None,
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            peers: Vec::new(),
            select_only: None,
        }
    }

    /// The link to a torrent, with its trackers and web seeds.
    #[must_use]
    pub fn of(metainfo: &Metainfo) -> Self {
        Self {
            name: Some(metainfo.info.name().to_owned()),
            trackers: metainfo.trackers.iter().flatten().cloned().collect(),
            web_seeds: metainfo.web_seeds.clone(),
            ..Self::new(metainfo.info.info_hash())
        }
    }

    /// Whether `text` claims to be a magnet link.
    #[must_use]
    pub fn is_magnet(text: &str) -> bool {
        text.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME))
    }
}

impl FromStr for Magnet {
    type Err = MagnetError;

    fn from_str(text: &str) -> Result<Self, MagnetError> {
        let text = text.trim();
        if text.len() > MAX_MAGNET_BYTES {
            return Err(MagnetError::TooLong(text.len()));
        }
        if !Self::is_magnet(text) {
            return Err(MagnetError::NotAMagnet);
        }
        let (mut v1, mut v2, mut magnet) = (None, None, Self::new(InfoHash::V1(InfoHashV1([0; 20]))));
        // HTML has `&amp;` for `&`, which is often copied as it is.
        let parameters =
            text[SCHEME.len()..].split('&').map(|part| part.strip_prefix("amp;").unwrap_or(part));
        for (count, parameter) in parameters.enumerate() {
            if count >= MAX_MAGNET_PARAMETERS {
                return Err(MagnetError::TooManyParameters);
            }
            let Some((key, value)) = parameter.split_once('=') else { continue };
            let key = plain_key(key);
            // Names mostly come from forms, which write a space as a plus; in URLs a plus is one.
            let value = match key.as_str() {
                "dn" => percent_decode(&value.replace('+', " ")),
                _ => percent_decode(value),
            };
            match key.as_str() {
                "xt" => topic(&value, &mut v1, &mut v2)?,
                "dn" if !value.is_empty() => magnet.name = Some(value),
                "xl" => magnet.length = value.parse().ok(),
                "tr" if is_url(&value) => push_once(&mut magnet.trackers, value),
                "ws" if is_url(&value) => push_once(&mut magnet.web_seeds, value),
                "x.pe" => magnet.peers.extend(value.parse::<HostPort>()),
                "so" => magnet.select_only = Some(value.parse().map_err(|_| MagnetError::InvalidSelection)?),
                _ => {}
            }
        }
        magnet.info_hash = match (v1, v2) {
            (Some(v1), Some(v2)) => InfoHash::Hybrid(v1, v2),
            (Some(v1), None) => InfoHash::V1(v1),
            (None, Some(v2)) => InfoHash::V2(v2),
            (None, None) => return Err(MagnetError::NoTopic),
        };
        Ok(magnet)
    }
}

/// A key in lower case, without the number that some write behind it to tell several apart (`xt.1`, `tr.2`).
fn plain_key(key: &str) -> String {
    let plain = match key.rsplit_once('.') {
        Some((plain, number)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => plain,
        _ => key,
    };
    plain.to_ascii_lowercase()
}

/// Whether it looks like a URL: a scheme, and no characters that no URL has.
fn is_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty())
        && !text.chars().any(char::is_control)
}

fn push_once(list: &mut Vec<String>, value: String) {
    // Links are short; where they are not, doubles do no harm.
    if list.len() > 100 || !list.contains(&value) {
        list.push(value);
    }
}

fn topic(value: &str, v1: &mut Option<InfoHashV1>, v2: &mut Option<InfoHashV2>) -> Result<(), MagnetError> {
    let after = |prefix: &str| {
        let found = value.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        found.then(|| &value[prefix.len()..])
    };
    if let Some(hash) = after("urn:btih:") {
        let hash = match hash.len() {
            32 => base32(hash).map(InfoHashV1),
            _ => hash.parse().ok(),
        };
        return set_once(v1, hash.ok_or(MagnetError::InvalidBtih)?);
    }
    if let Some(hash) = after("urn:btmh:") {
        let hash = hash.strip_prefix(MULTIHASH_SHA256).and_then(|hash| hash.parse().ok());
        return set_once(v2, hash.ok_or(MagnetError::InvalidBtmh)?);
    }
    Ok(())
}

fn set_once<T: PartialEq>(slot: &mut Option<T>, value: T) -> Result<(), MagnetError> {
    match slot.replace(value) {
        old @ Some(_) if old != *slot => Err(MagnetError::ConflictingTopics),
        _ => Ok(()),
    }
}

impl fmt::Display for Magnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SCHEME)?;
        let (v1, v2) = (self.info_hash.v1(), self.info_hash.v2());
        if let Some(v1) = v1 {
            write!(f, "xt=urn:btih:{v1}")?;
        }
        if let Some(v2) = v2 {
            f.write_str(if v1.is_some() { "&" } else { "" })?;
            write!(f, "xt=urn:btmh:{MULTIHASH_SHA256}{v2}")?;
        }
        let mut text = |key: &str, value: &str| {
            write!(f, "&{key}=")?;
            value.bytes().try_for_each(|byte| percent_encode(byte, |c| f.write_char(c)))
        };
        self.name.iter().try_for_each(|name| text("dn", name))?;
        self.length.iter().try_for_each(|length| text("xl", &length.to_string()))?;
        self.trackers.iter().try_for_each(|url| text("tr", url))?;
        self.web_seeds.iter().try_for_each(|url| text("ws", url))?;
        // Colons and brackets are as BEP 9 has them; commas as BEP 53.
        self.peers.iter().try_for_each(|peer| write!(f, "&x.pe={peer}"))?;
        self.select_only.iter().try_for_each(|selection| write!(f, "&so={selection}"))
    }
}
