//! Names that are safe on every platform, whatever a torrent says.
//!
//! The rules are the union of what Unix, macOS and Windows refuse or misread, applied everywhere, so that a
//! torrent gives the same names on each machine.

use std::borrow::Cow;

use crate::limits::MAX_COMPONENT_BYTES;

/// What stands where nothing is left of a name.
const NOTHING: &str = "_";

/// Names that Windows reserves for devices, with or without an extension; `com` and `lpt` with a digit come on top.
const RESERVED: [&str; 7] = ["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"];

/// The safe form of one path component, never empty: borrowed if it is safe as it is.
pub(crate) fn safe_component(raw: &[u8]) -> Cow<'_, str> {
    if let Some(safe) = plain(raw) {
        return Cow::Borrowed(safe);
    }
    let text = String::from_utf8_lossy(raw);
    let mut safe: String = text.chars().map(|c| if is_unsafe(c) { '_' } else { c }).collect();
    if safe.len() > MAX_COMPONENT_BYTES {
        safe = shorten(&safe);
    }
    // Windows drops dots and spaces at the end, so that `a.` and `a` would be one file.
    safe.truncate(safe.trim_end_matches(['.', ' ']).len());
    if is_reserved(&safe) {
        safe.insert(0, '_');
    }
    if safe.is_empty() {
        return Cow::Borrowed(NOTHING);
    }
    if safe.as_bytes() == raw { Cow::Owned(text.into_owned()) } else { Cow::Owned(safe) }
}

/// Most names need no change, and few need more than one look at each byte to know.
fn plain(raw: &[u8]) -> Option<&str> {
    let safe = |byte: &u8| matches!(byte, b' '..=b'~') && !is_unsafe(char::from(*byte));
    let (last, fits) = (raw.last()?, raw.len() <= MAX_COMPONENT_BYTES);
    let text = std::str::from_utf8(raw).ok()?;
    (fits && !matches!(last, b'.' | b' ') && raw.iter().all(safe) && !is_reserved(text)).then_some(text)
}

fn is_unsafe(c: char) -> bool {
    let steers =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || steers || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
}

fn is_reserved(name: &str) -> bool {
    // The first byte tells for nearly all names.
    if !matches!(
        name.as_bytes().first(),
        Some(b'c' | b'C' | b'p' | b'P' | b'a' | b'A' | b'n' | b'N' | b'l' | b'L')
    ) {
        return false;
    }
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let mut chars = stem.chars();
    let digit = matches!(chars.next_back(), Some('0'..='9' | '¹' | '²' | '³'));
    let port = digit && ["com", "lpt"].iter().any(|port| chars.as_str().eq_ignore_ascii_case(port));
    port || RESERVED.iter().any(|reserved| stem.eq_ignore_ascii_case(reserved))
}

/// Cuts the middle, so that the extension stays.
fn shorten(name: &str) -> String {
    let extension = match name.rfind('.') {
        Some(dot) if name.len() - dot <= 16 => &name[dot..],
        _ => "",
    };
    let mut end = MAX_COMPONENT_BYTES - extension.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    [&name[..end], extension].concat()
}

/// What two names have in common that some file system takes for one: case does not count, nor do characters that
/// are not seen.
pub(crate) fn fold(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    let seen = |c: &char| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}');
    // By way of the upper case, since some letters have two lower ones (σ and ς).
    name.chars().filter(seen).flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// Puts `.number` behind a name, before its extension.
pub(crate) fn numbered(name: &str, number: u32) -> String {
    let dot = name.rfind('.').filter(|dot| *dot > 0).unwrap_or(name.len());
    format!("{}.{number}{}", &name[..dot], &name[dot..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_made_safe() {
        let cases: [(&[u8], &str); 24] = [
            (b"a.txt", "a.txt"),
            (b"..", "_"),
            (b".", "_"),
            (b"", "_"),
            (b" ", "_"),
            (b".hidden", ".hidden"),
            (b"../../etc/passwd", ".._.._etc_passwd"),
            (b"a\\b", "a_b"),
            (b"C:", "C_"),
            (b"a\0b\n", "a_b_"),
            (b"NUL", "_NUL"),
            (b"con.txt", "_con.txt"),
            (b"console.txt", "console.txt"),
            (b"com1", "_com1"),
            (b"LPT0.tar.gz", "_LPT0.tar.gz"),
            ("com¹".as_bytes(), "_com¹"),
            (b"com", "com"),
            (b"com10", "com10"),
            (b"nul .a", "_nul .a"),
            (b"a. .", "a"),
            ("\u{202e}gpj.exe".as_bytes(), "_gpj.exe"),
            ("\u{61c}a\u{2028}".as_bytes(), "_a_"),
            ("größe 漢字".as_bytes(), "größe 漢字"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
        ];
        for (raw, safe) in cases {
            assert_eq!(safe_component(raw), safe, "{:?}", raw.escape_ascii().to_string());
            assert_eq!(safe_component(safe.as_bytes()), safe, "what is safe stays as it is");
        }
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let name = format!("{}.tar.gz", "é".repeat(300));
        let long = safe_component(name.as_bytes());
        assert!(long.len() <= MAX_COMPONENT_BYTES && long.ends_with(".gz"));
    }

    #[test]
    fn names_that_look_or_sort_alike_fold_alike() {
        for (one, other) in
            [("A.txt", "a.TXT"), ("ΌΣΟΣ", "όσος"), ("STRASSE", "straße"), ("a\u{200d}b", "ab")]
        {
            assert_eq!(fold(one), fold(other));
        }
        assert_ne!(fold("a"), fold("b"));
    }
}
