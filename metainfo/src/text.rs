//! Encodings of bytes as text in links.

/// The bytes that `text` stands for, where `%41` stands for `A`; what is not UTF-8 then is replaced. `+` is a plus.
pub(crate) fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let pair = after.get(..2).filter(|_| byte == b'%');
        let value = pair.and_then(|pair| Some(digit(pair[0])? * 16 + digit(pair[1])?));
        bytes.push(value.unwrap_or(byte));
        rest = if value.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// Writes a byte as it is if a URL may have it anywhere (RFC 3986: unreserved), else as `%41`.
pub(crate) fn percent_encode<E>(byte: u8, mut write: impl FnMut(char) -> Result<(), E>) -> Result<(), E> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
        return write(char::from(byte));
    }
    write('%')?;
    write(char::from(DIGITS[usize::from(byte >> 4)]))?;
    write(char::from(DIGITS[usize::from(byte & 15)]))
}

/// 20 bytes as 32 digits of base32 (RFC 3548), in either case.
pub(crate) fn base32(text: &str) -> Option<[u8; 20]> {
    let mut bytes = [0; 20];
    if text.len() != 32 {
        return None;
    }
    // Eight digits of five bits are five bytes.
    for (digits, bytes) in text.as_bytes().chunks_exact(8).zip(bytes.chunks_exact_mut(5)) {
        let mut bits = 0u64;
        for digit in digits {
            let value = match digit.to_ascii_uppercase() {
                letter @ b'A'..=b'Z' => letter - b'A',
                number @ b'2'..=b'7' => number - b'2' + 26,
                _ => return None,
            };
            bits = bits << 5 | u64::from(value);
        }
        bytes.copy_from_slice(&bits.to_be_bytes()[3..]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_that_of_the_rfc() {
        assert_eq!(base32("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), Some([0; 20]));
        assert_eq!(base32("77777777777777777777777777777777"), Some([255; 20]));
        assert_eq!(base32("MZXW6YTBOJTG633CMFZGM33PMJQXEZTP").as_ref(), Some(b"foobarfoobarfoobarfo"));
        assert_eq!(base32("mzxw6ytbojtg633cmfzgm33pmjqxeztp").as_ref(), Some(b"foobarfoobarfoobarfo"));
        for wrong in ["", "A", "0AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] {
            assert_eq!(base32(wrong), None);
        }
    }

    #[test]
    fn percents_are_undone_where_they_are_whole() {
        for (text, plain) in
            [("a%20b", "a b"), ("%zz%4", "%zz%4"), ("%C3%A4+", "ä+"), ("%ff", "\u{fffd}"), ("%", "%")]
        {
            assert_eq!(percent_decode(text), plain);
        }
    }
}
