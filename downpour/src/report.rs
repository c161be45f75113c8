//! How a transfer is shown: a bar for people at a terminal, lines of JSON for programs, silence otherwise.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::sync::Arc;

use downpour_base::PeerEndpoint;
use downpour_engine::{Alert, AlertKind, Category, State, TorrentHandle, TorrentStatus};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::text::{print_line, printable, size};

/// A bar over bytes; hidden where nobody looks.
pub(crate) fn bar(bytes: u64, message: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(bytes), target());
    bar.set_style(style("{msg:<12} [{bar:30}] {percent:>3}%  {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  ETA {eta}"));
    bar.set_message(message.to_owned());
    bar
}

/// A line that changes in place; hidden where nobody looks.
pub(crate) fn status_line(hidden: bool) -> ProgressBar {
    let target = if hidden { ProgressDrawTarget::hidden() } else { target() };
    ProgressBar::with_draw_target(None, target).with_style(style("{spinner} {wide_msg}"))
}

fn target() -> ProgressDrawTarget {
    if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// Shows one torrent.
pub(crate) struct Report {
    bar: ProgressBar,
    json: bool,
    last: Option<Value>,
    /// Peers that the user was told about; each try is not news.
    unreachable: BTreeSet<PeerEndpoint>,
    /// Trackers whose trouble the user was told of, until they answer.
    failing: BTreeSet<Arc<str>>,
}

impl Report {
    pub(crate) fn new(handle: &TorrentHandle, json: bool) -> Self {
        let total = handle.metainfo().info.layout().total_length();
        let bar = ProgressBar::with_draw_target(
            Some(total),
            if json { ProgressDrawTarget::hidden() } else { target() },
        );
        bar.set_style(style("{prefix:<11} [{bar:20}] {percent:>3}%  {wide_msg}"));
        Self { bar, json, last: None, unreachable: BTreeSet::new(), failing: BTreeSet::new() }
    }

    /// Shows how it is going.
    pub(crate) fn progress(&mut self, handle: &TorrentHandle) {
        let status = handle.status();
        if self.json {
            return self.json_progress(&status);
        }
        let total = handle.metainfo().info.layout().total_length();
        let of_total =
            |pieces: u32, all: u32| (u128::from(total) * u128::from(pieces) / u128::from(all.max(1))) as u64;
        let (have, wanted) = (status.pieces_have, status.pieces_have + status.pieces_missing);
        self.bar.set_position(match status.state {
            State::Checking => of_total(status.pieces_checked, status.pieces_to_check),
            State::Seeding => total,
            _ => of_total(have, wanted),
        });
        self.bar.set_prefix(status.state.to_string());
        self.bar.set_message(match status.state {
            State::Checking => format!("{}/{} pieces", status.pieces_checked, status.pieces_to_check),
            // What is not wanted is not left to do.
            _ => summary(&status, of_total(status.pieces_missing, status.pieces_total)),
        });
    }

    fn json_progress(&mut self, status: &TorrentStatus) {
        let line = json!({
            "event": "progress",
            "state": status.state.to_string().replace(' ', "_"),
            "pieces_have": status.pieces_have,
            "pieces_missing": status.pieces_missing,
            "pieces_total": status.pieces_total,
            "pieces_checked": status.pieces_checked,
            "downloaded_bytes": status.downloaded_bytes,
            "uploaded_bytes": status.uploaded_bytes,
            "wasted_bytes": status.wasted_bytes,
            "download_rate": status.download_rate,
            "upload_rate": status.upload_rate,
            "peers": status.peers,
            "seeds": status.seeds,
        });
        if self.last.as_ref() != Some(&line) {
            print_line(&line);
            self.last = Some(line);
        }
    }

    /// Shows something that happened.
    pub(crate) fn alert(&mut self, alert: &Alert) {
        if self.json {
            if let Some(line) = json_alert(&alert.kind) {
                print_line(&line);
            }
            return;
        }
        let text = match &alert.kind {
            AlertKind::FileError { message }
            | AlertKind::StorageMovedFailed { message }
            | AlertKind::FileRenameFailed { message, .. } => message.clone(),
            AlertKind::DiskError(failure) if failure.disk_full => {
                format!("{}; the download goes on when there is space", failure.message)
            }
            AlertKind::DiskHasSpace => "there is space on the disk again".to_owned(),
            // Another disk error ends the program, which says why.
            AlertKind::ResumeNotSaved { message } => format!("the state could not be saved: {message}"),
            AlertKind::PeerBanned { endpoint, reason } => format!("{endpoint} is banned: {reason}"),
            AlertKind::HashFailed { piece, .. } => {
                format!("piece {piece} failed its hash check; it is downloaded again")
            }
            AlertKind::PeerUnreachable { endpoint, reason } if self.unreachable.insert(*endpoint) => {
                format!("cannot reach {endpoint}: {reason}; it is tried again")
            }
            AlertKind::TrackerError { tracker, reason, retry }
                if self.failing.insert(Arc::clone(tracker)) =>
            {
                let then = if retry.is_some() { "it is tried again" } else { "it is not tried again" };
                format!("tracker {}: {reason}; {then}", printable(tracker))
            }
            AlertKind::TrackerReply { tracker, .. } => {
                self.failing.remove(tracker);
                return;
            }
            AlertKind::TrackerWarning { tracker, message } => {
                format!("tracker {} says: {message}", printable(tracker))
            }
            _ => return,
        };
        let urgent = alert.kind.category() == Category::Error;
        if urgent || std::io::stderr().is_terminal() {
            self.bar.suspend(|| eprintln!("downpour: {text}"));
        }
    }

    /// A line that stays.
    pub(crate) fn say(&self, text: &str) {
        if !self.json && std::io::stderr().is_terminal() {
            self.bar.suspend(|| eprintln!("{text}"));
        }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// The most wanted first: a narrow terminal cuts the end.
fn summary(status: &TorrentStatus, left: u64) -> String {
    let mut text = String::new();
    if status.state == State::Downloading {
        text += &format!("{}/s", size(status.download_rate));
        if let Some(seconds) = left.checked_div(status.download_rate) {
            text +=
                &format!("  ETA {}", indicatif::FormattedDuration(std::time::Duration::from_secs(seconds)));
        }
        text += "  ";
    }
    let peers = if status.peers == 1 { "peer" } else { "peers" };
    text += &format!("{} {peers}  up {}/s  ", status.peers, size(status.upload_rate));
    text + &format!("{}/{} pieces", status.pieces_have, status.pieces_have + status.pieces_missing)
}

/// The alerts that programs get; addresses and reasons as text.
fn json_alert(kind: &AlertKind) -> Option<Value> {
    Some(match kind {
        AlertKind::Checking => json!({ "event": "checking" }),
        AlertKind::Checked { good, total } => json!({ "event": "checked", "good": good, "total": total }),
        AlertKind::Finished => json!({ "event": "finished" }),
        AlertKind::HashFailed { piece, .. } => json!({ "event": "hash_failed", "piece": piece }),
        AlertKind::PeerConnected { endpoint, .. } => {
            json!({ "event": "peer_connected", "endpoint": endpoint.to_string() })
        }
        AlertKind::PeerDisconnected { endpoint, reason, .. } => {
            json!({ "event": "peer_disconnected", "endpoint": endpoint.to_string(), "reason": reason })
        }
        AlertKind::PeerUnreachable { endpoint, reason } => {
            json!({ "event": "peer_unreachable", "endpoint": endpoint.to_string(), "reason": reason })
        }
        AlertKind::PeerBanned { endpoint, reason } => {
            json!({ "event": "peer_banned", "endpoint": endpoint.to_string(), "reason": reason.to_string() })
        }
        AlertKind::DiskError(failure) => {
            json!({ "event": "disk_error", "message": failure.message, "disk_full": failure.disk_full })
        }
        AlertKind::TrackerReply { tracker, event, peers, interval, seeds, leechers } => json!({
            "event": "tracker_reply",
            "tracker": **tracker,
            "announced": event.to_string(),
            "peers": peers,
            "interval_seconds": interval.as_secs(),
            "seeds": seeds,
            "leechers": leechers,
        }),
        AlertKind::TrackerError { tracker, reason, retry } => json!({
            "event": "tracker_error",
            "tracker": **tracker,
            "reason": reason.to_string(),
            "retry_seconds": retry.map(|retry| retry.as_secs()),
        }),
        AlertKind::TrackerWarning { tracker, message } => {
            json!({ "event": "tracker_warning", "tracker": **tracker, "message": message })
        }
        AlertKind::DiskHasSpace => json!({ "event": "disk_has_space" }),
        AlertKind::ResumeNotSaved { message } => json!({ "event": "resume_not_saved", "message": message }),
        AlertKind::FileError { message } => json!({ "event": "file_error", "message": message }),
        AlertKind::Listening { address } => json!({ "event": "listening", "address": address.to_string() }),
        AlertKind::Overflowed { lost } => json!({ "event": "overflowed", "lost": lost }),
        _ => return None,
    })
}
