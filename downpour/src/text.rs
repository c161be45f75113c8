//! Sizes and numbers as people write and read them.

use std::io::Write;
use std::net::SocketAddr;

/// Parses `65536`, `64K`, `1M`, `2GiB` (powers of 1024).
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_lowercase().trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => return Err("expected a number of bytes, such as 65536, 64K or 1M".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "expected a number of bytes, such as 65536, 64K or 1M")?;
    number.checked_mul(1 << shift).ok_or_else(|| "that is too large".to_owned())
}

/// Parses bytes per second: a size of at least one byte, so that a torrent cannot be held for ever by a slip.
pub(crate) fn parse_rate(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        0 => Err("0 would stop it for good: leave the option out for no limit".to_owned()),
        rate => Ok(rate),
    }
}

/// Parses an address with its port.
pub(crate) fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let wrong = |_| "expected an address and a port, such as 192.0.2.7:6881 or [2001:db8::7]:6881".to_owned();
    text.parse().map_err(wrong)
}

/// Parses `1`, `1.5`, `0.25` into thousandths.
pub(crate) fn parse_ratio(text: &str) -> Result<u32, String> {
    let wrong = || "expected a number such as 1, 1.5 or 0.25".to_owned();
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 3 {
        return Err(wrong());
    }
    let thousandths: u32 = format!("{part:0<3}").parse().map_err(|_| wrong())?;
    let whole: u32 = whole.parse().map_err(|_| wrong())?;
    whole.checked_mul(1000).and_then(|whole| whole.checked_add(thousandths)).ok_or_else(wrong)
}

/// Prints a line to standard output. A reader that went away is no reason to fail: `show … | head` ends like any pipe.
pub(crate) fn print_line(line: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Prints to standard output what is a text already, under the same rule.
pub(crate) fn print_bytes(text: &[u8]) {
    let mut out = std::io::stdout().lock();
    if out.write_all(text).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// What a stranger wrote must not steer the terminal, nor look like something else.
pub(crate) fn printable(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

/// A URL that a tracker may have (BEP 3, 15; WebTorrent's).
pub(crate) fn parse_tracker_url(text: &str) -> Result<String, String> {
    url(text, &["http", "https", "udp", "ws", "wss"], "http://tracker.example/announce")
}

/// A URL that a web seed may have (BEP 19).
pub(crate) fn parse_web_seed_url(text: &str) -> Result<String, String> {
    url(text, &["http", "https", "ftp"], "https://files.example/")
}

fn url(text: &str, schemes: &[&str], example: &str) -> Result<String, String> {
    let parts = text.split_once("://");
    let usable = parts.is_some_and(|(scheme, rest)| {
        schemes.iter().any(|known| scheme.eq_ignore_ascii_case(known))
            && !rest.is_empty()
            && !rest.starts_with('/')
    });
    match usable && !text.contains(|c: char| c.is_control() || c.is_whitespace()) {
        true => Ok(text.to_owned()),
        false => Err(format!("expected a URL with {}, such as {example}", schemes.join(", "))),
    }
}

/// Bytes in the unit that fits.
pub(crate) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// Seconds since 1970 as a date in UTC.
pub(crate) fn date(seconds: i64) -> String {
    // Days to date, after the algorithm for the proleptic Gregorian calendar that counts years from March.
    let (days, time) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", time / 3600, time / 60 % 60, time % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let sizes =
            [("0", 0), ("65536", 65536), ("64k", 65536), ("1M", 1 << 20), ("2GiB", 2 << 30), ("3kb", 3072)];
        for (text, bytes) in sizes {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "k", "1x", "-1", "1.5M", "99999999999999999999", "99999999999999G"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn urls_have_a_scheme_and_a_host() {
        assert_eq!(parse_tracker_url("udp://t:1"), Ok("udp://t:1".to_owned()));
        for text in ["", "t.example", "ftp://t", "http://", "http:///announce", "http://a b"] {
            assert!(parse_tracker_url(text).is_err(), "{text}");
        }
        assert!(parse_web_seed_url("FTP://t/x").is_ok() && parse_web_seed_url("udp://t:1").is_err());
    }

    #[test]
    fn ratios_are_read_in_thousandths() {
        for (text, thousandths) in [("0", 0), ("1", 1000), ("1.5", 1500), ("0.25", 250), ("12.001", 12_001)] {
            assert_eq!(parse_ratio(text), Ok(thousandths), "{text}");
        }
        for text in ["", ".", "1.", ".5", "-1", "1,5", "0.0001", "4294968"] {
            assert!(parse_ratio(text).is_err(), "{text}");
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(date(951_827_696), "2000-02-29 12:34:56 UTC");
        assert_eq!(date(-1), "1969-12-31 23:59:59 UTC");
        assert_eq!(date(4_102_444_800), "2100-01-01 00:00:00 UTC");
    }
}
