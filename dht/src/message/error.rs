//! What can be wrong with a message, and how it is said.

use downpour_bencode::DecodeError;
use thiserror::Error;

/// A datagram that is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{fault}")]
pub struct MessageError<'a> {
    /// The transaction of a query that can be answered with an error.
    pub query: Option<&'a [u8]>,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// More bytes than [`MAX_INCOMING_BYTES`](crate::limits::MAX_INCOMING_BYTES).
    #[error("a datagram of {0} bytes")]
    TooLong(usize),
    /// Not bencode, or too deep, or too many values.
    #[error("not a bencoded message: {0}")]
    Bencode(#[from] DecodeError),
    /// Not a dictionary.
    #[error("a message that is not a dictionary")]
    NotADictionary,
    /// A field is not there.
    #[error("no field \"{0}\"")]
    Missing(&'static str),
    /// A field is there, and not what it should be.
    #[error("\"{0}\" is not {1}")]
    Wrong(&'static str, &'static str),
}

/// Why a query is refused, with the numbers of BEP 5 and BEP 44.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// 201.
    Generic,
    /// 202: it could not be done here.
    Server,
    /// 203: malformed, wrong arguments, or a bad token.
    Protocol,
    /// 204.
    MethodUnknown,
    /// 205: the value of an item is too big.
    ValueTooBig,
    /// 206.
    InvalidSignature,
    /// 207.
    SaltTooBig,
    /// 301: another version is stored than `cas` says.
    CasMismatch,
    /// 302: a later version is stored.
    SequenceTooLow,
}

impl ErrorCode {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Self::Generic => 201,
            Self::Server => 202,
            Self::Protocol => 203,
            Self::MethodUnknown => 204,
            Self::ValueTooBig => 205,
            Self::InvalidSignature => 206,
            Self::SaltTooBig => 207,
            Self::CasMismatch => 301,
            Self::SequenceTooLow => 302,
        }
    }
}
