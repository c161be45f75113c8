//! The messages after the handshake.

use bytes::{BufMut, Bytes, BytesMut};
use downpour_base::Block;
use nom::IResult;
use nom::Parser;
use nom::combinator::{all_consuming, map};
use nom::number::complete::{be_u16, be_u32};
use thiserror::Error;

use crate::ExtensionId;
use crate::extension::ExtensionHandshake;
use crate::limits::MAX_BLOCK_LENGTH;

pub(crate) mod id {
    pub(crate) const CHOKE: u8 = 0;
    pub(crate) const UNCHOKE: u8 = 1;
    pub(crate) const INTERESTED: u8 = 2;
    pub(crate) const NOT_INTERESTED: u8 = 3;
    pub(crate) const HAVE: u8 = 4;
    pub(crate) const BITFIELD: u8 = 5;
    pub(crate) const REQUEST: u8 = 6;
    pub(crate) const PIECE: u8 = 7;
    pub(crate) const CANCEL: u8 = 8;
    pub(crate) const PORT: u8 = 9;
    pub(crate) const SUGGEST: u8 = 13;
    pub(crate) const HAVE_ALL: u8 = 14;
    pub(crate) const HAVE_NONE: u8 = 15;
    pub(crate) const REJECT: u8 = 16;
    pub(crate) const ALLOWED_FAST: u8 = 17;
    pub(crate) const EXTENDED: u8 = 20;
}

/// The length of a `piece` message without its content: prefix, id, index, begin.
pub const PIECE_HEADER_LENGTH: usize = 13;

/// A message of the peer protocol, but for `piece`, whose content is never held here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Message {
    /// Nothing, every two minutes.
    KeepAlive,
    /// No more data for you.
    Choke,
    /// Ask for data.
    Unchoke,
    /// You have what I want.
    Interested,
    /// You have nothing that I want.
    NotInterested,
    /// I have this piece now.
    Have(u32),
    /// I have these pieces; the format of [`Bitfield`](downpour_base::Bitfield).
    Bitfield(Bytes),
    /// Send me this block.
    Request(Block),
    /// Never mind this block.
    Cancel(Block),
    /// My DHT node listens on this UDP port (BEP 5).
    Port(u16),
    /// You might like to download this piece (BEP 6).
    Suggest(u32),
    /// I have everything (BEP 6).
    HaveAll,
    /// I have nothing (BEP 6).
    HaveNone,
    /// You will not get this block (BEP 6).
    Reject(Block),
    /// You may ask for this piece even when choked (BEP 6).
    AllowedFast(u32),
    /// What extensions I speak, and other facts (BEP 10).
    ExtensionHandshake(ExtensionHandshake),
    /// A message of an extension that is in our registry (BEP 10).
    Extended {
        /// Which one.
        extension: ExtensionId,
        /// Its body.
        payload: Bytes,
    },
}

/// A message's body does not fit its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum MessageError {
    /// Too few or too many bytes.
    #[error("a message (id {id}) has a body of {length} bytes")]
    Length {
        /// The message's id.
        id: u8,
        /// How long its body is.
        length: usize,
    },
    /// A block longer than [`MAX_BLOCK_LENGTH`], or empty.
    #[error("a block of {0} bytes, expected 1 to 16384")]
    BlockLength(u32),
}

fn block(input: &[u8]) -> IResult<&[u8], Block> {
    let fields = (be_u32, be_u32, be_u32);
    map(fields, |(piece, begin, length)| Block { piece, begin, length }).parse(input)
}

impl Message {
    /// Reads the body of message `id`, `None` if the id is unknown (BEP 3 has no rule; everybody ignores them).
    /// `piece` and `extended` are the connection's.
    pub(crate) fn decode(id: u8, body: &Bytes) -> Result<Option<Self>, MessageError> {
        let wrong_length = || MessageError::Length { id, length: body.len() };
        let empty = |message| if body.is_empty() { Ok(Some(message)) } else { Err(wrong_length()) };
        let index = || match all_consuming(be_u32::<_, nom::error::Error<_>>).parse(&body[..]) {
            Ok((_, index)) => Ok(index),
            Err(_) => Err(wrong_length()),
        };
        let block = || match all_consuming(block).parse(&body[..]) {
            Ok((_, block)) => check_block(block),
            Err(_) => Err(wrong_length()),
        };
        Ok(Some(match id {
            id::CHOKE => return empty(Self::Choke),
            id::UNCHOKE => return empty(Self::Unchoke),
            id::INTERESTED => return empty(Self::Interested),
            id::NOT_INTERESTED => return empty(Self::NotInterested),
            id::HAVE_ALL => return empty(Self::HaveAll),
            id::HAVE_NONE => return empty(Self::HaveNone),
            id::HAVE => Self::Have(index()?),
            id::SUGGEST => Self::Suggest(index()?),
            id::ALLOWED_FAST => Self::AllowedFast(index()?),
            id::BITFIELD => Self::Bitfield(body.clone()),
            id::REQUEST => Self::Request(block()?),
            id::CANCEL => Self::Cancel(block()?),
            id::REJECT => Self::Reject(block()?),
            id::PORT => match all_consuming(be_u16::<_, nom::error::Error<_>>).parse(&body[..]) {
                Ok((_, port)) => Self::Port(port),
                Err(_) => return Err(wrong_length()),
            },
            _ => return Ok(None),
        }))
    }

    /// Writes the message with its length prefix. Extended messages need the peer's ids and are the
    /// connection's; here they write nothing.
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        let plain = |out: &mut BytesMut, id: u8| {
            out.put_u32(1);
            out.put_u8(id);
        };
        let index = |out: &mut BytesMut, id: u8, index: u32| {
            out.put_u32(5);
            out.put_u8(id);
            out.put_u32(index);
        };
        let block = |out: &mut BytesMut, id: u8, block: &Block| {
            out.put_u32(13);
            out.put_u8(id);
            out.put_u32(block.piece);
            out.put_u32(block.begin);
            out.put_u32(block.length);
        };
        match self {
            Self::KeepAlive => out.put_u32(0),
            Self::Choke => plain(out, id::CHOKE),
            Self::Unchoke => plain(out, id::UNCHOKE),
            Self::Interested => plain(out, id::INTERESTED),
            Self::NotInterested => plain(out, id::NOT_INTERESTED),
            Self::HaveAll => plain(out, id::HAVE_ALL),
            Self::HaveNone => plain(out, id::HAVE_NONE),
            Self::Have(piece) => index(out, id::HAVE, *piece),
            Self::Suggest(piece) => index(out, id::SUGGEST, *piece),
            Self::AllowedFast(piece) => index(out, id::ALLOWED_FAST, *piece),
            Self::Request(wanted) => block(out, id::REQUEST, wanted),
            Self::Cancel(wanted) => block(out, id::CANCEL, wanted),
            Self::Reject(wanted) => block(out, id::REJECT, wanted),
            Self::Bitfield(bits) => {
                out.put_u32(1 + bits.len() as u32);
                out.put_u8(id::BITFIELD);
                out.put_slice(bits);
            }
            Self::Port(port) => {
                out.put_u32(3);
                out.put_u8(id::PORT);
                out.put_u16(*port);
            }
            Self::ExtensionHandshake(_) | Self::Extended { .. } => {}
        }
    }
}

pub(crate) fn check_block(block: Block) -> Result<Block, MessageError> {
    if block.length == 0 || block.length > MAX_BLOCK_LENGTH {
        return Err(MessageError::BlockLength(block.length));
    }
    Ok(block)
}

/// What goes before the content of `block` in a `piece` message.
#[must_use]
pub fn piece_header(block: Block) -> [u8; PIECE_HEADER_LENGTH] {
    let mut header = [0; PIECE_HEADER_LENGTH];
    header[..4].copy_from_slice(&(9 + block.length).to_be_bytes());
    header[4] = id::PIECE;
    header[5..9].copy_from_slice(&block.piece.to_be_bytes());
    header[9..].copy_from_slice(&block.begin.to_be_bytes());
    header
}
