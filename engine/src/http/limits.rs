//! What a server may make us do.

use std::time::Duration;

/// Bytes of a status line with all headers.
pub(crate) const MAX_HEADER_BYTES: usize = 32 << 10;
/// Headers of one answer.
pub(crate) const MAX_HEADERS: usize = 100;
/// Addresses of one name that are tried.
pub(crate) const MAX_ADDRESSES: usize = 4;
/// How long one address may take to answer while there are others.
pub(crate) const ADDRESS_TIMEOUT: Duration = Duration::from_secs(5);
/// Characters of a URL.
pub(crate) const MAX_URL_BYTES: usize = 8 << 10;
/// Characters that an error text quotes of what a server sent.
pub(crate) const MAX_QUOTED: usize = 200;

/// How much one request may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the body, before and after it is unpacked.
    pub body_bytes: usize,
    /// How often the server may send us elsewhere.
    pub redirects: u32,
    /// How long everything may take.
    pub total: Duration,
    /// How long nothing may happen: no connection, no answer, no next bytes.
    pub idle: Duration,
}

impl Limits {
    /// For .torrent files.
    pub const TORRENT: Self = Self {
        body_bytes: 64 << 20,
        redirects: 5,
        total: Duration::from_secs(300),
        idle: Duration::from_secs(20),
    };
    /// For a tracker's answers.
    pub const TRACKER: Self = Self {
        body_bytes: 2 << 20,
        redirects: 5,
        total: Duration::from_secs(60),
        idle: Duration::from_secs(20),
    };
}
