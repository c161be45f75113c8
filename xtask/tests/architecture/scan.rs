//! What a source names: paths into `std`, and `unsafe`.

/// Items that pure code may not name; what lies in them is meant too.
const ITEMS: [&str; 12] = [
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::os",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::thread",
    "std::process",
    "std::env",
    "std::collections::HashMap",
    "std::collections::HashSet",
    "std::hash::RandomState",
];

/// Items that only code which works on files may name: the times of files are told from the epoch.
const FILE_ITEMS: [&str; 2] = ["std::fs", "std::time::UNIX_EPOCH"];

/// What is wrong in a source.
pub(crate) fn breaches(source: &str, files_allowed: bool) -> Vec<String> {
    let code = strip(source);
    let mut breaches = Vec::new();
    if words(&code).any(|(_, word)| word == "unsafe") {
        breaches.push("unsafe".to_owned());
    }
    for path in std_paths(&code) {
        let within = |outer: &str, inner: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        // Importing a whole module would hide what is used of it.
        let module = path.strip_suffix("::*").or(path.strip_suffix("::self")).unwrap_or(&path);
        let forbidden = |item: &str| within(item, &path) || within(module, item);
        if ITEMS.into_iter().any(forbidden) || !files_allowed && FILE_ITEMS.into_iter().any(forbidden) {
            breaches.push(path);
        }
    }
    breaches
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The words of `code`, with their places.
fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.split(|c| !is_word(c)).map(|word| (word.as_ptr() as usize - code.as_ptr() as usize, word))
}

/// All paths that begin with `std`, lists in braces expanded.
fn std_paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (place, word) in words(code) {
        if word == "std" {
            expand(&code[place..], "", &mut paths);
        }
    }
    paths
}

/// Reads one path at the start of `code` and returns what follows it.
fn expand<'a>(code: &'a str, prefix: &str, paths: &mut Vec<String>) -> &'a str {
    let code = code.trim_start();
    if let Some(mut rest) = code.strip_prefix('{') {
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix('}') {
                return after;
            }
            let after = expand(rest, prefix, paths);
            // Skips the comma, `as` and the new name; at the end of a broken list there is nothing left.
            let next = after.find([',', '}']).unwrap_or(after.len());
            rest = after[next..].trim_start_matches(',');
            if rest.is_empty() {
                return rest;
            }
        }
    }
    let end = code.find(|c| !is_word(c) && c != '*').unwrap_or(code.len());
    let path = if prefix.is_empty() { code[..end].to_owned() } else { format!("{prefix}::{}", &code[..end]) };
    let rest = &code[end..];
    match rest.trim_start().strip_prefix("::") {
        // A turbofish belongs to no path.
        Some(inner) if !inner.trim_start().starts_with('<') => expand(inner, &path, paths),
        _ => {
            paths.push(path);
            rest
        }
    }
}

/// The code without comments and without what is in string and character literals.
fn strip(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let after_word = code.chars().next_back().is_some_and(is_word);
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if c == '"' {
            string(rest)
        } else if let Some(length) = raw_string(rest).filter(|_| !after_word) {
            length
        } else if c == '\'' {
            character(rest).unwrap_or(1)
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        code.push(' ');
        rest = &rest[length..];
    }
    code
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut place) = (0, 0);
    while place < text.len() {
        let here = &text.as_bytes()[place..];
        if here.starts_with(b"/*") {
            (depth, place) = (depth + 1, place + 2);
        } else if here.starts_with(b"*/") {
            (depth, place) = (depth - 1, place + 2);
            if depth == 0 {
                return place;
            }
        } else {
            place += 1;
        }
    }
    text.len()
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (place, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return place + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw_string(text: &str) -> Option<usize> {
    let inner = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = inner.len() - inner.trim_start_matches('#').len();
    let content = inner[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = text.len() - content.len();
    Some(content.find(&end).map_or(text.len(), |place| start + place + end.len()))
}

/// The length of a character literal; `None` for a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut inner = text[1..].char_indices();
    let (_, first) = inner.next()?;
    if first == '\\' {
        inner.next()?;
        return inner.find(|(_, c)| *c == '\'').map(|(place, _)| place + 2);
    }
    inner.next().filter(|(_, c)| *c == '\'').map(|(place, _)| place + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forbidden_is_found_however_it_is_written() {
        let cases = [
            ("use std::time::Instant;", "std::time::Instant"),
            ("use std::{fmt, time::{Duration, SystemTime as Clock}};", "std::time::SystemTime"),
            ("use std::net::{SocketAddr, TcpStream};", "std::net::TcpStream"),
            ("use std::{net::{IpAddr, UdpSocket}, io};", "std::net::UdpSocket"),
            ("fn f() { ::std::thread::sleep(d) }", "std::thread::sleep"),
            ("let a: std :: collections\n:: HashMap<u8, u8> = x;", "std::collections::HashMap"),
            ("let s = std::collections::HashSet::<u8>::new();", "std::collections::HashSet"),
            ("let f = std::fs::File::open(p)?;", "std::fs::File::open"),
            ("use std::time;", "std::time"),
            ("use std::collections::*;", "std::collections::*"),
            ("use std::net::{self, IpAddr};", "std::net::self"),
            ("fn f() { unsafe { g() } }", "unsafe"),
            ("let c = '\"'; use std::thread; // \"", "std::thread"),
            ("let c = '\\''; use std::thread;", "std::thread"),
            ("/* a /* b */ c */ use std::thread;", "std::thread"),
            ("let r = r#\"a\"b\"#; use std::thread;", "std::thread"),
        ];
        for (source, expected) in cases {
            assert_eq!(breaches(source, false), [expected], "{source}");
        }
    }

    #[test]
    fn what_is_allowed_is_left_alone() {
        let sources = [
            "use std::net::{IpAddr, SocketAddr}; use std::time::Duration;",
            "use std::collections::{BTreeMap, VecDeque}; use hashbrown::HashMap;",
            "// std::thread and unsafe\n#![forbid(unsafe_code)] /* std::fs */",
            "const A: &str = \"std::fs::File \\\" unsafe\"; const B: &[u8] = br##\"std::thread\"##;",
            "fn f<'a>(x: &'a str) -> &'a str { x } let unsafe_count = 1;",
            "use std::{fmt, collections::BTreeMap as Tree, io};",
        ];
        for source in sources {
            assert_eq!(breaches(source, false), Vec::<String>::new(), "{source}");
        }
        assert_eq!(breaches("use std::fs::File;", true), Vec::<String>::new());
        assert_eq!(breaches("use std::fs::File; use std::thread;", true), ["std::thread"]);
    }
}
