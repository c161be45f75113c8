//! Running the program.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command};

/// The program in `folder`, where it also keeps its state.
pub(crate) fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_downpour"));
    command.current_dir(folder).env("XDG_STATE_HOME", folder.join("state"));
    command
}

/// What it says on standard output when all goes well; then it says nothing on the other.
pub(crate) fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let output = program(folder).args(arguments).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{arguments:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

/// What it says on standard error when it fails.
pub(crate) fn failure(folder: &Path, arguments: &[&str]) -> String {
    let output = program(folder).args(arguments).output().unwrap();
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Ended when the test is.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The lines of JSON that it writes. It ends when nobody reads them.
pub(crate) fn events(running: &mut Running) -> impl Iterator<Item = serde_json::Value> + use<> {
    let lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}
