//! `downpour verify`.

use std::sync::{Arc, Mutex, PoisonError};

use downpour_base::Bitfield;
use downpour_metainfo::{File, Metainfo};
use downpour_storage::{Allocation, FileStorage, HandlePool, HashQueue, Placement, file_progress};
use serde_json::json;

use super::{content_folder, load};
use crate::cli::Verify;
use crate::cores::{OPEN_FILES, on_all_cores};
use crate::failure::Failure;
use crate::report::bar;
use crate::text::{print_line, printable, size};

pub(crate) fn run(options: &Verify) -> Result<(), Failure> {
    let (_, metainfo) = load::torrent(&options.torrent, &[])?;
    let Some(_) = metainfo.info.info_hash().v1() else {
        return Err(Failure::of(&options.torrent, "has v2 hashes only, which this version cannot check yet"));
    };
    let layout = Arc::new(metainfo.info.layout().clone());
    let placement = Placement::new(content_folder(&options.path, &metainfo)?, metainfo.info.info_hash());
    let handles = Arc::new(HandlePool::for_process(OPEN_FILES));
    let storage = FileStorage::open(placement, Arc::clone(&layout), Allocation::Sparse, handles)
        .map_err(|error| Failure::new(error.to_string()))?;
    let good = hash(&storage, &metainfo);
    let there = storage.on_disk().files;
    let progress = file_progress(&layout, &good);
    let report: Vec<Checked<'_>> = layout
        .files()
        .iter()
        .enumerate()
        .filter(|(_, file)| !file.is_pad() && !file.is_symlink())
        .map(|(index, file)| Checked { file, good_bytes: progress[index], is_there: there[index].is_some() })
        .collect();
    if options.json {
        as_json(&report, &good);
    } else {
        as_text(&report, &good);
    }
    let bad = report.iter().filter(|checked| !checked.is_complete()).count();
    if good.is_full() && bad == 0 {
        return Ok(());
    }
    let pieces = good.len() - good.count();
    Err(Failure::of(
        &options.path,
        format!(
            "{pieces} of {} pieces and {bad} of {} files are missing or damaged",
            good.len(),
            report.len()
        ),
    ))
}

/// What was found of a file.
struct Checked<'l> {
    file: &'l File,
    good_bytes: u64,
    is_there: bool,
}

impl Checked<'_> {
    fn is_complete(&self) -> bool {
        self.is_there && self.good_bytes == self.file.length
    }
}

/// The pieces that are as the torrent says.
fn hash(storage: &FileStorage, metainfo: &Metainfo) -> Bitfield {
    let layout = metainfo.info.layout();
    let good = Mutex::new(Bitfield::new(layout.piece_count()));
    let queue = HashQueue::new((0..layout.piece_count()).collect());
    let progress = bar(layout.total_length(), "checking");
    on_all_cores(|| {
        queue.work(storage, layout, |piece, hash| {
            // What cannot be read is not there.
            if hash.is_ok_and(|hash| metainfo.info.piece_hash(piece) == Some(hash)) {
                good.lock().unwrap_or_else(PoisonError::into_inner).insert(piece);
            }
            progress.inc(u64::from(layout.piece_size(piece)));
        });
    });
    progress.finish_and_clear();
    good.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The pieces that are not in `good`, as runs of first and last.
fn bad_runs(good: &Bitfield) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for piece in (0..good.len()).filter(|piece| !good.contains(*piece)) {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == piece => *last = piece,
            _ => runs.push((piece, piece)),
        }
    }
    runs
}

fn as_json(report: &[Checked<'_>], good: &Bitfield) {
    let files: Vec<_> = report
        .iter()
        .map(|checked| {
            json!({
                "path": checked.file.path,
                "length": checked.file.length,
                "good_bytes": checked.good_bytes,
                "exists": checked.is_there,
                "complete": checked.is_complete(),
            })
        })
        .collect();
    let shown = json!({
        "complete": good.is_full() && report.iter().all(Checked::is_complete),
        "pieces_good": good.count(),
        "pieces_total": good.len(),
        "bad_pieces": bad_runs(good),
        "files": files,
    });
    print_line(format_args!("{shown:#}"));
}

fn as_text(report: &[Checked<'_>], good: &Bitfield) {
    for checked in report.iter().filter(|checked| !checked.is_complete()) {
        let path = printable(&checked.file.path);
        let (here, all) = (size(checked.good_bytes), size(checked.file.length));
        match checked.is_there {
            true => print_line(format_args!("{path}: {here} of {all} are good")),
            false => print_line(format_args!("{path}: missing")),
        }
    }
    let complete = report.iter().filter(|checked| checked.is_complete()).count();
    let runs: Vec<String> = bad_runs(good)
        .into_iter()
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") })
        .collect();
    if !runs.is_empty() {
        print_line(format_args!("bad pieces: {}", runs.join(", ")));
    }
    print_line(format_args!(
        "{} of {} pieces and {complete} of {} files are good",
        good.count(),
        good.len(),
        report.len()
    ));
}
