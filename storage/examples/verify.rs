//! Checks the files of a torrent: `verify FILE.torrent FOLDER`. Without arguments it makes a small file and a torrent of
//! it, damages one byte, and finds the piece.

use std::path::PathBuf;
use std::sync::Arc;

use downpour_metainfo::{Builder, Metainfo};
use downpour_storage::{Allocation, FileStorage, HandlePool, Storage, hash_piece};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (torrent, folder) = match (arguments.next(), arguments.next()) {
        (Some(torrent), Some(folder)) => (std::fs::read(torrent)?, PathBuf::from(folder)),
        _ => sample()?,
    };
    let info = Metainfo::parse(&torrent)?.info;
    let layout = Arc::new(info.layout().clone());
    let storage =
        FileStorage::new(folder, Arc::clone(&layout), Allocation::Sparse, Arc::new(HandlePool::new(16)));
    let mut buffer = vec![0; 256 << 10];
    let mut bad = Vec::new();
    for piece in 0..layout.piece_count() {
        if hash_piece(&storage, &layout, piece, &mut buffer).ok() != info.piece_hash(piece) {
            bad.push(piece);
        }
    }
    println!(
        "{} of {} pieces are good; bad: {bad:?}",
        layout.piece_count() as usize - bad.len(),
        layout.piece_count()
    );
    Ok(())
}

fn sample() -> Result<(Vec<u8>, PathBuf), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("downpour-verify-{}", std::process::id()));
    let mut creation = Builder::file("sample.bin", 100_000).piece_length(16 << 10).create()?;
    let layout = Arc::new(creation.layout().clone());
    let storage = FileStorage::new(
        folder.clone(),
        Arc::clone(&layout),
        Allocation::Sparse,
        Arc::new(HandlePool::new(1)),
    );
    for piece in 0..layout.piece_count() {
        storage.write(piece, 0, &[vec![piece as u8; layout.piece_size(piece) as usize].into()])?;
        creation.set_piece_hash(piece, hash_piece(&storage, &layout, piece, &mut [0; 4096])?)?;
    }
    storage.write(3, 77, &[vec![0xff].into()])?;
    Ok((creation.finish()?, folder))
}
