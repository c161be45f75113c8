//! What a program did to its files, and in which order, as the kernel saw it: by `strace`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Lab, Tool};

/// As much of each written buffer is kept; resume states of small torrents fit.
const KEPT: usize = 4096;

/// A system call that succeeded.
#[derive(Clone, Debug)]
pub struct Call {
    /// Microseconds; it began after this.
    pub start: u64,
    /// It ended before this. A call that ends before another starts was over when that began.
    pub end: u64,
    /// What it did.
    pub action: Action,
}

/// What a system call did.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Action {
    /// `offset` is `None` for a write at the file's own position; `data` is the beginning of what was written.
    Write {
        path: PathBuf,
        offset: Option<u64>,
        length: u64,
        data: Vec<u8>,
    },
    Read {
        path: PathBuf,
    },
    Sync {
        path: PathBuf,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
}

/// `command` under `strace`, which writes a file for each thread, whose names begin with `output`.
#[must_use]
pub fn traced(lab: &Lab, command: &Command, output: &Path) -> Command {
    let calls = "trace=pread64,preadv,preadv2,pwrite64,pwritev,pwritev2,write,writev,fsync,fdatasync,rename,renameat,\
                 renameat2";
    let mut traced = Command::new(lab.tool(Tool::Strace));
    traced
        .args(["-ff", "-ttt", "-T", "-y", "-xx", "-qq", "-s", &KEPT.to_string(), "-e", calls, "-o"])
        .arg(output);
    traced.arg(command.get_program()).args(command.get_args());
    traced.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    traced
}

/// All calls of a traced program, ordered by their starts.
///
/// # Panics
/// If there is no trace, or it cannot be read.
#[must_use]
pub fn calls(output: &Path) -> Vec<Call> {
    let (folder, name) =
        (output.parent().expect("a folder"), output.file_name().expect("a name").to_string_lossy());
    let mut calls = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder of the trace") {
        let path = entry.expect("the folder of the trace").path();
        if path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&*name)) {
            let text = std::fs::read_to_string(&path).expect("a trace");
            calls.extend(text.lines().filter_map(parse));
        }
    }
    assert!(!calls.is_empty(), "no system call was seen");
    calls.sort_by_key(|call| call.start);
    calls
}

/// `1700000000.123456 pwrite64(9<\x2f…>, "\x00…"..., 65536, 131072) = 65536 <0.000042>`
fn parse(line: &str) -> Option<Call> {
    let (start, rest) = line.split_once(' ')?;
    let (rest, duration) = rest.strip_suffix('>')?.rsplit_once(" <")?;
    let (call, result) = rest.rsplit_once(" = ")?;
    let result: u64 = result.trim().parse().ok()?;
    let (name, arguments) = call.trim_end().strip_suffix(')')?.split_once('(')?;
    let start = micros(start)?;
    let path = || path_of_handle(arguments);
    let action = match name {
        "write" | "writev" => {
            Action::Write { path: path()?, offset: None, length: result, data: data(arguments) }
        }
        "pwrite64" | "pwritev" | "pwritev2" => {
            // The numbers at the end: offset, and flags of the last.
            let numbers: Vec<&str> = arguments.rsplit(", ").collect();
            let at = usize::from(name == "pwritev2");
            let offset = numbers.get(at)?.parse().ok();
            Action::Write { path: path()?, offset, length: result, data: data(arguments) }
        }
        "pread64" | "preadv" | "preadv2" => Action::Read { path: path()? },
        "fsync" | "fdatasync" => Action::Sync { path: path()? },
        "rename" | "renameat" | "renameat2" => {
            let mut names = arguments.split('"').skip(1).step_by(2).map(|text| PathBuf::from(string(text)));
            Action::Rename { from: names.next()?, to: names.next()? }
        }
        _ => return None,
    };
    Some(Call { start, end: start + micros(duration)?, action })
}

/// `1.000002` as microseconds.
fn micros(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.split_once('.')?;
    Some(seconds.parse::<u64>().ok()? * 1_000_000 + fraction.parse::<u64>().ok()?)
}

/// The path in `9<\x2f\x74…>, …`.
fn path_of_handle(arguments: &str) -> Option<PathBuf> {
    let path = arguments.split_once('<')?.1.split_once('>')?.0;
    Some(PathBuf::from(string(path)))
}

/// What the strings of `arguments` hold, one after the other.
fn data(arguments: &str) -> Vec<u8> {
    arguments.split('"').skip(1).step_by(2).flat_map(bytes).collect()
}

fn string(text: &str) -> String {
    String::from_utf8_lossy(&bytes(text)).into_owned()
}

/// `\x2f\x74` as bytes; what is not escaped stands for itself.
fn bytes(text: &str) -> Vec<u8> {
    if !text.starts_with("\\x") {
        return text.as_bytes().to_vec();
    }
    text.split("\\x").filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_strace_are_understood() {
        let call =
            parse(r#"10.000005 pwrite64(9<\x2f\x61>, "\x01\x02"..., 65536, 131072) = 65536 <0.000042>"#);
        let call = call.expect("it is one");
        assert_eq!((call.start, call.end), (10_000_005, 10_000_047));
        let Action::Write { path, offset, length, data } = call.action else { panic!("it is a write") };
        assert_eq!((path, offset, length, data), ("/a".into(), Some(131_072), 65536, vec![1, 2]));

        let line = r#"1.5 pwritev(9</a>, [{iov_base="\x01", iov_len=1}, {iov_base="\x02", iov_len=1}], 2, 7) = 2 <0.1>"#;
        let Some(Call { action: Action::Write { offset, data, .. }, .. }) = parse(line) else {
            panic!("a write")
        };
        assert_eq!((offset, data), (Some(7), vec![1, 2]));

        assert!(parse(r"1.000001 fdatasync(9</a>) = -1 EIO (Input/output error) <0.000001>").is_none());
        let Some(Call { action: Action::Rename { from, to }, .. }) =
            parse(r#"1.000001 rename("\x61", "\x62") = 0 <0.000001>"#)
        else {
            panic!("a rename")
        };
        assert_eq!((from, to), ("a".into(), "b".into()));
    }
}
