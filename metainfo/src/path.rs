//! Paths that are safe on every platform, whatever a torrent says.
//!
//! The rules are the union of what Unix, macOS and Windows refuse or misread, applied everywhere, so that a
//! torrent gives the same names on each machine.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits::{MAX_COMPONENT_BYTES, MAX_COMPONENTS};

/// Names that Windows reserves for devices, with or without an extension.
const RESERVED: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9",
    "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// One safe path component, `None` if nothing is left of it (empty, `.`, `..`).
pub(crate) fn safe_component(raw: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(raw);
    let mut safe: String = text.chars().map(|c| if is_unsafe(c) { '_' } else { c }).collect();
    if safe.len() > MAX_COMPONENT_BYTES {
        safe = shorten(&safe);
    }
    // Windows drops dots and spaces at the end, so that `a.` and `a` would be one file.
    let trimmed = safe.trim_end_matches(['.', ' ']).len();
    if safe[..trimmed].is_empty() {
        return None;
    }
    safe.truncate(trimmed);
    let stem = safe.split('.').next().unwrap_or_default().trim_end();
    if RESERVED.iter().any(|reserved| stem.eq_ignore_ascii_case(reserved)) {
        safe.insert(0, '_');
    }
    Some(safe)
}

fn is_unsafe(c: char) -> bool {
    let bidirectional =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || bidirectional || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
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

/// Joins the safe form of `components` with `/`, `None` if nothing is left.
pub(crate) fn safe_path<'c>(components: impl Iterator<Item = &'c [u8]>) -> Option<String> {
    let parts: Vec<String> = components.filter_map(safe_component).take(MAX_COMPONENTS).collect();
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// Gives every path of a torrent to one file only, also on file systems that ignore case, and lets no file
/// stand where another needs a folder.
#[derive(Debug, Default)]
pub(crate) struct UniquePaths {
    files: BTreeSet<String>,
    folders: BTreeSet<String>,
    /// The number that what ends in a taken name got last, so that a million files of one name take no
    /// million tries each.
    numbers: BTreeMap<String, u32>,
}

impl UniquePaths {
    /// Returns `path`, or a variant of it that collides with nothing claimed so far.
    pub(crate) fn claim(&mut self, path: String) -> String {
        let mut candidate = path;
        let mut attempt = 0u32;
        let original = candidate.clone();
        let mut taken = None;
        loop {
            let folded = candidate.to_lowercase();
            let folders: Vec<&str> = folded.match_indices('/').map(|(slash, _)| &folded[..slash]).collect();
            let blocked = folders.iter().position(|folder| self.files.contains(*folder));
            if blocked.is_none() && !self.folders.contains(&folded) && !self.files.contains(&folded) {
                for folder in folders {
                    if !self.folders.contains(folder) {
                        self.folders.insert(folder.to_owned());
                    }
                }
                self.files.insert(folded);
                if let Some(taken) = taken {
                    self.numbers.insert(taken, attempt);
                }
                return candidate;
            }
            // A file in the way of a folder moves the folder; anything else moves the file.
            let at = match blocked {
                Some(depth) => {
                    original.match_indices('/').nth(depth).map_or(original.len(), |(slash, _)| slash)
                }
                None => original.len(),
            };
            let name = original[..at].to_lowercase();
            attempt = (attempt + 1).max(self.numbers.get(&name).copied().unwrap_or(0));
            candidate = numbered(&original, at, attempt);
            taken = Some(name);
        }
    }
}

/// Puts `.attempt` behind the component that ends at `at`, before its extension.
fn numbered(path: &str, at: usize, attempt: u32) -> String {
    let start = path[..at].rfind('/').map_or(0, |slash| slash + 1);
    let dot = path[start..at].rfind('.').filter(|dot| *dot > 0).map_or(at, |dot| start + dot);
    format!("{}.{attempt}{}", &path[..dot], &path[dot..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_made_safe() {
        let cases: [(&[u8], Option<&str>); 16] = [
            (b"a.txt", Some("a.txt")),
            (b"..", None),
            (b".", None),
            (b"", None),
            (b" ", None),
            (b"../../etc/passwd", Some(".._.._etc_passwd")),
            (b"a\\b", Some("a_b")),
            (b"C:", Some("C_")),
            (b"a\0b\n", Some("a_b_")),
            (b"NUL", Some("_NUL")),
            (b"con.txt", Some("_con.txt")),
            (b"console.txt", Some("console.txt")),
            (b"a. .", Some("a")),
            ("\u{202e}gpj.exe".as_bytes(), Some("_gpj.exe")),
            ("größe 漢字".as_bytes(), Some("größe 漢字")),
            (b"\xff\xfe", Some("\u{fffd}\u{fffd}")),
        ];
        for (raw, safe) in cases {
            assert_eq!(safe_component(raw).as_deref(), safe, "{:?}", raw.escape_ascii().to_string());
        }
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let long = safe_component(format!("{}.tar.gz", "é".repeat(300)).as_bytes()).unwrap();
        assert!(long.len() <= MAX_COMPONENT_BYTES && long.ends_with(".gz"));
    }

    #[test]
    fn collisions_get_numbers() {
        let mut paths = UniquePaths::default();
        let mut claim = |path: &str| paths.claim(path.to_owned());
        assert_eq!(claim("d/a.txt"), "d/a.txt");
        assert_eq!(claim("d/A.TXT"), "d/A.1.TXT");
        assert_eq!(claim("d/a.txt"), "d/a.2.txt");
        assert_eq!(claim("d"), "d.1", "a folder is there");
        assert_eq!(claim("d/a.txt/b"), "d/a.3.txt/b", "a file is there");
        assert_eq!(claim("x"), "x");
    }

    #[test]
    fn many_collisions_take_no_quadratic_time() {
        // Trying every number from the start would be a billion look-ups for each half.
        let mut paths = UniquePaths::default();
        for number in 0..40_000 {
            let expected = if number == 0 { "d/a.txt".to_owned() } else { format!("d/a.{number}.txt") };
            assert_eq!(paths.claim("d/a.txt".to_owned()), expected);
        }
        for number in 0..40_000 {
            assert_eq!(paths.claim(format!("d/a.txt/{number}")), format!("d/a.40000.txt/{number}"));
        }
    }
}
