//! Twenty thousand files in a process that may open few. The tests run themselves again under a lower limit.

use std::io::IoSliceMut;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use downpour_metainfo::{Builder, Layout, Metainfo};
use downpour_storage::{
    Allocation, FileStorage, HandlePool, HashQueue, Storage, descriptor_limit, hash_piece, sha1,
};

const CHILD: &str = "DOWNPOUR_TEST_LIMITED";

/// Runs the test `name` of this file in a child process that may have `handles` file handles.
fn limited(name: &str, handles: u32) -> bool {
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let script = format!("ulimit -n {handles} && exec \"$0\" --exact {name} --nocapture");
    let test = std::env::current_exe().unwrap();
    let child = Command::new("sh").arg("-c").arg(script).arg(test).env(CHILD, "1").output().unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    false
}

fn many(files: u32, length: u64) -> Arc<Layout> {
    let listed = (0..files).map(|file| (vec![format!("d{}", file % 50), format!("f{file}")], length));
    let mut creation = Builder::tree("t", listed.collect()).piece_length(64 << 10).create().unwrap();
    (0..creation.layout().piece_count()).for_each(|piece| creation.set_piece_hash(piece, [0; 20]).unwrap());
    Arc::new(Metainfo::parse(&creation.finish().unwrap()).unwrap().info.layout().clone())
}

fn storage(root: &Path, layout: &Arc<Layout>, handles: HandlePool) -> FileStorage {
    FileStorage::new(root.to_owned(), Arc::clone(layout), Allocation::Sparse, Arc::new(handles))
}

#[test]
fn twenty_thousand_files_are_written_and_hashed_with_256_handles() {
    if !limited("twenty_thousand_files_are_written_and_hashed_with_256_handles", 256) {
        return;
    }
    assert_eq!(descriptor_limit(), Some(256));
    // In memory where the system has such a folder: syncing so many files takes a disk long.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let layout = many(20_000, 100);
    let pool = HandlePool::for_process(10_000);
    assert_eq!(pool.limit(), 64, "most handles are for sockets");
    let storage = storage(folder.path(), &layout, pool);
    storage.prepare().unwrap();
    let content = |piece: u32| vec![piece as u8; layout.piece_size(piece) as usize];
    for piece in 0..layout.piece_count() {
        storage.write(piece, 0, &[content(piece).into()]).unwrap();
    }
    storage.sync().unwrap();
    assert!(storage.on_disk().files.iter().all(|file| file.is_some_and(|file| file.length == 100)));
    let queue = HashQueue::new((0..layout.piece_count()).collect());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                queue.work(&storage, &layout, |piece, hash| {
                    assert_eq!(hash.unwrap(), sha1([content(piece)]));
                });
            });
        }
    });
}

#[test]
fn when_handles_run_out_files_are_closed_and_it_goes_on() {
    if !limited("when_handles_run_out_files_are_closed_and_it_goes_on", 64) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Made first: later the storage may have all handles.
    let path = folder.path().join("greedy");
    std::fs::write(&path, "").unwrap();
    let layout = many(200, 1 << 10);
    // More than the process may have.
    let storage = storage(folder.path(), &layout, HandlePool::new(10_000));
    for piece in 0..layout.piece_count() {
        storage.write(piece, 0, &[vec![1; layout.piece_size(piece) as usize].into()]).unwrap();
    }
    storage.sync().unwrap();
    for piece in 0..layout.piece_count() {
        hash_piece(&storage, &layout, piece, &mut [0; 1000]).unwrap();
    }
    // Somebody else takes all that there are: one line says what, where and what to do.
    let mut taken = Vec::new();
    while let Ok(file) = std::fs::File::open(&path) {
        taken.push(file);
    }
    storage.read(0, 0, &mut [IoSliceMut::new(&mut [0; 10])]).expect("it had files that it could close");
    while let Ok(file) = std::fs::File::open(&path) {
        taken.push(file);
    }
    let poor = self::storage(folder.path(), &layout, HandlePool::new(10));
    let error = poor.read(0, 0, &mut [IoSliceMut::new(&mut [0; 10])]).unwrap_err();
    assert!(error.is_out_of_handles(), "{error}");
    assert!(error.to_string().contains("too few file handles: raise the limit"), "{error}");
    drop(taken);
    poor.read(0, 0, &mut [IoSliceMut::new(&mut [0; 10])]).unwrap();
}
