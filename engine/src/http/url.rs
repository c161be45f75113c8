//! As much of URLs as a client of HTTP needs.

use std::fmt;

use hyper::Uri;

use super::error::HttpError;
use super::limits::{MAX_QUOTED, MAX_URL_BYTES};

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) https: bool,
    /// Without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path and query.
    pub(crate) target: String,
    /// What an `Authorization` header says to this server, where the URL has a user name in it (RFC 7617).
    pub(crate) authorization: Option<String>,
}

impl Url {
    pub(crate) fn parse(text: &str) -> Result<Self, HttpError> {
        let wrong = |reason| HttpError::Url { url: quoted(text), reason };
        if text.len() > MAX_URL_BYTES {
            return Err(wrong("it is too long"));
        }
        let uri: Uri = ascii(text).parse().map_err(|_| wrong("it is malformed"))?;
        let https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("it starts with neither http:// nor https://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("it names no server"))?;
        let (user, place) = match authority.as_str().rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority.as_str()),
        };
        let name = authority.host();
        let host = name.trim_start_matches('[').trim_end_matches(']');
        let usual = if https { 443 } else { 80 };
        let port = match place.get(name.len()..).unwrap_or_default().trim_start_matches(':') {
            "" => usual,
            port => port.parse().map_err(|_| wrong("its port is not one"))?,
        };
        if host.is_empty() || port == 0 {
            return Err(wrong("it names no server"));
        }
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        let authorization = user.map(|user| format!("Basic {}", base64(&percent_decode(user))));
        Ok(Self { https, host: host.to_ascii_lowercase(), port, target, authorization })
    }

    /// Where a `Location` header of an answer from here leads (RFC 3986, section 5.2).
    pub(crate) fn join(&self, location: &str) -> Result<Self, HttpError> {
        let location = location.trim();
        let scheme = if self.https { "https" } else { "http" };
        let has_scheme = location.split(['/', '?', '#']).next().is_some_and(|first| first.contains(':'));
        if has_scheme {
            return Self::parse(location);
        }
        if location.starts_with("//") {
            return Self::parse(&format!("{scheme}:{location}"));
        }
        let path = self.target.split('?').next().unwrap_or("/");
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let target = match location.chars().next() {
            Some('/') => location.to_owned(),
            Some('?') => format!("{path}{location}"),
            _ => format!("{folder}/{location}"),
        };
        let url = Self::parse(&format!("{scheme}://{}{target}", self.authority()))?;
        // The same server; no other is told.
        Ok(Self { authorization: self.authorization.clone(), ..url })
    }

    /// What the `Host` header says: the port only where it is not the usual one.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let usual = if self.https { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.target)
    }
}

/// Without the fragment, and with everything escaped that may not be in a URL as it is.
fn ascii(text: &str) -> String {
    let text = text.trim().split('#').next().unwrap_or_default();
    let mut ascii = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() {
            ascii.push(char::from(byte));
        } else {
            ascii += &format!("%{byte:02X}");
        }
    }
    ascii
}

fn percent_decode(text: &str) -> Vec<u8> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).filter(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend_from_slice(&part.as_bytes()[2..]);
            }
            None => bytes.extend(b"%".iter().chain(part.as_bytes())),
        }
    }
    bytes
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// What a remote wrote, as an error may show it.
pub(super) fn quoted(text: &str) -> String {
    text.chars().take(MAX_QUOTED).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_and_put_together() {
        for (text, again) in [
            ("http://a", "http://a/"),
            ("HTTPS://A.example:443/x?y=%20#z", "https://a.example/x?y=%20"),
            ("http://[::1]:6969/announce", "http://[::1]:6969/announce"),
            ("http://a?x", "http://a/?x"),
            (" http://a/b c/\u{e9} ", "http://a/b%20c/%C3%A9"),
        ] {
            assert_eq!(Url::parse(text).unwrap().to_string(), again);
        }
        for text in [
            "",
            "x",
            "/x",
            "udp://a:1",
            "ftp://a",
            "http://",
            "http:///x",
            "http://a:0/",
            "http://a:99999/",
            "http://a b/",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
        assert!(Url::parse(&format!("http://a/{}", "x".repeat(MAX_URL_BYTES))).is_err());
    }

    #[test]
    fn a_user_name_becomes_a_header_for_its_own_server_alone() {
        let url = Url::parse("http://Aladdin:open%20sesame@a:81/x").unwrap();
        assert_eq!(url.authorization.as_deref(), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        assert_eq!((url.host.as_str(), url.port, url.to_string().as_str()), ("a", 81, "http://a:81/x"));
        assert_eq!(url.join("/y").unwrap().authorization, url.authorization);
        for elsewhere in ["http://a:81/y", "//b/y", "http://b/"] {
            assert_eq!(url.join(elsewhere).unwrap().authorization, None, "{elsewhere}");
        }
        for (text, encoded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
        assert_eq!(percent_decode("a%41%zz%4"), b"aA%zz%4");
    }

    #[test]
    fn locations_are_relative_to_where_they_were_read() {
        let here = Url::parse("https://a:81/b/c?d").unwrap();
        for (location, there) in [
            ("http://x/y", "http://x/y"),
            ("//x/y", "https://x/y"),
            ("/y?z", "https://a:81/y?z"),
            ("y", "https://a:81/b/y"),
            ("?z", "https://a:81/b/c?z"),
            ("y?u=http://x", "https://a:81/b/y?u=http://x"),
        ] {
            assert_eq!(here.join(location).unwrap().to_string(), there);
        }
        assert!(here.join("ftp://x/").is_err() && here.join("javascript:alert(1)").is_err());
    }
}
