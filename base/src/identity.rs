//! Who and what: info-hashes, peers, nodes, connections.

use core::fmt;
use core::net::SocketAddr;
use core::str::FromStr;

/// A text is not the hexadecimal form of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseHexError {
    /// How many hexadecimal digits were expected.
    pub expected_digits: usize,
}

impl fmt::Display for ParseHexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} hexadecimal digits", self.expected_digits)
    }
}

impl std::error::Error for ParseHexError {}

macro_rules! identity {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// The length in bytes.
            pub const LEN: usize = $len;
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseHexError;
            fn from_str(text: &str) -> Result<Self, ParseHexError> {
                let error = ParseHexError { expected_digits: 2 * $len };
                let text = text.as_bytes();
                if text.len() != 2 * $len {
                    return Err(error);
                }
                let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(error);
                let mut bytes = [0; $len];
                for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
                    *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
                }
                Ok(Self(bytes))
            }
        }

        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                <&str>::deserialize(from)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

identity! {
    /// The SHA-1 of a v1 info dictionary (BEP 3).
    InfoHashV1, 20
}
identity! {
    /// The SHA-256 of a v2 info dictionary (BEP 52).
    InfoHashV2, 32
}
identity! {
    /// What a peer calls itself in the handshake (BEP 3, BEP 20). Chosen by the peer, so it proves nothing.
    PeerId, 20
}
identity! {
    /// The position of a node in the distributed hash table (BEP 5).
    NodeId, 20
}

/// Which torrent: the hash of its info dictionary, in one or both versions of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum InfoHash {
    /// A v1 torrent.
    V1(InfoHashV1),
    /// A v2-only torrent.
    V2(InfoHashV2),
    /// A hybrid: one info dictionary that is valid in both versions, and so has both hashes.
    Hybrid(InfoHashV1, InfoHashV2),
}

impl InfoHash {
    /// The v1 hash, if the torrent has one.
    #[must_use]
    pub fn v1(&self) -> Option<InfoHashV1> {
        match *self {
            Self::V1(v1) | Self::Hybrid(v1, _) => Some(v1),
            Self::V2(_) => None,
        }
    }

    /// The v2 hash, if the torrent has one.
    #[must_use]
    pub fn v2(&self) -> Option<InfoHashV2> {
        match *self {
            Self::V2(v2) | Self::Hybrid(_, v2) => Some(v2),
            Self::V1(_) => None,
        }
    }
}

impl fmt::Display for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V1(v1) => v1.fmt(f),
            Self::V2(v2) => v2.fmt(f),
            Self::Hybrid(v1, v2) => write!(f, "{v1}+{v2}"),
        }
    }
}

/// Where a peer can be reached, and over which transport.
///
/// Peers are known by this and by [`ConnectionId`], never by a bare address, so that uTP, WebRTC or I2P
/// peers need no second code path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum PeerEndpoint {
    /// A TCP listener.
    Tcp(SocketAddr),
    /// A uTP socket (BEP 29).
    Utp(SocketAddr),
}

impl PeerEndpoint {
    /// The address, if the transport has one.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match *self {
            Self::Tcp(address) | Self::Utp(address) => Some(address),
        }
    }
}

impl fmt::Display for PeerEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Utp(address) => write!(f, "utp://{address}"),
        }
    }
}

/// One connection to a peer. Numbers are not used twice in the life of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ConnectionId(pub u64);

/// One torrent in a session. Numbers are not used twice in the life of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TorrentId(pub u64);
