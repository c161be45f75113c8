//! The place of one test: a folder, our program, and the foreign clients.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::isolated::INSIDE;
use crate::process::Process;
use crate::tools::{Tool, all_there};

/// Whether the long forms of the tests are wanted.
#[must_use]
pub fn full() -> bool {
    std::env::var_os("DOWNPOUR_FULL").is_some()
}

/// The place of one test; its folder goes when it is dropped.
#[derive(Debug)]
pub struct Lab {
    folder: TempDir,
    program: PathBuf,
    target: PathBuf,
}

impl Lab {
    /// A lab for a test with libtorrent.
    ///
    /// # Panics
    /// As [`Lab::with`].
    #[must_use]
    pub fn open(parent: &str) -> Option<Self> {
        Self::with(parent, &[Tool::Libtorrent])
    }

    /// A lab in a new folder within `parent`, which is cargo's folder for the files of tests. `None`, with a word to
    /// the reader, if one of the tools is not there.
    ///
    /// # Panics
    /// If they must be there (variable `CI` or `DOWNPOUR_REQUIRE_INTEROP`) and are not, or our program cannot be
    /// built.
    #[must_use]
    pub fn with(parent: &str, tools: &[Tool]) -> Option<Self> {
        let target = Path::new(parent).parent().expect("a folder in the target folder");
        if !all_there(target, tools) {
            return None;
        }
        let parent = std::env::var_os(INSIDE).unwrap_or_else(|| parent.into());
        let folder = TempDir::new_in(parent).expect("a folder for the test");
        Some(Self { folder, program: build(target), target: target.to_owned() })
    }

    /// Where a tool is.
    pub(crate) fn tool(&self, tool: Tool) -> PathBuf {
        tool.path(&self.target)
    }

    /// A folder in the lab; it is made if it is not there.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(&path).expect("a folder");
        path
    }

    /// A path in the lab.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Our program. Different `user`s do not know each other's state.
    #[must_use]
    pub fn downpour(&self, user: &str, command: &str) -> Command {
        let mut program = Command::new(&self.program);
        program.arg(command).env("XDG_STATE_HOME", self.folder(&format!("state-{user}")));
        program
    }

    /// `downpour get --json`.
    #[must_use]
    pub fn get(&self, user: &str, torrent: &Path, output: &Path, peer: u16, more: &[&str]) -> Process {
        let mut command = self.downpour(user, "get");
        command.arg(torrent).arg("--output").arg(output).arg("--json");
        command.args(["--peer", &format!("127.0.0.1:{peer}")]).args(more);
        Process::start(&format!("downpour get of {user}"), &mut command)
    }

    /// `downpour seed --json`.
    #[must_use]
    pub fn seed(&self, torrent: &Path, content: &Path, more: &[&str]) -> Process {
        let mut command = self.downpour("seeder", "seed");
        command.arg(torrent).arg(content).arg("--json").args(more);
        Process::start("downpour seed", &mut command)
    }

    /// Makes a torrent with our program.
    ///
    /// # Panics
    /// If that fails.
    pub fn create(&self, content: &Path, torrent: &Path) {
        let mut command = self.downpour("creator", "create");
        let status = command.arg(content).arg("--output").arg(torrent).stdout(Stdio::null()).status();
        assert!(status.is_ok_and(|status| status.success()), "downpour create failed");
    }

    /// Makes a torrent with libtorrent and returns its info-hash in hexadecimal digits.
    ///
    /// # Panics
    /// If that fails.
    pub fn libtorrent_create(&self, content: &Path, torrent: &Path, trackers: &[&str]) -> String {
        let output = self
            .script("create.py")
            .arg(content)
            .arg(torrent)
            .args(trackers)
            .stderr(Stdio::inherit())
            .output();
        let output = output.expect("python starts");
        assert!(output.status.success(), "create.py failed");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// A libtorrent client with one torrent in the folder `save`.
    #[must_use]
    pub fn libtorrent(&self, torrent: &Path, save: &Path, more: &[&str]) -> Process {
        Process::start("libtorrent", self.script("peer.py").arg(torrent).arg(save).args(more))
    }

    /// One of our scripts in Python.
    pub(crate) fn script(&self, name: &str) -> Command {
        let mut command = Command::new(self.tool(Tool::Libtorrent));
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(name));
        command
    }

    /// One of our scripts for node.
    pub(crate) fn node(&self, name: &str) -> Command {
        let mut command = Command::new("node");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("node").join(name));
        command
    }
}

/// Builds our program, once for all tests of a process.
///
/// # Panics
/// If it cannot be built.
pub(crate) fn build(target: &Path) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        // What cargo says to a test about its package would make build scripts that look at it run again.
        let about = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        let names = std::env::vars_os().map(|(name, _)| name);
        for name in names.filter(|name| name.to_str().is_some_and(about)) {
            cargo.env_remove(name);
        }
        let status = cargo
            .args(["build", "--quiet", "--release", "--package", "downpour", "--target-dir"])
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(status.is_ok_and(|status| status.success()), "our program cannot be built");
    });
    target.join("release").join(format!("downpour{}", std::env::consts::EXE_SUFFIX))
}
