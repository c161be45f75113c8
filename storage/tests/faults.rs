//! What a disk refuses is told in one line, and what was there before stays.

use std::io::IoSliceMut;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use downpour_base::{InfoHash, InfoHashV1};
use downpour_metainfo::{Builder, Layout, Metainfo};
use downpour_storage::{Allocation, FileStorage, HandlePool, Placement, Storage, hash_piece, sha1};

const PIECE: usize = 16 << 10;

fn layout(files: &[usize]) -> Arc<Layout> {
    let files = (0..).zip(files).map(|(i, length): (u32, _)| (vec![format!("f{i}")], *length as u64));
    let mut creation = Builder::tree("t", files.collect()).piece_length(PIECE as u64).create().unwrap();
    (0..creation.layout().piece_count()).for_each(|piece| creation.set_piece_hash(piece, [0; 20]).unwrap());
    Arc::new(Metainfo::parse(&creation.finish().unwrap()).unwrap().info.layout().clone())
}

fn placement(root: &Path) -> Placement {
    Placement::new(root, InfoHash::V1(InfoHashV1([1; 20])))
}

fn open(placement: Placement, layout: &Arc<Layout>) -> FileStorage {
    let handles = Arc::new(HandlePool::new(4));
    FileStorage::open(placement, Arc::clone(layout), Allocation::Sparse, handles).unwrap()
}

fn fill(storage: &FileStorage, layout: &Layout) {
    for piece in 0..layout.piece_count() {
        storage.write(piece, 0, &[content(layout, piece).into()]).unwrap();
    }
}

fn content(layout: &Layout, piece: u32) -> Vec<u8> {
    vec![(piece % 251) as u8 + 1; layout.piece_size(piece) as usize]
}

fn assert_whole(storage: &FileStorage, layout: &Layout) {
    for piece in 0..layout.piece_count() {
        let hash = hash_piece(storage, layout, piece, &mut [0; 4096]).unwrap();
        assert_eq!(hash, sha1([content(layout, piece)]), "piece {piece}");
    }
}

fn parts(root: &Path) -> PathBuf {
    root.join(placement(root).part_file)
}

/// `/dev/shm` is on another device than where temporary files are, on most machines.
fn second_disk(first: &Path) -> Option<tempfile::TempDir> {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.dev()).ok();
    let other = Path::new("/dev/shm");
    if device(other).is_none_or(|other| Some(other) == device(first)) {
        eprintln!("skipped: there is no second disk");
        return None;
    }
    tempfile::tempdir_in(other).ok()
}

#[test]
fn what_was_not_synced_is_not_in_the_part_file_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let layout = layout(&[PIECE / 2, PIECE, PIECE / 2]);
    let storage = open(placement(folder.path()), &layout);
    storage.select(|file| file != 1).unwrap();
    storage.write(0, 0, &[content(&layout, 0).into()]).unwrap();
    storage.sync().unwrap();
    storage.write(1, 0, &[content(&layout, 1).into()]).unwrap();
    let after_crash = open(placement(folder.path()), &layout);
    let known: Vec<(usize, u32)> = after_crash.in_parts().into_iter().collect();
    assert_eq!(known, [(1, 0)], "only what was synced is known");
    assert_eq!(hash_piece(&after_crash, &layout, 0, &mut [0; 999]).unwrap(), sha1([content(&layout, 0)]));
    storage.sync().unwrap();
    let after_sync = open(placement(folder.path()), &layout);
    assert_eq!(after_sync.in_parts().len(), 2);
}

#[test]
fn a_part_file_that_is_none_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let layout = layout(&[PIECE / 2, PIECE, PIECE / 2]);
    for rubbish in [&b""[..], b"short", &[0xff; 10_000]] {
        std::fs::write(parts(folder.path()), rubbish).unwrap();
        let storage = open(placement(folder.path()), &layout);
        storage.select(|file| file != 1).unwrap();
        assert!(storage.in_parts().is_empty());
        fill(&storage, &layout);
        storage.sync().unwrap();
        drop(storage);
        let storage = open(placement(folder.path()), &layout);
        storage.select(|file| file != 1).unwrap();
        assert_whole(&storage, &layout);
        storage.select(|_| true).unwrap();
        assert_whole(&storage, &layout);
        assert!(!parts(folder.path()).exists());
        std::fs::remove_dir_all(folder.path().join("t")).unwrap();
    }
}

#[test]
fn what_cannot_go_home_stays_in_the_part_file() {
    let folder = tempfile::tempdir().unwrap();
    let layout = layout(&[PIECE / 2, PIECE, PIECE / 2]);
    let storage = open(placement(folder.path()), &layout);
    storage.select(|file| file != 1).unwrap();
    fill(&storage, &layout);
    std::fs::create_dir(folder.path().join("t/f1")).unwrap();
    let error = storage.select(|_| true).unwrap_err().to_string();
    assert!(error.contains("t/f1") && error.contains("in the way"), "{error}");
    assert!(!storage.is_wanted(1));
    assert_whole(&storage, &layout);
    std::fs::remove_dir(folder.path().join("t/f1")).unwrap();
    storage.select(|_| true).unwrap();
    assert_whole(&storage, &layout);
}

#[test]
fn an_interrupted_move_loses_nothing_and_goes_on() {
    let [from, to] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    let layout = layout(&[PIECE * 2, PIECE / 2, PIECE, PIECE]);
    let storage = open(placement(from.path()), &layout);
    storage.select(|file| file != 1).unwrap();
    fill(&storage, &layout);
    storage.begin_move(to.path(), false).unwrap();
    storage.sync().unwrap();
    let remembered = storage.placement();
    assert_eq!(remembered.save_paths, [to.path(), from.path()]);
    // The crash comes when some files are there already.
    drop(storage);
    std::fs::create_dir(to.path().join("t")).unwrap();
    std::fs::rename(from.path().join("t/f0"), to.path().join("t/f0")).unwrap();
    std::fs::rename(parts(from.path()), parts(to.path())).unwrap();
    let storage = open(remembered, &layout);
    storage.select(|file| file != 1).unwrap();
    assert!(storage.is_scattered());
    storage.finish_move().unwrap();
    assert!(!storage.is_scattered());
    assert_whole(&storage, &layout);
    assert_eq!(std::fs::read_dir(from.path()).unwrap().count(), 0);
}

#[test]
fn a_move_that_fails_half_way_loses_nothing() {
    let from = tempfile::tempdir().unwrap();
    let Some(to) = second_disk(from.path()) else { return };
    let layout = layout(&[PIECE * 2, PIECE]);
    let storage = open(placement(from.path()), &layout);
    fill(&storage, &layout);
    storage.begin_move(to.path(), false).unwrap();
    // Something that cannot be replaced by a copy, as if it had come meanwhile.
    std::fs::create_dir_all(to.path().join("t/f1/x")).unwrap();
    let error = storage.finish_move().unwrap_err().to_string();
    assert!(error.contains("t/f1"), "{error}");
    assert!(storage.is_scattered());
    assert_whole(&storage, &layout);
    assert!(from.path().join("t/f1").exists() && to.path().join("t/f0").exists());
    std::fs::remove_dir_all(to.path().join("t/f1")).unwrap();
    storage.finish_move().unwrap();
    assert_whole(&storage, &layout);
    assert!(!from.path().join("t").exists());
}

#[test]
fn what_is_written_while_a_file_is_copied_is_in_the_copy() {
    let from = tempfile::tempdir().unwrap();
    let Some(to) = second_disk(from.path()) else { return };
    let layout = layout(&[PIECE * 800, PIECE / 2, PIECE * 800]);
    let storage = open(placement(from.path()), &layout);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| fill(&storage, &layout));
        for _ in 0..4 {
            for place in [to.path(), from.path()] {
                storage.begin_move(place, false).unwrap();
                storage.finish_move().unwrap();
            }
        }
        writer.join().unwrap();
    });
    assert_whole(&storage, &layout);
    let mut strays = std::fs::read_dir(to.path()).unwrap();
    assert!(strays.next().is_none(), "nothing stays behind");
}

#[test]
fn each_fault_has_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let layout = layout(&[PIECE, PIECE]);
    let storage = open(placement(folder.path()), &layout);
    std::fs::write(folder.path().join("t"), "a file where a folder should be").unwrap();
    for error in [storage.prepare(), storage.write(0, 0, &[vec![1].into()])].map(Result::unwrap_err) {
        let line = error.to_string();
        assert!(line.contains("t/f0") && line.contains("(move what is in the way)"), "{line}");
    }
    std::fs::remove_file(folder.path().join("t")).unwrap();
    let long = format!("t/{}", "x".repeat(300));
    storage.begin_rename(0, &long).unwrap();
    storage.finish_rename(0).unwrap();
    let line = storage.write(0, 0, &[vec![1].into()]).unwrap_err().to_string();
    assert!(line.contains("(this disk cannot have a file of that name: rename the file)"), "{line}");
    let line = storage.read(1, 0, &mut [IoSliceMut::new(&mut [0; 9])]).unwrap_err().to_string();
    assert!(line.contains("t/f1"), "{line}");
}
