//! The answer: a bencoded dictionary.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use downpour_bencode::{DecodeOptions, Dict, Document, Encoder, Limits, Value};

use super::Answer;
use crate::ResponseError;
use crate::announce::SwarmHash;
use crate::client::ScrapeCounts;
use crate::compact::{V4_LENGTH, V6_LENGTH, callable, read_ip, read_peers, write_ip, write_peer};
use crate::limits::{MAX_PEERS, MAX_RETRY, MAX_TRACKER_ID_LENGTH};
use crate::text::clean;

/// Answers are read leniently: what a tracker has wrong in its order of keys harms nobody.
const OPTIONS: DecodeOptions = DecodeOptions::lenient(Limits { depth: 8, tokens: 100_000 });

/// When a tracker that refuses wants to be asked again (BEP 31).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryIn {
    /// After this long, at most [`MAX_RETRY`].
    After(Duration),
    /// Not at all.
    Never,
}

/// What a tracker says to an announce.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnnounceAnswer<'a> {
    /// Until the next announce.
    pub interval: Option<Duration>,
    /// At least, until the next announce.
    pub min_interval: Option<Duration>,
    /// What it wants to hear as `trackerid` from now on.
    pub tracker_id: Option<&'a [u8]>,
    /// Peers that have everything.
    pub seeds: Option<u32>,
    /// Peers that have not.
    pub leechers: Option<u32>,
    /// Where the announce came from (BEP 24).
    pub external_ip: Option<IpAddr>,
    /// For the user; control characters are taken out.
    pub warning: Option<String>,
    /// At most [`MAX_PEERS`]. Peers that go by a name are left out: all trackers in use send addresses.
    pub peers: Vec<SocketAddr>,
}

/// Reads the answer to an announce. What stands after the dictionary is not looked at.
///
/// # Errors
/// If it is no bencoded dictionary, or its peers have no known form.
pub fn decode_announce(body: &[u8]) -> Result<Answer<AnnounceAnswer<'_>>, ResponseError> {
    let document = OPTIONS.decode_prefix(body)?;
    let dict = match root(&document)? {
        Answer::Done(dict) => dict,
        Answer::Refused { reason, retry } => return Ok(Answer::Refused { reason, retry }),
    };
    let mut peers = Vec::new();
    if let Some(value) = dict.get(b"peers") {
        read_peer_value(value, V4_LENGTH, &mut peers)?;
    }
    if let Some(value) = dict.get(b"peers6") {
        read_peer_value(value, V6_LENGTH, &mut peers)?;
    }
    Ok(Answer::Done(AnnounceAnswer {
        interval: seconds(dict, b"interval"),
        min_interval: seconds(dict, b"min interval"),
        tracker_id: dict
            .get(b"tracker id")
            .or_else(|| dict.get(b"trackerid"))
            .and_then(Value::as_bytes)
            .filter(|id| !id.is_empty() && id.len() <= MAX_TRACKER_ID_LENGTH),
        seeds: count(dict, b"complete"),
        leechers: count(dict, b"incomplete"),
        external_ip: dict.get(b"external ip").and_then(Value::as_bytes).and_then(read_ip),
        warning: dict
            .get(b"warning message")
            .and_then(Value::as_bytes)
            .map(clean)
            .filter(|text| !text.is_empty()),
        peers,
    }))
}

/// Reads what the answer to a scrape (BEP 48) says about one swarm.
///
/// # Errors
/// If it is no bencoded dictionary, or does not name the swarm.
pub fn decode_scrape(body: &[u8], swarm: SwarmHash) -> Result<Answer<ScrapeCounts>, ResponseError> {
    let document = OPTIONS.decode_prefix(body)?;
    let dict = match root(&document)? {
        Answer::Done(dict) => dict,
        Answer::Refused { reason, retry } => return Ok(Answer::Refused { reason, retry }),
    };
    let files = dict.get(b"files").and_then(Value::as_dict);
    let counts = files.and_then(|files| files.get(&swarm.0)?.as_dict()).ok_or(ResponseError::MissingSwarm)?;
    Ok(Answer::Done(ScrapeCounts {
        seeds: count(counts, b"complete").unwrap_or(0),
        downloads: count(counts, b"downloaded").unwrap_or(0),
        leechers: count(counts, b"incomplete").unwrap_or(0),
    }))
}

/// The dictionary, or the refusal in it.
fn root<'d, 'a>(document: &'d Document<'a>) -> Result<Answer<Dict<'d, 'a>>, ResponseError> {
    let dict = document.root().as_dict().ok_or(ResponseError::NotADictionary)?;
    let Some(reason) = dict.get(b"failure reason") else { return Ok(Answer::Done(dict)) };
    let retry = dict.get(b"retry in").and_then(|value| match value.as_bytes() {
        Some(b"never") => Some(RetryIn::Never),
        // The BEP says an integer, and its examples show a string.
        Some(digits) => std::str::from_utf8(digits).ok()?.parse().ok().and_then(after_minutes),
        None => value.as_int().and_then(after_minutes),
    });
    Ok(Answer::Refused { reason: clean(reason.as_bytes().unwrap_or_default()), retry })
}

fn after_minutes(minutes: i64) -> Option<RetryIn> {
    let minutes = u64::try_from(minutes).ok().filter(|minutes| *minutes > 0)?;
    Some(RetryIn::After(Duration::from_secs(minutes.saturating_mul(60)).min(MAX_RETRY)))
}

fn seconds(dict: Dict<'_, '_>, key: &[u8]) -> Option<Duration> {
    let seconds = dict.get(key)?.as_int()?;
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

fn count(dict: Dict<'_, '_>, key: &[u8]) -> Option<u32> {
    let count = dict.get(key)?.as_int()?;
    u64::try_from(count).ok().map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}

fn read_peer_value(
    value: Value<'_, '_>,
    length: usize,
    peers: &mut Vec<SocketAddr>,
) -> Result<(), ResponseError> {
    let room = MAX_PEERS - peers.len();
    if let Some(compact) = value.as_bytes() {
        if compact.len() % length != 0 {
            return Err(ResponseError::Peers);
        }
        peers.extend(read_peers(compact, length).take(room));
    } else {
        let list = value.as_list().ok_or(ResponseError::Peers)?;
        peers.extend(list.iter().filter_map(|peer| read_peer_dict(peer.as_dict()?)).take(room));
    }
    Ok(())
}

fn read_peer_dict(peer: Dict<'_, '_>) -> Option<SocketAddr> {
    let ip: IpAddr = peer.get(b"ip")?.as_str()?.parse().ok()?;
    callable(SocketAddr::new(ip.to_canonical(), peer.get(b"port")?.as_int()?.try_into().ok()?))
}

/// Writes the answer to an announce with compact peers (BEP 7, 23).
#[must_use]
pub fn encode_announce(answer: &AnnounceAnswer<'_>) -> Vec<u8> {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for peer in &answer.peers {
        write_peer(*peer, if peer.ip().to_canonical().is_ipv4() { &mut v4 } else { &mut v6 });
    }
    let mut body = Vec::new();
    Encoder::new(&mut body).dict(|dict| {
        let numbers: [(&[u8], Option<u64>); 4] = [
            (b"complete", answer.seeds.map(u64::from)),
            (b"incomplete", answer.leechers.map(u64::from)),
            (b"interval", answer.interval.map(|interval| interval.as_secs())),
            (b"min interval", answer.min_interval.map(|interval| interval.as_secs())),
        ];
        for (key, number) in numbers {
            if let Some(number) = number {
                dict.entry(key).int(number);
            }
        }
        if let Some(ip) = answer.external_ip {
            let mut packed = Vec::new();
            write_ip(ip, &mut packed);
            dict.entry(b"external ip").bytes(packed);
        }
        if let Some(id) = answer.tracker_id {
            dict.entry(b"tracker id").bytes(id);
        }
        if let Some(warning) = &answer.warning {
            dict.entry(b"warning message").bytes(warning);
        }
        dict.entry(b"peers").bytes(v4);
        if !v6.is_empty() {
            dict.entry(b"peers6").bytes(v6);
        }
    });
    body
}

/// Writes a refusal.
#[must_use]
pub fn encode_failure(reason: &str) -> Vec<u8> {
    let mut body = Vec::new();
    Encoder::new(&mut body).dict(|dict| dict.entry(b"failure reason").bytes(reason));
    body
}

/// Writes the answer to a scrape.
#[must_use]
pub fn encode_scrape(swarms: &[(SwarmHash, ScrapeCounts)]) -> Vec<u8> {
    let mut body = Vec::new();
    Encoder::new(&mut body).dict(|dict| {
        dict.entry(b"files").dict(|files| {
            for (swarm, counts) in swarms {
                files.entry(&swarm.0).dict(|numbers| {
                    numbers.entry(b"complete").int(counts.seeds);
                    numbers.entry(b"downloaded").int(counts.downloads);
                    numbers.entry(b"incomplete").int(counts.leechers);
                });
            }
        });
    });
    body
}
