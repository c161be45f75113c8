//! Pad files, links and programs (BEP 47).

use std::io::IoSliceMut;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use downpour_base::{Bitfield, InfoHash, InfoHashV1};
use downpour_metainfo::{Layout, Metainfo};
use downpour_storage::{
    Allocation, FileStorage, HandlePool, OnDisk, Placement, ResumeData, Storage, file_progress,
    piece_priority, plan_check,
};

const PIECE: usize = 16 << 10;

/// A program of 100 bytes, padding to the end of the piece, a file of 200 bytes, and three links.
fn layout() -> Arc<Layout> {
    let file = |attributes: &str, length: usize, path: &[&str], link: &[&str]| {
        let list =
            |parts: &[&str]| parts.iter().map(|part| format!("{}:{part}", part.len())).collect::<String>();
        let attr = format!("4:attr{}:{attributes}", attributes.len());
        let link = if link.is_empty() { String::new() } else { format!("12:symlink pathl{}e", list(link)) };
        format!("d{attr}6:lengthi{length}e4:pathl{}e{link}e", list(path))
    };
    let files = [
        file("x", 100, &["bin", "run"], &[]),
        file("p", PIECE - 100, &[".pad", "16284"], &[]),
        file("", 200, &["data"], &[]),
        file("l", 0, &["bin", "to data"], &["data"]),
        file("l", 0, &["program"], &["bin", "run"]),
        file("l", 0, &["taken"], &["data"]),
    ];
    let hashes = "x".repeat(40);
    let info = format!("d5:filesl{}e4:name1:t12:piece lengthi{PIECE}e6:pieces40:{hashes}e", files.concat());
    let torrent = format!("d4:info{info}e");
    Arc::new(Metainfo::parse(torrent.as_bytes()).unwrap().info.layout().clone())
}

fn open(root: &Path, layout: &Arc<Layout>) -> FileStorage {
    let placement = Placement::new(root, InfoHash::V1(InfoHashV1([1; 20])));
    FileStorage::open(placement, Arc::clone(layout), Allocation::Full, Arc::new(HandlePool::new(4))).unwrap()
}

fn fill(storage: &FileStorage, layout: &Layout) {
    for piece in 0..layout.piece_count() {
        storage.write(piece, 0, &[vec![7; layout.piece_size(piece) as usize].into()]).unwrap();
    }
}

#[test]
fn pad_files_are_zeros_and_never_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let layout = layout();
    let storage = open(folder.path(), &layout);
    storage.prepare().unwrap();
    fill(&storage, &layout);
    storage.sync().unwrap();
    let mut read = vec![9; PIECE];
    let (a, b) = read.split_at_mut(60);
    storage.read(0, 0, &mut [IoSliceMut::new(a), IoSliceMut::new(b)]).unwrap();
    assert_eq!(read, [vec![7; 100], vec![0; PIECE - 100]].concat());
    assert!(!folder.path().join("t/.pad").exists());
    assert!(!folder.path().join(".pad").exists());
    let on_disk = storage.on_disk();
    let there: Vec<bool> = on_disk.files.iter().map(Option::is_some).collect();
    assert_eq!(there, [true, false, true, false, false, false]);
    // The check needs no pad file, and what is there of a piece with one is found.
    assert_eq!(plan_check(&layout, None, &on_disk).to_hash, [0, 1]);
    let resume = ResumeData::new(InfoHash::V1(InfoHashV1([1; 20])), Bitfield::full(2));
    assert!(plan_check(&layout, Some(&resume), &on_disk).good.is_full());
    assert_eq!(plan_check(&layout, None, &OnDisk::default()).to_hash, [] as [u32; 0]);
}

#[test]
fn what_is_wanted_of_a_piece_does_not_hang_on_its_padding() {
    let layout = layout();
    let only = |wanted: usize| move |file: usize| if file == wanted { 6 } else { 0 };
    assert_eq!((piece_priority(&layout, only(0), 0), piece_priority(&layout, only(0), 1)), (6, 0));
    assert_eq!(piece_priority(&layout, only(1), 0), 0, "nobody wants padding");
    let mut have = Bitfield::new(2);
    have.insert(0);
    assert_eq!(file_progress(&layout, &have)[..3], [100, PIECE as u64 - 100, 0]);
}

#[test]
fn links_and_programs_are_made_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join("t").join(path);
    let layout = layout();
    let storage = open(folder.path(), &layout);
    storage.prepare().unwrap();
    std::fs::write(at("taken"), "mine").unwrap();
    fill(&storage, &layout);
    assert!(std::fs::symlink_metadata(at("program")).is_err(), "not before the end");
    storage.begin_rename(2, "t/other").unwrap();
    storage.finish_rename(2).unwrap();
    for _ in 0..2 {
        storage.finish().unwrap();
        assert_eq!(std::fs::read_link(at("bin/to data")).unwrap(), Path::new("../other"));
        assert_eq!(std::fs::read_link(at("program")).unwrap(), Path::new("bin/run"));
        assert_eq!(std::fs::read(at("bin/to data")).unwrap(), vec![7; 200]);
        assert_eq!(std::fs::read(at("taken")).unwrap(), b"mine", "what is there stays");
    }
    let mode = |path: &str| at(path).metadata().unwrap().permissions().mode() & 0o111;
    assert_ne!(mode("bin/run"), 0);
    assert_eq!(mode("other"), 0);
}
