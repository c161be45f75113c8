//! `downpour create`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use downpour_metainfo::{Builder, Creation};
use downpour_storage::{FileStorage, HandlePool, HashQueue, ScannedTree, scan};

use super::{OPEN_FILES, on_all_cores};
use crate::cli::Create;
use crate::failure::Failure;
use crate::report::bar;
use crate::text::{print_line, size};

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
        Arc::new(HandlePool::for_process(OPEN_FILES)),
    );
    let progress = bar(layout.total_length(), "hashing");
    let (creation, failure) = (Mutex::new(creation), Mutex::new(None));
    let queue = HashQueue::new((0..layout.piece_count()).collect());
    let work = || {
        queue.work(&storage, &layout, |piece, hash| match hash {
            Ok(hash) => {
                let mut creation = creation.lock().unwrap_or_else(PoisonError::into_inner);
                // The queue's pieces are the torrent's.
                let _ = creation.set_piece_hash(piece, hash);
                progress.inc(u64::from(layout.piece_size(piece)));
            }
            Err(error) => {
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                queue.stop();
            }
        });
    };
    on_all_cores(work);
    if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(Failure::new(error.to_string()));
    }
    progress.finish_and_clear();
    Ok(creation.into_inner().unwrap_or_else(PoisonError::into_inner))
}
