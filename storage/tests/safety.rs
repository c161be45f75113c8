//! Links that lead out of the folder, storages that are closed or deleted, and syncs that failed.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use downpour_base::{InfoHash, InfoHashV1};
use downpour_metainfo::{Builder, Layout, Metainfo};
use downpour_storage::{Allocation, FileStorage, HandlePool, HashQueue, Operation, Placement, Storage};

const PIECE: usize = 16 << 10;

fn layout(files: &[(&str, usize)]) -> Arc<Layout> {
    let files = files
        .iter()
        .map(|(path, length)| (path.split('/').map(str::to_owned).collect::<Vec<_>>(), *length as u64));
    let mut creation = Builder::tree("t", files.collect()).piece_length(PIECE as u64).create().unwrap();
    (0..creation.layout().piece_count()).for_each(|piece| creation.set_piece_hash(piece, [0; 20]).unwrap());
    Arc::new(Metainfo::parse(&creation.finish().unwrap()).unwrap().info.layout().clone())
}

fn open(root: &Path, layout: &Arc<Layout>, handles: usize) -> FileStorage {
    let placement = Placement::new(root, InfoHash::V1(InfoHashV1([1; 20])));
    let handles = Arc::new(HandlePool::new(handles));
    FileStorage::open(placement, Arc::clone(layout), Allocation::Sparse, handles).unwrap()
}

fn write(storage: &FileStorage, piece: u32) -> Result<(), downpour_storage::StorageError> {
    storage.write(piece, 0, &[vec![1; PIECE].into()])
}

#[test]
fn nothing_is_written_through_a_link_that_leads_out_of_the_folder() {
    let (here, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let layout = layout(&[("a/x", PIECE), ("b", PIECE), ("c", PIECE), ("d", 0)]);
    std::fs::write(out.path().join("victim"), "mine").unwrap();
    std::fs::create_dir(here.path().join("t")).unwrap();
    symlink(out.path(), here.path().join("t/a")).unwrap();
    symlink(out.path().join("victim"), here.path().join("t/b")).unwrap();
    symlink(out.path().join("not there yet"), here.path().join("t/c")).unwrap();
    symlink(out.path().join("nor this"), here.path().join("t/d")).unwrap();
    let storage = open(here.path(), &layout, 4);
    for piece in 0..3 {
        let error = write(&storage, piece).unwrap_err().to_string();
        assert!(error.contains("symbolic link") && error.contains("remove the link"), "{error}");
    }
    assert!(storage.prepare().is_err());
    assert_eq!(std::fs::read(out.path().join("victim")).unwrap(), b"mine");
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 1);

    // Links inside the folder are the user's business, and so is where the folder itself leads.
    let link = out.path().join("link");
    symlink(here.path(), &link).unwrap();
    for name in ["a", "b", "c", "d"] {
        std::fs::remove_file(here.path().join("t").join(name)).unwrap();
    }
    std::fs::create_dir(here.path().join("t/real")).unwrap();
    symlink("real", here.path().join("t/a")).unwrap();
    let storage = open(&link, &layout, 4);
    (0..3).for_each(|piece| write(&storage, piece).unwrap());
    assert_eq!(std::fs::read(here.path().join("t/real/x")).unwrap(), vec![1; PIECE]);
}

#[test]
fn a_closed_storage_writes_nothing_any_more() {
    let here = tempfile::tempdir().unwrap();
    let layout = layout(&[("a", PIECE), ("b", PIECE)]);
    let storage = open(here.path(), &layout, 4);
    write(&storage, 0).unwrap();
    storage.delete(|file, _| file == 0).unwrap();
    assert!(write(&storage, 1).is_err() && storage.finish().is_err());
    assert_eq!(std::fs::read_dir(here.path()).unwrap().count(), 0, "neither file nor folder comes back");
    let storage = open(here.path(), &layout, 4);
    write(&storage, 0).unwrap();
    storage.close();
    let error = write(&storage, 1).unwrap_err();
    assert_eq!(error.operation, Operation::Write);
    assert!(!here.path().join("t/b").exists());
}

#[test]
fn a_sync_that_failed_is_not_forgotten() {
    let here = tempfile::tempdir().unwrap();
    let layout = layout(&[("a", PIECE), ("b", PIECE)]);
    // Something that cannot be synced.
    std::fs::create_dir(here.path().join("t")).unwrap();
    let path = here.path().join("t/a");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    if !made.is_ok_and(|status| status.success()) {
        return eprintln!("skipped: there is no mkfifo");
    }
    // Opened by somebody, it can be opened for reading without waiting.
    let held = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    let storage = open(here.path(), &layout, 1);
    storage.found([0]);
    assert_eq!(storage.sync().unwrap_err().operation, Operation::Sync);
    // The system says it once. The file is all right when it is opened again, but what it should have is not in it.
    drop(held);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, vec![1; PIECE]).unwrap();
    write(&storage, 1).unwrap();
    assert_eq!(storage.sync().unwrap_err().path, path);
    let storage = open(here.path(), &layout, 1);
    write(&storage, 0).unwrap();
    storage.sync().unwrap();
}

#[test]
fn hashing_lets_others_have_their_turn() {
    let here = tempfile::tempdir().unwrap();
    let layout = layout(&[("a", 5 * PIECE)]);
    let storage = open(here.path(), &layout, 1);
    (0..5).for_each(|piece| write(&storage, piece).unwrap());
    let queue = HashQueue::new((0..5).collect());
    let turn = || {
        let mut pieces = Vec::new();
        let more = queue.work_on(PIECE as u64 + 1, &storage, &layout, |piece, _| pieces.push(piece));
        (pieces, more)
    };
    assert_eq!([turn(), turn()], [(vec![0, 1], true), (vec![2, 3], true)]);
    assert_eq!(turn(), (vec![4], false));
    queue.stop();
    assert_eq!(turn(), (vec![], false));
}

#[test]
fn what_was_found_good_is_synced_before_it_is_recorded() {
    let here = tempfile::tempdir().unwrap();
    let layout = layout(&[("a", PIECE), ("b", PIECE)]);
    let first = open(here.path(), &layout, 4);
    (0..2).for_each(|piece| write(&first, piece).unwrap());
    let second = open(here.path(), &layout, 4);
    second.found([1]);
    // That it is synced shows when it cannot be.
    std::fs::remove_file(here.path().join("t/b")).unwrap();
    let error = second.sync().unwrap_err();
    assert_eq!((error.operation, error.path), (Operation::Open, here.path().join("t/b")));
}
