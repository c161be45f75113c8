//! Hashing what a torrent is made of, on all cores, each byte read once.

use std::io::IoSliceMut;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use downpour_metainfo::merkle::{self, Hash};
use downpour_metainfo::{Creation, Layout, TorrentVersion};
use downpour_storage::{FileStorage, HandlePool, Storage};
use sha1::{Digest, Sha1};

use crate::cores::{OPEN_FILES, on_all_cores};
use crate::failure::Failure;
use crate::report::bar;

/// Fits the processor's cache, and holds whole blocks.
const BUFFER: usize = 256 << 10;

/// What the versions of the protocol want to know of a piece.
#[derive(Default)]
struct PieceHashes {
    v1: Option<[u8; 20]>,
    v2: Vec<Hash>,
}

/// Gives `creation` the hashes of its files, which are below `root`.
pub(crate) fn hash(creation: Creation, root: PathBuf, version: TorrentVersion) -> Result<Creation, Failure> {
    let layout = Arc::new(creation.layout().clone());
    let handles = Arc::new(HandlePool::for_process(OPEN_FILES));
    let storage = FileStorage::new(root, Arc::clone(&layout), Default::default(), handles);
    let progress = bar(layout.total_length(), "hashing");
    let (next, creation) = (AtomicUsize::new(0), Mutex::new(creation));
    let work = || -> Result<(), Failure> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed) as u32;
            if piece >= layout.piece_count() {
                return Ok(());
            }
            let result = hash_piece(&storage, &layout, piece, version, &mut buffer).and_then(|hashes| {
                let mut creation = creation.lock().unwrap_or_else(PoisonError::into_inner);
                hashes.v1.map_or(Ok(()), |hash| creation.set_piece_hash(piece, hash))?;
                if version.has_v2() { creation.set_block_hashes(piece, &hashes.v2) } else { Ok(()) }?;
                Ok(())
            });
            if result.is_err() {
                // The others need not go on.
                next.store(layout.piece_count() as usize, Ordering::Relaxed);
                return result;
            }
            progress.inc(u64::from(layout.piece_size(piece)));
        }
    };
    let results = on_all_cores(work);
    progress.finish_and_clear();
    results.into_iter().collect::<Result<(), _>>()?;
    Ok(creation.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn hash_piece(
    storage: &FileStorage,
    layout: &Layout,
    piece: u32,
    version: TorrentVersion,
    buffer: &mut [u8],
) -> Result<PieceHashes, Failure> {
    let (mut sha1, mut hashes, mut begin) = (Sha1::new(), PieceHashes::default(), 0);
    let read = |begin, part: &mut [u8]| storage.read(piece, begin, &mut [IoSliceMut::new(part)]);
    for span in layout.spans(piece, 0, layout.piece_size(piece)) {
        let pad = layout.files()[span.file].is_pad();
        let mut left = span.length as usize;
        while left > 0 {
            let length = left.min(buffer.len());
            let part = &mut buffer[..length];
            if pad {
                part.fill(0);
            } else {
                read(begin, part).map_err(|error| Failure::new(error.to_string()))?;
            }
            if version.has_v1() {
                sha1.update(&part);
            }
            if version.has_v2() && !pad {
                hashes.v2.extend(part.chunks(merkle::BLOCK_LENGTH as usize).map(merkle::leaf));
            }
            begin += length as u32;
            left -= length;
        }
    }
    hashes.v1 = version.has_v1().then(|| sha1.finalize().into());
    Ok(hashes)
}
