//! A command that can be run, bounded in time, and shown so that a person can repeat it.

use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often a running command is looked at.
const POLL: Duration = Duration::from_millis(50);

/// A command line with what it needs around it.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    words: Vec<String>,
    variables: Vec<(&'static str, String)>,
    /// The folder to run in, relative to the workspace.
    folder: Option<&'static str>,
    root: PathBuf,
    limit: Duration,
}

impl Line {
    /// `text` is split at spaces.
    pub(crate) fn new(root: impl Into<PathBuf>, text: &str) -> Self {
        Self {
            words: text.split_whitespace().map(str::to_owned).collect(),
            variables: Vec::new(),
            folder: None,
            root: root.into(),
            limit: Duration::from_secs(30 * 60),
        }
    }

    /// Adds one word, which may hold spaces.
    pub(crate) fn word(mut self, word: impl Into<String>) -> Self {
        self.words.push(word.into());
        self
    }

    pub(crate) fn variable(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    pub(crate) fn folder(mut self, folder: &'static str) -> Self {
        self.folder = Some(folder);
        self
    }

    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        command
            .args(&self.words[1..])
            .current_dir(self.folder.map_or(self.root.clone(), |f| self.root.join(f)));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    /// Runs it with its output shown.
    pub(crate) fn run(&self) -> Result<(), String> {
        let mut child = self.command().spawn().map_err(|error| format!("cannot start: {error}"))?;
        let started = Instant::now();
        loop {
            match child.try_wait().map_err(|error| format!("cannot wait: {error}"))? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(status.to_string()),
                None if started.elapsed() > self.limit => {
                    // It may have ended in between: either way it is gone.
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(format!("still running after {} s", self.limit.as_secs()));
                }
                None => std::thread::sleep(POLL),
            }
        }
    }

    /// What it writes to its standard output, if it succeeds.
    pub(crate) fn output(&self) -> Option<String> {
        let output = self.command().stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Whether it succeeds; its output is not shown.
    pub(crate) fn succeeds(&self) -> bool {
        self.output().is_some()
    }
}

/// As a shell takes it, from the workspace's folder.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(folder) = self.folder {
            write!(f, "cd {folder} && ")?;
        }
        for (name, value) in &self.variables {
            write!(f, "{name}={} ", quoted(value))?;
        }
        let words: Vec<String> = self.words.iter().map(|word| quoted(word)).collect();
        f.write_str(&words.join(" "))
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_as_a_shell_takes_it() {
        let line =
            Line::new("/", "cargo doc --no-deps").variable("RUSTDOCFLAGS", "-D warnings").folder("fuzz");
        assert_eq!(line.to_string(), "cd fuzz && RUSTDOCFLAGS='-D warnings' cargo doc --no-deps");
        assert_eq!(Line::new("/", "echo").word("it's").to_string(), r"echo 'it'\''s'");
    }

    #[test]
    fn failure_and_overrun_are_told_apart() {
        assert_eq!(Line::new("/", "true").run(), Ok(()));
        assert!(Line::new("/", "false").run().is_err_and(|message| message.contains("exit status: 1")));
        let endless = Line::new("/", "sleep 600").limit(Duration::from_millis(100));
        assert!(endless.run().is_err_and(|message| message.contains("still running")));
    }
}
