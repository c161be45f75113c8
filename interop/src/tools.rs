//! Programs that are not ours. A test that misses one says so and passes, unless it must be there.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that `cargo xtask test --setup` installs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// aria2, from Debian.
    Aria2,
    /// bittorrent-tracker, from npm, and node to run it.
    BittorrentTracker,
    /// libtorrent with its Python binding, in a Python environment.
    Libtorrent,
    /// opentracker, from Debian.
    Opentracker,
    /// strace, from Debian.
    Strace,
    /// Transmission's daemon, from Debian.
    Transmission,
}

impl Tool {
    /// The file that shows that it is there.
    pub(crate) fn path(self, target: &Path) -> PathBuf {
        let installed = |name: &str| {
            let folders = std::env::var_os("PATH").unwrap_or_default();
            let found =
                std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.exists());
            found.unwrap_or_else(|| PathBuf::from(name))
        };
        match self {
            Self::Aria2 => installed("aria2c"),
            Self::BittorrentTracker => target.join("npm/node_modules/bittorrent-tracker/server.js"),
            Self::Libtorrent => target.join("venv/bin/python"),
            Self::Opentracker => installed("opentracker"),
            Self::Strace => installed("strace"),
            Self::Transmission => installed("transmission-daemon"),
        }
    }
}

/// Whether all of them are there.
///
/// # Panics
/// If one is not there that must be.
pub(crate) fn all_there(target: &Path, tools: &[Tool]) -> bool {
    tools.iter().all(|tool| {
        let path = tool.path(target);
        let missing = format!("there is no {}: run `cargo xtask test --setup`", path.display());
        need(path.exists(), &missing)
    })
}

/// `there`, with a word to the reader if not.
///
/// # Panics
/// If it must be there (variable `CI` or `DOWNPOUR_REQUIRE_INTEROP`) and is not.
#[must_use]
pub fn need(there: bool, why_not: &str) -> bool {
    if !there {
        let required = ["CI", "DOWNPOUR_REQUIRE_INTEROP"].map(std::env::var_os).iter().any(Option::is_some);
        assert!(!required, "{why_not}");
        eprintln!("SKIPPED: {why_not}");
    }
    there
}

/// Whether this process may do everything.
#[must_use]
pub fn is_root() -> bool {
    let output = Command::new("id").arg("-u").stderr(Stdio::null()).output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
