//! `downpour create`.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use downpour_metainfo::{Builder, Creation};
use downpour_storage::{FileStorage, HandlePool, ScannedTree, StorageError, hash_piece, scan};

use crate::cli::Create;
use crate::failure::Failure;
use crate::report::bar;
use crate::text::{print_line, size};

const OPEN_FILES: usize = 128;
const HASH_BUFFER: usize = 256 << 10;

pub(crate) fn run(options: &Create) -> Result<(), Failure> {
    let scanned = scan(&options.path).map_err(|error| Failure::new(error.to_string()))?;
    let output = options.output.clone().unwrap_or_else(|| PathBuf::from(format!("{}.torrent", scanned.name)));
    if output.exists() {
        return Err(Failure::of(&output, "exists already: remove it, or choose another name with --output"));
    }
    let creation = hash(&scanned, options.piece_size).map_err(|error| Failure::of(&options.path, error))?;
    let torrent = creation.finish().map_err(|error| Failure::of(&options.path, error))?;
    std::fs::write(&output, torrent)
        .map_err(|error| Failure::of(&output, format!("cannot write: {error}")))?;
    let layout = creation.layout();
    print_line(format_args!(
        "{}: {} in {} file(s), {} pieces of {}",
        output.display(),
        size(layout.total_length()),
        layout.files().len(),
        layout.piece_count(),
        size(u64::from(layout.piece_length()))
    ));
    Ok(())
}

/// Hashes everything, on all cores.
pub(crate) fn hash(scanned: &ScannedTree, piece_size: Option<u64>) -> Result<Creation, Failure> {
    let mut builder = match &scanned.tree {
        None => Builder::file(&scanned.name, scanned.length),
        Some(files) => Builder::tree(&scanned.name, files.clone()),
    };
    builder = builder.created_by(concat!("Downpour ", env!("CARGO_PKG_VERSION")));
    if let Ok(since) = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
        builder = builder.creation_date(since.as_secs() as i64);
    }
    if let Some(bytes) = piece_size {
        builder = builder.piece_length(bytes);
    }
    let creation = builder.create().map_err(|error| Failure::new(error.to_string()))?;
    let layout = Arc::new(creation.layout().clone());
    let storage = FileStorage::new(
        scanned.root.clone(),
        Arc::clone(&layout),
        Default::default(),
        Arc::new(HandlePool::new(OPEN_FILES)),
    );
    let progress = bar(layout.total_length(), "hashing");
    let (next, creation) = (AtomicUsize::new(0), Mutex::new(creation));
    let work = || -> Result<(), StorageError> {
        let mut buffer = vec![0; HASH_BUFFER];
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed) as u32;
            if piece >= layout.piece_count() {
                return Ok(());
            }
            let hash = hash_piece(&storage, &layout, piece, &mut buffer)?;
            let mut creation = creation.lock().unwrap_or_else(PoisonError::into_inner);
            // The loop's bound is the torrent's.
            let _ = creation.set_piece_hash(piece, hash);
            progress.inc(u64::from(layout.piece_size(piece)));
        }
    };
    let threads = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or(Ok(())))
    })
    .map_err(|error| Failure::new(error.to_string()))?;
    progress.finish_and_clear();
    Ok(creation.into_inner().unwrap_or_else(PoisonError::into_inner))
}
