//! Hosts that are named by text.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;

/// Bytes of a host name (RFC 1035).
const MAX_HOST_BYTES: usize = 255;

/// A host and its port: a name that is still to be resolved, or an address. Peers in magnet links (BEP 9) and nodes in
/// .torrent files (BEP 5) come so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    host: String,
    port: u16,
}

/// The text is not `name:port`, `1.2.3.4:port` or `[1::2]:port`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not of the form `host:port`")]
pub struct HostPortError;

impl HostPort {
    /// A host name or an address (IPv6 without brackets), and a port that is not 0.
    ///
    /// # Errors
    /// If it could name no host.
    pub fn new(host: &str, port: u16) -> Result<Self, HostPortError> {
        let is_name = |host: &str| {
            host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        };
        let fits = !host.is_empty() && host.len() <= MAX_HOST_BYTES && port != 0;
        if fits && (is_name(host) || host.parse::<IpAddr>().is_ok()) {
            return Ok(Self { host: host.to_owned(), port });
        }
        Err(HostPortError)
    }

    /// The name or address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, never 0.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address, if it is one and no name.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.host.parse().ok()?, self.port))
    }
}

impl FromStr for HostPort {
    type Err = HostPortError;
    fn from_str(text: &str) -> Result<Self, HostPortError> {
        let (host, port) = text.rsplit_once(':').ok_or(HostPortError)?;
        let host = match host.strip_prefix('[') {
            Some(inner) => {
                inner.strip_suffix(']').filter(|inner| inner.contains(':')).ok_or(HostPortError)?
            }
            None if host.contains(':') => return Err(HostPortError),
            None => host,
        };
        if !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(HostPortError);
        }
        Self::new(host, port.parse().map_err(|_| HostPortError)?)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_and_written_alike() {
        for text in ["a.example:6881", "1.2.3.4:1", "[2001:db8::1]:65535", "my_host-1:80"] {
            assert_eq!(text.parse::<HostPort>().map(|host| host.to_string()), Ok(text.to_owned()), "{text}");
        }
        for text in
            ["", "a", "a:", ":1", "a:0", "a:65536", "a:+1", "::1:80", "[a]:1", "[::1:80", "a b:1", "a\n:1"]
        {
            assert_eq!(text.parse::<HostPort>(), Err(HostPortError), "{text}");
        }
        assert!("[::1]:80".parse::<HostPort>().is_ok_and(|host| host.address().is_some()));
        assert!("name:80".parse::<HostPort>().is_ok_and(|host| host.address().is_none()));
    }
}
