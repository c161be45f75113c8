//! The parts of a tracker URL that the protocol looks at. HTTP itself is the driver's.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use crate::limits::MAX_URL_LENGTH;

/// Why a text is not the URL of a tracker that can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Longer than [`MAX_URL_LENGTH`](crate::limits::MAX_URL_LENGTH).
    #[error("it is too long")]
    TooLong,
    /// It has characters that a URL cannot have.
    #[error("it has characters that a URL cannot have")]
    Characters,
    /// Neither `http://`, `https://` nor `udp://`.
    #[error("it starts with none of http://, https:// and udp://")]
    Scheme,
    /// There is no host in it.
    #[error("it names no host")]
    Host,
    /// The port is not one, or missing where there is no usual one (UDP).
    #[error("it names no port, or a wrong one")]
    Port,
}

/// How a tracker is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// BEP 3.
    Http,
    /// BEP 3, over TLS.
    Https,
    /// BEP 15.
    Udp,
}

/// A tracker URL in its parts, borrowing the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackerUrl<'a> {
    /// How it is asked.
    pub scheme: Scheme,
    /// A name or an address, without the brackets of IPv6.
    pub host: &'a str,
    /// The port; 80 and 443 where HTTP and HTTPS name none.
    pub port: u16,
    /// Path and query, as they stand there; empty or starting with `/` or `?`. What follows `#` is left out.
    pub path_and_query: &'a str,
    /// All before `#`.
    without_fragment: &'a str,
}

impl<'a> TrackerUrl<'a> {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// If it is not the URL of a tracker that can be asked.
    pub fn parse(text: &'a str) -> Result<Self, UrlError> {
        if text.len() > MAX_URL_LENGTH {
            return Err(UrlError::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)) {
            return Err(UrlError::Characters);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let (scheme, usual_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Scheme::Http, Some(80)),
            "https" => (Scheme::Https, Some(443)),
            "udp" => (Scheme::Udp, None),
            _ => return Err(UrlError::Scheme),
        };
        let without_fragment = text.split('#').next().unwrap_or(text);
        let rest = rest.split('#').next().unwrap_or(rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path_and_query) = rest.split_at(end);
        let authority = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => {
                host.parse::<Ipv6Addr>().map_err(|_| UrlError::Host)?;
                (
                    host,
                    if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(UrlError::Port)?) },
                )
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        if host.is_empty() || host.len() > 255 || host.contains(['[', ']', '%']) && !host.contains(':') {
            return Err(UrlError::Host);
        }
        let port = match port.filter(|port| !port.is_empty()) {
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                port.parse().ok().filter(|port| *port > 0)
            }
            Some(_) => None,
            None => usual_port,
        };
        Ok(Self { scheme, host, port: port.ok_or(UrlError::Port)?, path_and_query, without_fragment })
    }

    /// The address, if the host is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        let v4 = self.host.parse::<Ipv4Addr>().map(IpAddr::from);
        v4.or_else(|_| self.host.parse::<Ipv6Addr>().map(IpAddr::from)).ok()
    }

    /// The URL with nothing in the query, and what separates it from the query to come.
    pub(crate) fn with_query_open(&self) -> String {
        let text = self.without_fragment;
        let separator = match (self.path_and_query.contains('?'), text.ends_with(['?', '&'])) {
            (_, true) => "",
            (true, _) => "&",
            (false, _) if self.path_and_query.is_empty() => "/?",
            (false, _) => "?",
        };
        format!("{text}{separator}")
    }

    /// Where to scrape (BEP 48: `announce` in the path becomes `scrape`), with the query open; `None` where it has no
    /// `announce`.
    pub(crate) fn scrape_with_query_open(&self) -> Option<String> {
        let open = self.with_query_open();
        let start = self.without_fragment.len() - self.path_and_query.len();
        let path_end = self.path_and_query.find('?').unwrap_or(self.path_and_query.len());
        // Only the last part of the path is the script's name; a folder may be called so too.
        let name = self.path_and_query[..path_end].rfind('/')? + 1;
        let at = start + name;
        let rest = open[at..].strip_prefix("announce")?;
        Some(format!("{}scrape{rest}", &open[..at]))
    }
}

/// Writes `bytes` as they have to stand in a query (RFC 3986: all but the unreserved characters as `%XX`).
pub(crate) fn percent_encode(bytes: &[u8], to: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            to.push(char::from(byte));
        } else {
            to.push('%');
            to.push(char::from(DIGITS[usize::from(byte >> 4)]));
            to.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

/// Undoes `%XX`; a `%` without two digits stays, as a `+` does.
pub(crate) fn percent_decode(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_come_apart_and_wrong_ones_are_refused() {
        let parsed =
            |text| TrackerUrl::parse(text).map(|url| (url.scheme, url.host, url.port, url.path_and_query));
        assert_eq!(parsed("http://t.example/announce"), Ok((Scheme::Http, "t.example", 80, "/announce")));
        assert_eq!(parsed("HTTPS://u:p@t.example?a=b#c"), Ok((Scheme::Https, "t.example", 443, "?a=b")));
        assert_eq!(parsed("udp://[::1]:7/d?x"), Ok((Scheme::Udp, "::1", 7, "/d?x")));
        assert_eq!(parsed("http://t.example:/a"), Ok((Scheme::Http, "t.example", 80, "/a")));
        for (text, error) in [
            ("udp://t.example/announce", UrlError::Port),
            ("udp://t.example:0", UrlError::Port),
            ("http://t.example:+8/", UrlError::Port),
            ("http://t.example:65536/", UrlError::Port),
            ("http:///announce", UrlError::Host),
            ("http://[::zz]:1/", UrlError::Host),
            ("wss://t.example/", UrlError::Scheme),
            ("t.example:80", UrlError::Scheme),
            ("http://t.example/\r\nHost: x", UrlError::Characters),
            ("http://t.exämple/", UrlError::Characters),
        ] {
            assert_eq!(parsed(text), Err(error), "{text}");
        }
        let long = format!("http://t.example/{}", "a".repeat(MAX_URL_LENGTH));
        assert_eq!(parsed(&long), Err(UrlError::TooLong));
    }

    #[test]
    fn the_query_opens_where_it_has_to() {
        let open = |text| TrackerUrl::parse(text).map(|url| url.with_query_open());
        assert_eq!(open("http://t/a").as_deref(), Ok("http://t/a?"));
        assert_eq!(open("http://t/a?k=1#f").as_deref(), Ok("http://t/a?k=1&"));
        assert_eq!(open("http://t").as_deref(), Ok("http://t/?"));
    }

    #[test]
    fn scrape_takes_the_place_of_announce_in_the_last_part_of_the_path() {
        let scrape = |text| TrackerUrl::parse(text).ok().and_then(|url| url.scrape_with_query_open());
        assert_eq!(scrape("http://t/x/announce").as_deref(), Some("http://t/x/scrape?"));
        assert_eq!(
            scrape("http://t/announce.php?k=announce").as_deref(),
            Some("http://t/scrape.php?k=announce&")
        );
        assert_eq!(scrape("http://t/announce/x"), None);
        assert_eq!(scrape("http://t/a"), None);
        assert_eq!(scrape("http://announce"), None);
    }

    #[test]
    fn any_bytes_survive_a_query() {
        let all: Vec<u8> = (0..=255).collect();
        let mut text = String::new();
        percent_encode(&all, &mut text);
        assert!(text.is_ascii());
        assert_eq!(percent_decode(text.as_bytes()), all);
        assert_eq!(percent_decode(b"%zz%4"), b"%zz%4");
    }
}
