//! A foreign program that writes no JSON: its output goes to a file, which is shown if the test fails.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take to become ready, or to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// Lines of the output that are shown after a failure.
const SHOWN: usize = 30;

/// A running program; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts it; all that it writes goes to `log`.
    pub(crate) fn start(name: &str, command: &mut Command, log: PathBuf) -> Self {
        let file = File::create(&log).expect("a file for the output");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("one more handle"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { name: name.to_owned(), child, log }
    }

    /// Waits until `ready` says something.
    pub(crate) fn wait_until<T>(&mut self, what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(result) = ready() {
                return result;
            }
            let ended = self.child.try_wait().expect("it can be waited for");
            assert!(ended.is_none(), "{}: ended instead of {what}: {ended:?}", self.name);
            assert!(Instant::now() < deadline, "{}: no {what}", self.name);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Asks it to end, and waits for it.
    pub(crate) fn stop(&mut self) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(status.is_ok_and(|status| status.success()), "{}: cannot be stopped", self.name);
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().expect("it can be waited for").is_none() {
            assert!(Instant::now() < deadline, "{}: does not end", self.name);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read(&self.log).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- the last that {} said:", self.name);
            lines[lines.len().saturating_sub(SHOWN)..].iter().for_each(|line| eprintln!("{line}"));
        }
    }
}
