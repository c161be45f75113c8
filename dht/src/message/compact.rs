//! Addresses and nodes in few bytes ("compact" of BEP 5 and 32).

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use downpour_base::NodeId;

use crate::Family;

/// A node and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Contact {
    /// Its id.
    pub id: NodeId,
    /// Its address.
    pub address: SocketAddr,
}

/// Reads 4 or 16 bytes of address and 2 of port.
pub(crate) fn compact_address(bytes: &[u8]) -> Option<SocketAddr> {
    let (host, port) = bytes.split_last_chunk::<2>()?;
    let ip = match host.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(host).ok()?)),
        16 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(host).ok()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes(*port)))
}

/// Writes what [`compact_address`] reads.
pub(crate) fn push_address(address: &SocketAddr, out: &mut Vec<u8>) {
    match address.ip() {
        IpAddr::V4(v4) => out.extend_from_slice(&v4.octets()),
        IpAddr::V6(v6) => out.extend_from_slice(&v6.octets()),
    }
    out.extend_from_slice(&address.port().to_be_bytes());
}

/// Writes a node: id, address, port.
pub(crate) fn push_node(contact: &Contact, out: &mut Vec<u8>) {
    out.extend_from_slice(&contact.id.0);
    push_address(&contact.address, out);
}

/// Writes a peer as an item of `values`.
pub(crate) fn push_value(address: &SocketAddr, out: &mut Vec<u8>) {
    out.extend_from_slice(if address.is_ipv4() { b"6:" } else { b"18:" });
    push_address(address, out);
}

/// Nodes one after another: 26 bytes each in `nodes`, 38 in `nodes6`. A rest that is no whole node is passed over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Nodes<'a> {
    family: Family,
    bytes: &'a [u8],
}

impl<'a> Nodes<'a> {
    /// Nodes that are encoded in `bytes`.
    #[must_use]
    pub fn new(family: Family, bytes: &'a [u8]) -> Self {
        Self { family, bytes }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The nodes.
    pub fn iter(&self) -> impl Iterator<Item = Contact> + use<'a> {
        self.bytes.chunks_exact(Self::size(self.family)).filter_map(|node| {
            let (id, address) = node.split_first_chunk::<20>()?;
            Some(Contact { id: NodeId(*id), address: compact_address(address)? })
        })
    }

    /// Bytes of one node.
    pub(crate) const fn size(family: Family) -> usize {
        match family {
            Family::V4 => 26,
            Family::V6 => 38,
        }
    }
}

impl fmt::Debug for Nodes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Peers in `values`: a list of strings of 6 or 18 bytes. Others are passed over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Values<'a> {
    items: &'a [u8],
}

impl<'a> Values<'a> {
    /// From the encoded items of the list, one after another, without its `l` and `e`.
    #[must_use]
    pub fn from_items(items: &'a [u8]) -> Self {
        Self { items }
    }

    /// The encoded items.
    #[must_use]
    pub fn items(&self) -> &'a [u8] {
        self.items
    }

    /// The peers. What is not a list of strings ends it.
    pub fn iter(&self) -> impl Iterator<Item = SocketAddr> + use<'a> {
        let mut rest = self.items;
        core::iter::from_fn(move || {
            let (item, after) = string(rest)?;
            rest = after;
            Some(compact_address(item))
        })
        .flatten()
    }
}

/// The string at the start of `input`, and what follows it.
fn string(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = input.iter().take(8).position(|byte| *byte == b':')?;
    let (digits, rest) = input.split_at(colon);
    let length = digits.iter().try_fold(0usize, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + usize::from(digit - b'0'))
    })?;
    rest.get(1..)?.split_at_checked(length)
}

impl fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
