//! What was found good by reading is synced before it is recorded.

use std::sync::Arc;

use bytes::Bytes;
use downpour_metainfo::{Builder, Metainfo};
use downpour_storage::{Allocation, FileStorage, HandlePool, Storage};

#[test]
fn the_next_sync_reaches_the_files_of_a_piece_that_was_found_good() {
    let folder = tempfile::tempdir().unwrap();
    let mut creation = Builder::file("file", 100).create().unwrap();
    creation.set_piece_hash(0, [0; 20]).unwrap();
    let metainfo = Metainfo::parse(&creation.finish().unwrap()).unwrap();
    let open = || {
        let layout = Arc::new(metainfo.info.layout().clone());
        let handles = Arc::new(HandlePool::new(4));
        FileStorage::new(folder.path().to_owned(), layout, Allocation::Sparse, handles)
    };
    // Written by a run that was killed.
    open().write(0, 0, &[Bytes::from_static(&[7; 100])]).unwrap();

    let storage = open();
    std::fs::remove_file(folder.path().join("file")).unwrap();
    storage.sync().expect("there is nothing to sync");
    storage.found_good(0);
    // A file that is not there shows that the sync looks for it.
    assert!(storage.sync().is_err());
}
