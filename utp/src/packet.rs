//! The packet: header, extensions, payload.

use thiserror::Error;

use crate::limits::MAX_SELECTIVE_BYTES;

/// The length of the header without extensions, in bytes.
pub const HEADER_LENGTH: usize = 20;

/// The version that there is.
const VERSION: u8 = 1;
/// The extension that acknowledges packets out of order (BEP 29).
const SELECTIVE_ACK: u8 = 1;
/// An extension that nobody knows, which all skip: it makes probes longer without making their payload longer.
const PADDING: u8 = 0x7f;

/// What a packet is for (BEP 29, "type").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Carries payload.
    Data,
    /// The sender has nothing more to say.
    Fin,
    /// An acknowledgement alone.
    State,
    /// The connection is not known, or given up.
    Reset,
    /// Opens a connection.
    Syn,
}

/// Why a datagram is not a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PacketError {
    /// Shorter than a header.
    #[error("{0} bytes are too few for a uTP header")]
    Short(usize),
    /// Another version of the protocol.
    #[error("uTP version {0}, expected 1")]
    Version(u8),
    /// A type that there is not.
    #[error("unknown packet type {0}")]
    Kind(u8),
    /// An extension that is longer than the datagram.
    #[error("an extension exceeds the packet")]
    Extension,
}

/// The fixed part of a packet (BEP 29, "header format").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the packet is for.
    pub kind: Kind,
    /// The connection, as its receiver calls it.
    pub connection_id: u16,
    /// The sender's clock, in microseconds.
    pub timestamp: u32,
    /// The last packet's travel time as its receiver measured it, in microseconds; the clocks' difference is in it.
    pub timestamp_difference: u32,
    /// How many bytes the sender's receive buffer has room for.
    pub window: u32,
    /// The packet's number.
    pub sequence: u16,
    /// The number of the last packet before which none is missing.
    pub acknowledged: u16,
}

/// A packet that was taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The fixed part.
    pub header: Header,
    /// The bits of the selective acknowledgement: the lowest bit of the first byte is `acknowledged + 2`.
    pub selective: Option<&'a [u8]>,
    /// What follows header and extensions.
    pub payload: &'a [u8],
}

/// Whether a datagram can be a uTP packet, by its first bytes. On a socket that is shared with DHT and UDP trackers:
/// bencoded messages begin with `d`, and a tracker's answer with a zero byte, so neither is mistaken.
#[must_use]
pub fn is_utp(datagram: &[u8]) -> bool {
    datagram.len() >= HEADER_LENGTH && datagram[0] & 0x0f == VERSION && datagram[0] >> 4 <= 4
}

impl<'a> Packet<'a> {
    /// Takes a datagram apart. Extensions that are not known are skipped; of selective acknowledgements the first
    /// counts.
    ///
    /// # Errors
    /// If it is no packet of uTP version 1.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, PacketError> {
        let short = PacketError::Short(datagram.len());
        let (fixed, mut rest) = datagram.split_first_chunk::<HEADER_LENGTH>().ok_or(short)?;
        if fixed[0] & 0x0f != VERSION {
            return Err(PacketError::Version(fixed[0] & 0x0f));
        }
        let kind = match fixed[0] >> 4 {
            0 => Kind::Data,
            1 => Kind::Fin,
            2 => Kind::State,
            3 => Kind::Reset,
            4 => Kind::Syn,
            other => return Err(PacketError::Kind(other)),
        };
        let short = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
        let long = |at: usize| u32::from(short(at)) << 16 | u32::from(short(at + 2));
        let header = Header {
            kind,
            connection_id: short(2),
            timestamp: long(4),
            timestamp_difference: long(8),
            window: long(12),
            sequence: short(16),
            acknowledged: short(18),
        };
        let mut selective = None;
        let mut extension = fixed[1];
        while extension != 0 {
            let (&[next, length], after) = rest.split_first_chunk().ok_or(PacketError::Extension)?;
            let (body, after) = after.split_at_checked(length.into()).ok_or(PacketError::Extension)?;
            if extension == SELECTIVE_ACK && selective.is_none() {
                selective = Some(body);
            }
            (extension, rest) = (next, after);
        }
        Ok(Self { header, selective, payload: rest })
    }
}

impl Header {
    /// Appends the header, and the selective acknowledgement if it has bits. `padding` more bytes make a probe of
    /// the path longer; what is too short for an extension of its own is left out.
    pub(crate) fn encode(&self, selective: &[u8], padding: usize, out: &mut Vec<u8>) {
        debug_assert!(selective.len() <= MAX_SELECTIVE_BYTES, "a length is one byte");
        let number = match self.kind {
            Kind::Data => 0,
            Kind::Fin => 1,
            Kind::State => 2,
            Kind::Reset => 3,
            Kind::Syn => 4,
        };
        let padded = if padding >= 2 { PADDING } else { 0 };
        let first = if selective.is_empty() { padded } else { SELECTIVE_ACK };
        let mut fixed = [0; HEADER_LENGTH];
        fixed[0] = number << 4 | VERSION;
        fixed[1] = first;
        fixed[2..4].copy_from_slice(&self.connection_id.to_be_bytes());
        fixed[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        fixed[8..12].copy_from_slice(&self.timestamp_difference.to_be_bytes());
        fixed[12..16].copy_from_slice(&self.window.to_be_bytes());
        fixed[16..18].copy_from_slice(&self.sequence.to_be_bytes());
        fixed[18..20].copy_from_slice(&self.acknowledged.to_be_bytes());
        out.extend_from_slice(&fixed);
        if !selective.is_empty() {
            out.extend_from_slice(&[padded, selective.len() as u8]);
            out.extend_from_slice(selective);
        }
        let mut left = padding;
        while left >= 2 {
            // What stays must be nothing or again an extension of at least two bytes.
            let whole = left.min(257);
            let part = if left - whole == 1 { whole - 1 } else { whole };
            left -= part;
            let next = if left >= 2 { PADDING } else { 0 };
            out.extend_from_slice(&[next, (part - 2) as u8]);
            out.resize(out.len() + part - 2, 0);
        }
    }
}

/// How many bytes a selective acknowledgement of `bits` bytes takes in the packet.
pub(crate) const fn selective_length(bits: usize) -> usize {
    if bits == 0 { 0 } else { bits + 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        kind: Kind::Data,
        connection_id: 0x1234,
        timestamp: 0xdead_beef,
        timestamp_difference: 0x0102_0304,
        window: 0x0010_0000,
        sequence: 0xfffe,
        acknowledged: 7,
    };

    #[test]
    fn what_is_encoded_is_decoded_with_every_padding() {
        for selective in [&[][..], &[1, 2, 3, 4], &[0xff; 128]] {
            for padding in 0..1000 {
                let mut bytes = Vec::new();
                HEADER.encode(selective, padding, &mut bytes);
                let padding = if padding < 2 { 0 } else { padding };
                assert_eq!(bytes.len(), HEADER_LENGTH + selective_length(selective.len()) + padding);
                bytes.extend_from_slice(b"payload");
                assert!(is_utp(&bytes));
                let packet = Packet::decode(&bytes).expect("well-formed");
                assert_eq!(packet.header, HEADER);
                assert_eq!(packet.selective.unwrap_or_default(), selective);
                assert_eq!(packet.payload, b"payload");
            }
        }
    }

    #[test]
    fn malformed_packets_are_named() {
        let mut bytes = Vec::new();
        HEADER.encode(&[0; 4], 0, &mut bytes);
        assert_eq!(Packet::decode(&bytes[..19]), Err(PacketError::Short(19)));
        assert_eq!(Packet::decode(&bytes[..25]), Err(PacketError::Extension));
        assert_eq!(Packet::decode(&bytes[..21]), Err(PacketError::Extension));
        let with = |first| [&[first], &bytes[1..]].concat();
        assert_eq!(Packet::decode(&with(0x02)), Err(PacketError::Version(2)));
        assert_eq!(Packet::decode(&with(0x51)), Err(PacketError::Kind(5)));
        assert!(!is_utp(b"d1:ad2:id20:abcdefghij0123456789e"));
    }
}
