//! The question: an URL.

use core::fmt::Write as _;

use downpour_base::PeerId;
use thiserror::Error;

use crate::announce::{Announce, AnnounceEvent, SwarmHash};
use crate::limits::{MAX_SCRAPE, MAX_TARGET_LENGTH};
use crate::url::{TrackerUrl, percent_decode, percent_encode};

/// The URL of an announce. `tracker_id` is what the tracker called us in its last answer.
#[must_use]
pub fn announce_url(tracker: &TrackerUrl<'_>, announce: &Announce, tracker_id: Option<&[u8]>) -> String {
    let mut url = tracker.with_query_open();
    url.push_str("info_hash=");
    percent_encode(&announce.info_hash.0, &mut url);
    url.push_str("&peer_id=");
    percent_encode(&announce.peer_id.0, &mut url);
    let Announce { port, uploaded, downloaded, left, want, key, .. } = announce;
    // Writing to a string cannot fail.
    let _ = write!(url, "&port={port}&uploaded={uploaded}&downloaded={downloaded}&left={left}");
    let _ = write!(url, "&compact=1&no_peer_id=1&key={key:08X}");
    if let Some(want) = want {
        let _ = write!(url, "&numwant={want}");
    }
    if let Some(event) = announce.event.name() {
        let _ = write!(url, "&event={event}");
    }
    if let Some(id) = tracker_id {
        url.push_str("&trackerid=");
        percent_encode(id, &mut url);
    }
    url
}

/// The URL of a scrape of one swarm (BEP 48); `None` where the tracker has none.
#[must_use]
pub fn scrape_url(tracker: &TrackerUrl<'_>, swarm: SwarmHash) -> Option<String> {
    let mut url = tracker.scrape_with_query_open()?;
    url.push_str("info_hash=");
    percent_encode(&swarm.0, &mut url);
    Some(url)
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpRequest {
    /// `/announce`.
    Announce(Announce),
    /// `/scrape`, of these swarms, at most [`MAX_SCRAPE`].
    Scrape(Vec<SwarmHash>),
}

/// Why a request is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The path ends neither with `announce` nor with `scrape`.
    #[error("no such page; trackers have /announce and /scrape")]
    NoSuchPage,
    /// Longer than [`MAX_TARGET_LENGTH`].
    #[error("the request is too long")]
    TooLong,
    /// Not 20 bytes, or missing.
    #[error("info_hash is missing or not 20 bytes")]
    InfoHash,
    /// Not 20 bytes, or missing.
    #[error("peer_id is missing or not 20 bytes")]
    PeerId,
    /// Not a number from 1 to 65535, or missing.
    #[error("port is missing or not a number from 1 to 65535")]
    Port,
    /// Not a number.
    #[error("uploaded, downloaded, left and numwant must be numbers")]
    Number,
    /// More than [`MAX_SCRAPE`] swarms, or none.
    #[error("a scrape names 1 to 74 swarms")]
    Scrape,
}

/// Reads path and query of a request. Parameters that are not known are skipped; `ip` is too, since it would let
/// people announce others (BEP 7).
///
/// # Errors
/// If it is neither a whole announce nor a scrape.
pub fn decode_request(target: &str) -> Result<HttpRequest, QueryError> {
    if target.len() > MAX_TARGET_LENGTH {
        return Err(QueryError::TooLong);
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let parameters = query.split('&').filter_map(|pair| pair.split_once('='));
    match path.rsplit('/').next() {
        Some("announce") => announce(parameters).map(HttpRequest::Announce),
        Some("scrape") => {
            let hashes = parameters.filter(|(name, _)| *name == "info_hash").map(|(_, value)| hash(value));
            let hashes = hashes.take(MAX_SCRAPE + 1).collect::<Result<Vec<SwarmHash>, QueryError>>()?;
            if hashes.is_empty() || hashes.len() > MAX_SCRAPE {
                return Err(QueryError::Scrape);
            }
            Ok(HttpRequest::Scrape(hashes))
        }
        _ => Err(QueryError::NoSuchPage),
    }
}

fn announce<'a>(parameters: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Announce, QueryError> {
    let (mut info_hash, mut peer_id, mut port) = (None, None, None);
    let (mut uploaded, mut downloaded, mut left) = (0, 0, 0);
    let (mut event, mut key, mut want) = (AnnounceEvent::None, 0, None);
    for (name, value) in parameters {
        match name {
            "info_hash" => info_hash = Some(hash(value)?),
            "peer_id" => {
                let id = <[u8; 20]>::try_from(percent_decode(value.as_bytes()));
                peer_id = Some(PeerId(id.map_err(|_| QueryError::PeerId)?));
            }
            "port" => port = value.parse().ok().filter(|port| *port > 0),
            "uploaded" => uploaded = number(value)?,
            "downloaded" => downloaded = number(value)?,
            "left" => left = number(value)?,
            // -1 stands for "as you like", as over UDP.
            "numwant" => {
                want = if value == "-1" { None } else { Some(number(value)?.min(u64::from(u32::MAX)) as u32) }
            }
            "key" => key = u32::from_str_radix(value, 16).unwrap_or(0),
            "event" => {
                event = match value {
                    "started" => AnnounceEvent::Started,
                    "completed" => AnnounceEvent::Completed,
                    "stopped" => AnnounceEvent::Stopped,
                    // Some clients send other words, as "paused" (BEP 21): those are regular announces.
                    _ => AnnounceEvent::None,
                }
            }
            _ => {}
        }
    }
    Ok(Announce {
        info_hash: info_hash.ok_or(QueryError::InfoHash)?,
        peer_id: peer_id.ok_or(QueryError::PeerId)?,
        port: port.ok_or(QueryError::Port)?,
        uploaded,
        downloaded,
        left,
        event,
        key,
        want,
    })
}

fn hash(value: &str) -> Result<SwarmHash, QueryError> {
    percent_decode(value.as_bytes()).try_into().map(SwarmHash).map_err(|_| QueryError::InfoHash)
}

fn number(value: &str) -> Result<u64, QueryError> {
    value.parse().map_err(|_| QueryError::Number)
}
