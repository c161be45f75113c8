//! Datagrams between clients and trackers (BEP 15), with the options of BEP 41.

use core::net::SocketAddr;

use downpour_base::PeerId;

use crate::ResponseError;
use crate::announce::{Announce, AnnounceEvent, SwarmHash};
use crate::client::ScrapeCounts;
use crate::compact::{V4_LENGTH, V6_LENGTH, read_peers, write_peer};
use crate::limits::MAX_SCRAPE;

/// What a connect request starts with.
const PROTOCOL: u64 = 0x417_2710_1980;
/// Bytes of an announce request without options.
const ANNOUNCE_LENGTH: usize = 98;
const CONNECT: u32 = 0;
const ANNOUNCE: u32 = 1;
const SCRAPE: u32 = 2;
const ERROR: u32 = 3;
/// Option types of BEP 41.
const END_OF_OPTIONS: u8 = 0;
const NOP: u8 = 1;
const URL_DATA: u8 = 2;

/// What a client sends, borrowing the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Asks for a connection id.
    Connect {
        /// Chosen by the client, to know the answer by.
        transaction: u32,
    },
    /// Announces.
    Announce {
        /// From the answer to [`Connect`](Self::Connect).
        connection: u64,
        /// Chosen by the client, to know the answer by.
        transaction: u32,
        /// What is announced.
        announce: Announce,
        /// What follows: options of BEP 41, see [`url_data`].
        options: &'a [u8],
    },
    /// Scrapes.
    Scrape {
        /// From the answer to [`Connect`](Self::Connect).
        connection: u64,
        /// Chosen by the client, to know the answer by.
        transaction: u32,
        /// Info-hashes of 20 bytes each; at most [`MAX_SCRAPE`] are looked at.
        info_hashes: &'a [u8],
    },
}

impl<'a> Request<'a> {
    /// Reads a datagram; `None` where it is no request.
    #[must_use]
    pub fn decode(datagram: &'a [u8]) -> Option<Self> {
        let mut from = Reader(datagram);
        let connection = from.u64()?;
        let action = from.u32()?;
        let transaction = from.u32()?;
        Some(match action {
            CONNECT if connection == PROTOCOL => Self::Connect { transaction },
            ANNOUNCE => {
                let announce = read_announce(&mut from)?;
                Self::Announce { connection, transaction, announce, options: from.0 }
            }
            SCRAPE if from.0.len() >= 20 => {
                let end = from.0.len().min(20 * MAX_SCRAPE) / 20 * 20;
                Self::Scrape { connection, transaction, info_hashes: &from.0[..end] }
            }
            _ => return None,
        })
    }

    /// Writes the datagram.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let head = |connection: u64, action: u32, transaction: u32| {
            let mut bytes = Vec::with_capacity(ANNOUNCE_LENGTH);
            bytes.extend_from_slice(&connection.to_be_bytes());
            bytes.extend_from_slice(&action.to_be_bytes());
            bytes.extend_from_slice(&transaction.to_be_bytes());
            bytes
        };
        match *self {
            Self::Connect { transaction } => head(PROTOCOL, CONNECT, transaction),
            Self::Announce { connection, transaction, announce, options } => {
                let mut bytes = head(connection, ANNOUNCE, transaction);
                write_announce(&announce, &mut bytes);
                bytes.extend_from_slice(options);
                bytes
            }
            Self::Scrape { connection, transaction, info_hashes } => {
                let mut bytes = head(connection, SCRAPE, transaction);
                bytes.extend_from_slice(info_hashes);
                bytes
            }
        }
    }
}

fn read_announce(from: &mut Reader<'_>) -> Option<Announce> {
    let (info_hash, peer_id) = (SwarmHash(from.array()?), PeerId(from.array()?));
    let (downloaded, left, uploaded) = (from.u64()?, from.u64()?, from.u64()?);
    let event = AnnounceEvent::from_number(from.u32()?)?;
    // The address to announce instead of the sender's is skipped: it would let people announce others (BEP 7).
    let _ip = from.u32()?;
    let (key, want) = (from.u32()?, from.u32()?);
    let port = from.u16()?;
    // -1 stands for "as you like"; other negative numbers can mean nothing else.
    let want = i32::try_from(want).is_ok().then_some(want);
    Some(Announce { info_hash, peer_id, port, uploaded, downloaded, left, event, key, want })
}

fn write_announce(announce: &Announce, to: &mut Vec<u8>) {
    to.extend_from_slice(&announce.info_hash.0);
    to.extend_from_slice(&announce.peer_id.0);
    for number in [announce.downloaded, announce.left, announce.uploaded] {
        to.extend_from_slice(&number.to_be_bytes());
    }
    let want = announce.want.map_or(u32::MAX, |want| want.min(i32::MAX as u32));
    for number in [announce.event.number(), 0, announce.key, want] {
        to.extend_from_slice(&number.to_be_bytes());
    }
    to.extend_from_slice(&announce.port.to_be_bytes());
}

/// The options that tell a tracker path and query of its URL (BEP 41); nothing where there are none.
#[must_use]
pub fn url_options(path_and_query: &str) -> Vec<u8> {
    let mut options = Vec::new();
    for chunk in path_and_query.as_bytes().chunks(255) {
        options.extend_from_slice(&[URL_DATA, chunk.len() as u8]);
        options.extend_from_slice(chunk);
    }
    options
}

/// Path and query that stand in the options of an announce (BEP 41). Options that break off end the list.
#[must_use]
pub fn url_data(options: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    let mut left = options;
    while let Some((&kind, rest)) = left.split_first() {
        left = match (kind, rest.split_first()) {
            (END_OF_OPTIONS, _) => break,
            (NOP, _) => rest,
            (_, Some((&length, rest))) if rest.len() >= usize::from(length) => {
                let (content, rest) = rest.split_at(usize::from(length));
                if kind == URL_DATA {
                    data.extend_from_slice(content);
                }
                rest
            }
            _ => break,
        };
    }
    data
}

/// What a tracker sends, borrowing the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response<'a> {
    /// Here is a connection id.
    Connect {
        /// To name in requests, for a minute.
        connection: u64,
    },
    /// You are announced.
    Announce {
        /// Seconds until the next announce.
        interval: u32,
        /// Peers that have not everything.
        leechers: u32,
        /// Peers that have everything.
        seeds: u32,
        /// Packed addresses; see [`peers`].
        peers: &'a [u8],
    },
    /// The numbers of the swarms in the order of the request.
    Scrape {
        /// Twelve bytes a swarm; see [`scrape_counts`].
        counts: &'a [u8],
    },
    /// The tracker refuses.
    Error {
        /// Its words.
        message: &'a [u8],
    },
}

impl<'a> Response<'a> {
    /// The transaction that a datagram answers, if it answers any.
    #[must_use]
    pub fn transaction(datagram: &[u8]) -> Option<u32> {
        let mut from = Reader(datagram);
        let action = from.u32()?;
        let transaction = from.u32()?;
        (action <= ERROR).then_some(transaction)
    }

    /// Reads a datagram. What follows the known fields is not looked at.
    ///
    /// # Errors
    /// If it is too short for what it says it is, or says nothing known.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, ResponseError> {
        let mut from = Reader(datagram);
        let mut decode = || {
            let action = from.u32()?;
            from.u32()?;
            Some(match action {
                CONNECT => Ok(Self::Connect { connection: from.u64()? }),
                ANNOUNCE => {
                    let (interval, leechers, seeds) = (from.u32()?, from.u32()?, from.u32()?);
                    Ok(Self::Announce { interval, leechers, seeds, peers: from.0 })
                }
                SCRAPE => Ok(Self::Scrape { counts: from.0 }),
                ERROR => Ok(Self::Error { message: from.0 }),
                _ => Err(ResponseError::WrongAction),
            })
        };
        decode().unwrap_or(Err(ResponseError::TooShort))
    }

    /// Writes the datagram.
    #[must_use]
    pub fn encode(&self, transaction: u32) -> Vec<u8> {
        let (action, numbers, rest): (u32, &[u32], &[u8]) = match *self {
            Self::Connect { connection } => (CONNECT, &[(connection >> 32) as u32, connection as u32], &[]),
            Self::Announce { interval, leechers, seeds, peers } => {
                (ANNOUNCE, &[interval, leechers, seeds], peers)
            }
            Self::Scrape { counts } => (SCRAPE, &[], counts),
            Self::Error { message } => (ERROR, &[], message),
        };
        let mut bytes = Vec::with_capacity(20 + rest.len());
        for number in [action, transaction].iter().chain(numbers) {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(rest);
        bytes
    }
}

/// The addresses in an announce response. Their form is that of the address the datagram came from.
pub fn peers(packed: &[u8], from: SocketAddr) -> impl Iterator<Item = SocketAddr> + '_ {
    read_peers(packed, if from.ip().to_canonical().is_ipv4() { V4_LENGTH } else { V6_LENGTH })
}

/// Packs addresses for an announce response.
#[must_use]
pub fn pack_peers(peers: impl IntoIterator<Item = SocketAddr>) -> Vec<u8> {
    let mut packed = Vec::new();
    peers.into_iter().for_each(|peer| write_peer(peer, &mut packed));
    packed
}

/// The numbers in a scrape response.
pub fn scrape_counts(packed: &[u8]) -> impl Iterator<Item = ScrapeCounts> + '_ {
    packed.chunks_exact(12).filter_map(|counts| {
        let mut from = Reader(counts);
        Some(ScrapeCounts { seeds: from.u32()?, downloads: from.u32()?, leechers: from.u32()? })
    })
}

/// Packs the numbers for a scrape response.
#[must_use]
pub fn pack_counts(counts: impl IntoIterator<Item = ScrapeCounts>) -> Vec<u8> {
    let numbers = counts.into_iter().flat_map(|counts| [counts.seeds, counts.downloads, counts.leechers]);
    numbers.flat_map(u32::to_be_bytes).collect()
}

/// Takes from the front, and gives nothing where too little is left.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
}
