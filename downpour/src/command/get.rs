//! `downpour get`.

use std::time::{Duration, Instant};

use downpour_engine::{AddTorrent, AlertKind, SeedingGoal, Session, Settings, TorrentHandle};
use downpour_metainfo::Metainfo;
use downpour_storage::DEFAULT_PRIORITY;

use super::{load, start};
use crate::cli::Get;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::report::Report;
use crate::select::select;
use crate::text::{print_line, printable, size};

const REFRESH: Duration = Duration::from_millis(100);

pub(crate) fn run(options: &Get) -> Result<(), Failure> {
    let (torrent, metainfo) = load::torrent(&options.torrent, &options.node.trusted()?)?;
    if options.list {
        list(&metainfo);
        return Ok(());
    }
    let priorities = priorities(options, &metainfo)?;
    let folder = absolute(&options.output)?;
    if folder.exists() && !folder.is_dir() {
        return Err(Failure::of(&options.output, "is no folder: choose one with --output"));
    }
    let interrupt = Interrupt::install()?;
    let session = start(&options.node, settings(options))?;
    let mut add = AddTorrent::new(torrent, folder).peers(options.peers.iter().copied());
    add.file_priorities = priorities;
    let handle = session.add_torrent(add).map_err(|error| Failure::of(&options.torrent, error))?;
    handle.set_sequential(options.sequential)?;
    let mut report = Report::new(&handle, options.node.json);
    if options.peers.is_empty() && metainfo.trackers.is_empty() {
        let port = session.listen_addresses().first().map_or(0, |address| address.port());
        report
            .say(&format!("no peer is known: waiting for one to call on port {port}; --peer ADDR names one"));
    }
    let result = follow(&session, &handle, &mut report, &interrupt, options.exit_when_done);
    session.shutdown_blocking();
    result
}

fn settings(options: &Get) -> Settings {
    let defaults = Settings::default();
    let peers = options.max_peers;
    Settings {
        download_limit: options.limit_down,
        upload_limit: options.limit_up,
        seeding_goal: SeedingGoal { ratio_per_mille: options.seed_ratio, time: None },
        connections: peers.unwrap_or(defaults.connections),
        connections_per_torrent: peers.unwrap_or(defaults.connections_per_torrent),
        ..defaults
    }
}

/// How much each file is wanted. Said of all of them, so that what an earlier command chose counts no longer.
fn priorities(options: &Get, metainfo: &Metainfo) -> Result<Vec<u8>, Failure> {
    let files = metainfo.info.layout().files();
    if options.files.is_empty() {
        return Ok(vec![DEFAULT_PRIORITY; files.len()]);
    }
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let chosen = select(&options.files, &paths).map_err(|error| Failure::of(&options.torrent, error))?;
    Ok(chosen.into_iter().map(|chosen| if chosen { DEFAULT_PRIORITY } else { 0 }).collect())
}

/// The files with the numbers that `--files` takes.
fn list(metainfo: &Metainfo) {
    let files = (1..).zip(metainfo.info.layout().files());
    for (number, file) in files.filter(|(_, file)| !file.is_pad()) {
        print_line(format_args!("{number:>6}  {:>12}  {}", size(file.length), printable(&file.path)));
    }
}

/// Resume state is kept by place, so a place must have one name.
pub(crate) fn absolute(path: &std::path::Path) -> Result<std::path::PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::of(path, error))
}

/// Shows a torrent until the user, or its end, ends it.
pub(crate) fn follow(
    session: &Session,
    handle: &TorrentHandle,
    report: &mut Report,
    interrupt: &Interrupt,
    exit_when_done: bool,
) -> Result<(), Failure> {
    let mut shown = Instant::now();
    let mut finished = false;
    let mut result = Ok(());
    while !(interrupt.is_set() || result.is_err() || finished && exit_when_done) {
        if let Some(alert) = session.next_alert_blocking(REFRESH) {
            let complete = match &alert.kind {
                AlertKind::Finished => true,
                AlertKind::Checked { good, total } => good == total,
                _ => false,
            };
            if let AlertKind::DiskError(failure) = &alert.kind
                && !failure.disk_full
            {
                result = Err(Failure::new(failure.message.clone()));
            }
            if matches!(alert.kind, AlertKind::SeedingGoalReached) {
                break;
            }
            if complete {
                finished = true;
                let all = handle.status().pieces_have == handle.status().pieces_total;
                let what = if all { "complete" } else { "the chosen files are complete" };
                report.say(&format!("{}: {what} and verified", printable(handle.metainfo().info.name())));
            }
            report.alert(&alert);
        }
        if shown.elapsed() >= REFRESH || finished {
            report.progress(handle);
            shown = Instant::now();
        }
    }
    report.finish();
    let status = handle.status();
    if result.is_ok() && interrupt.is_set() && !status.finished {
        let (have, total) = (status.pieces_have, status.pieces_have + status.pieces_missing);
        let text = format!("stopped with {have} of {total} pieces: the same command goes on from here");
        return Err(Failure::interrupted(text));
    }
    result
}
