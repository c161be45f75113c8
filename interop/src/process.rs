//! A client under test: a process, what it said, and its end.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a client may take to say what is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Lines that are shown of a client that did not do what was waited for.
const LINES: usize = 60;

/// How a process is ended.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    /// As by Ctrl-C: it may clean up.
    Interrupt,
    /// As by a crash: it may not.
    Kill,
}

/// A running client; it is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    /// The scripts end when it closes.
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    said: Vec<Value>,
}

impl Process {
    /// Starts a client that writes lines of JSON.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(name: &str, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let stdout = child.stdout.take().expect("it is piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { name: name.to_owned(), stdin: child.stdin.take(), child, lines, said: Vec::new() }
    }

    /// Its process number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it said up to what was waited for.
    #[must_use]
    pub fn said(&self) -> &[Value] {
        &self.said
    }

    /// What it said since it was last listened to; does not wait.
    ///
    /// # Panics
    /// If it has ended.
    pub fn news(&mut self) -> Vec<Value> {
        let mut news = Vec::new();
        loop {
            match self.lines.try_recv() {
                Ok(line) => news.extend(serde_json::from_str::<Value>(&line).ok()),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => self.give_up("news", RecvTimeoutError::Disconnected),
            }
        }
        self.said.extend_from_slice(&news);
        news
    }

    /// Closes its standard input, which ends the scripts.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Waits for a line that fits and returns it.
    ///
    /// # Panics
    /// If it does not come in time, or the process ends before.
    pub fn wait_for(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let Ok(value) = serde_json::from_str::<Value>(&line) else { continue };
                    self.said.push(value.clone());
                    if fits(&value) {
                        return value;
                    }
                }
                Err(error) => self.give_up(what, error),
            }
        }
    }

    fn give_up(&self, what: &str, error: RecvTimeoutError) -> ! {
        // Of many lines about progress the last tells all.
        let mut seen = false;
        let news = |line: &&Value| line["event"] != "progress" || !std::mem::replace(&mut seen, true);
        let last: Vec<String> =
            self.said.iter().rev().filter(news).take(LINES).map(Value::to_string).collect();
        panic!("{}: no {what} ({error}); its last lines, newest first:\n{}", self.name, last.join("\n"));
    }

    /// Waits for an event by name.
    pub fn wait_for_event(&mut self, event: &str) -> Value {
        self.wait_for(event, |line| line["event"] == event)
    }

    /// The port that it takes connections on, over IPv4.
    ///
    /// # Panics
    /// If it says none.
    pub fn port(&mut self) -> u16 {
        let address =
            |line: &Value| line["address"].as_str().and_then(|text| text.parse::<SocketAddr>().ok());
        let is_v4 = |line: &Value| line["event"] == "listening" && address(line).is_some_and(|a| a.is_ipv4());
        address(&self.wait_for("port", is_v4)).expect("it was one").port()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// If that cannot be done.
    pub fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Kill => self.child.kill().expect("it can be killed"),
            Signal::Interrupt => {
                let status = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
                assert!(status.is_ok_and(|status| status.success()), "{}: cannot be interrupted", self.name);
            }
        }
    }

    /// Waits for its end and reads the rest of what it said.
    ///
    /// # Panics
    /// If it does not end in time.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        // The pipe closes when the process ends.
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.said.extend(serde_json::from_str::<Value>(&line).ok()),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(error) => self.give_up("end", error),
            }
        }
        self.child.wait().expect("it can be waited for")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
