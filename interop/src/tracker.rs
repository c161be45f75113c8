//! Trackers: two foreign ones and ours.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::daemon::Daemon;
use crate::network::Host;
use crate::{Lab, Tool, http};

const PORT: u16 = 6969;
const PATIENCE: Duration = Duration::from_secs(60);

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackerKind {
    /// Debian's, which serves only torrents of its white list.
    Opentracker,
    /// npm's bittorrent-tracker.
    BittorrentTracker,
    /// `downpour tracker`.
    Downpour,
}

/// What is spoken with a tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// BEP 3.
    Http,
    /// BEP 15.
    Udp,
}

/// All of both.
pub const TRACKERS: [(TrackerKind, Protocol); 6] = [
    (TrackerKind::Opentracker, Protocol::Http),
    (TrackerKind::BittorrentTracker, Protocol::Udp),
    (TrackerKind::Downpour, Protocol::Http),
    (TrackerKind::Opentracker, Protocol::Udp),
    (TrackerKind::BittorrentTracker, Protocol::Http),
    (TrackerKind::Downpour, Protocol::Udp),
];

/// A running tracker.
#[derive(Debug)]
pub struct Tracker {
    _daemon: Daemon,
    host: Host,
    info_hash: String,
}

/// The announce URL of a tracker on `host`.
#[must_use]
pub fn announce_url(host: &Host, protocol: Protocol) -> String {
    let scheme = match protocol {
        Protocol::Http => "http",
        Protocol::Udp => "udp",
    };
    format!("{scheme}://{}:{PORT}/announce", host.address())
}

impl Tracker {
    /// Starts a tracker for one torrent, whose info-hash is given in hexadecimal digits.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(lab: &Lab, host: &Host, kind: TrackerKind, info_hash: &str) -> Self {
        let folder = lab.folder(&format!("tracker-{}", host.address()));
        let command = match kind {
            TrackerKind::Opentracker => opentracker(lab, host, &folder, info_hash),
            TrackerKind::BittorrentTracker => {
                let mut command = lab.node("tracker.mjs");
                command.arg(lab.tool(Tool::BittorrentTracker)).arg(PORT.to_string());
                command
            }
            TrackerKind::Downpour => {
                let mut command = lab.downpour("tracker", "tracker");
                command.args(["--listen", &format!("0.0.0.0:{PORT}")]);
                command
            }
        };
        let mut daemon = Daemon::start(&format!("{kind:?}"), &mut host.run(&command), folder.join("log"));
        daemon.wait_until("an answer", || http::request((host.address(), PORT), "/scrape", &[], None));
        Self { _daemon: daemon, host: host.clone(), info_hash: info_hash.to_owned() }
    }

    /// Waits until it knows as many peers: who announces now gets them all, and need not ask again half an hour later.
    ///
    /// # Panics
    /// If they do not come.
    pub fn wait_for_peers(&self, count: u64) {
        let deadline = Instant::now() + PATIENCE;
        while self.peers() < count {
            assert!(Instant::now() < deadline, "the tracker has {} peers and not {count}", self.peers());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Seeds and leechers, by scrape (BEP 48).
    fn peers(&self) -> u64 {
        let escaped: String = self
            .info_hash
            .as_bytes()
            .chunks(2)
            .map(|pair| format!("%{}", String::from_utf8_lossy(pair)))
            .collect();
        let path = format!("/scrape?info_hash={escaped}");
        let Some(answer) = http::request((self.host.address(), PORT), &path, &[], None) else { return 0 };
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let number = |key: &str| -> u64 {
            let rest = text.split(key).nth(1).unwrap_or_default();
            rest.split('e').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
        };
        number("8:completei") + number("10:incompletei")
    }
}

/// It makes `folder` its root, gives up its rights, and then reads the white list.
fn opentracker(lab: &Lab, host: &Host, folder: &Path, info_hash: &str) -> Command {
    let configuration = format!(
        "listen.tcp_udp {}:{PORT}\naccess.whitelist whitelist\ntracker.rootdir {}\ntracker.user nobody\n",
        host.address(),
        folder.display()
    );
    std::fs::write(folder.join("whitelist"), format!("{info_hash}\n")).expect("a white list");
    std::fs::write(folder.join("configuration"), configuration).expect("a configuration");
    let mut command = Command::new(lab.tool(Tool::Opentracker));
    command.arg("-f").arg(folder.join("configuration"));
    command
}
