//! What can be wrong with an answer.

use downpour_bencode::DecodeError;
use thiserror::Error;

/// Why a tracker's answer is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// It is not bencode.
    #[error(transparent)]
    Bencode(#[from] DecodeError),
    /// It is bencode, but not a dictionary.
    #[error("it is not a dictionary")]
    NotADictionary,
    /// Compact peers whose length does not divide (BEP 7, 23), or peers that are neither a string nor a list.
    #[error("its peers are neither compact nor a list")]
    Peers,
    /// A scrape without the swarm that was asked for.
    #[error("it does not name the swarm that was asked for")]
    MissingSwarm,
    /// A datagram that is too short for what it says it is (BEP 15).
    #[error("it is too short")]
    TooShort,
    /// A datagram that answers something else than what was asked (BEP 15).
    #[error("it answers something else")]
    WrongAction,
}
