//! What both sides of an announce have in common.

use core::fmt;

/// Why an announce is made (BEP 3 `event`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum AnnounceEvent {
    /// It is time again.
    #[default]
    None,
    /// The download is complete. Not sent by who was complete at the start.
    Completed,
    /// The first announce.
    Started,
    /// The last announce.
    Stopped,
}

impl AnnounceEvent {
    /// As it stands in a query; nothing for [`None`](Self::None).
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Completed => Some("completed"),
            Self::Started => Some("started"),
            Self::Stopped => Some("stopped"),
        }
    }

    /// The number in a datagram (BEP 15).
    #[must_use]
    pub fn number(self) -> u32 {
        self as u32
    }

    /// The event with this number (BEP 15).
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        [Self::None, Self::Completed, Self::Started, Self::Stopped].into_iter().nth(number as usize)
    }
}

impl fmt::Display for AnnounceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().unwrap_or("regular"))
    }
}

/// Which swarm a tracker is asked about: 20 bytes, the v1 info-hash or the start of the v2 info-hash (BEP 52).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SwarmHash(pub [u8; 20]);

impl From<downpour_base::InfoHash> for SwarmHash {
    /// The v1 hash where there is one, else the v2 hash, cut.
    fn from(info_hash: downpour_base::InfoHash) -> Self {
        use downpour_base::InfoHash;
        match info_hash {
            InfoHash::V1(v1) | InfoHash::Hybrid(v1, _) => Self(v1.0),
            InfoHash::V2(v2) => {
                let mut cut = [0; 20];
                cut.copy_from_slice(&v2.0[..20]);
                Self(cut)
            }
        }
    }
}

impl fmt::Display for SwarmHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SwarmHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SwarmHash({self})")
    }
}

impl core::str::FromStr for SwarmHash {
    type Err = downpour_base::ParseHexError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<downpour_base::InfoHashV1>().map(|v1| Self(v1.0))
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for SwarmHash {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// What a client tells a tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announce {
    /// Which swarm.
    pub info_hash: SwarmHash,
    /// What the client calls itself.
    pub peer_id: downpour_base::PeerId,
    /// The port that peers can reach it on.
    pub port: u16,
    /// Bytes of payload sent.
    pub uploaded: u64,
    /// Bytes of payload received.
    pub downloaded: u64,
    /// Bytes that are missing.
    pub left: u64,
    /// Why it announces.
    pub event: AnnounceEvent,
    /// By which a tracker knows it again at another address (BEP 7).
    pub key: u32,
    /// How many peers it would like to hear of; `None` for as many as the tracker likes.
    pub want: Option<u32>,
}
