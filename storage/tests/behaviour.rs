//! Files and memory behave alike; resume state survives; checks are planned right.

use std::io::IoSliceMut;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use downpour_base::{Bitfield, InfoHash, InfoHashV1};
use downpour_metainfo::{Builder, Info, Layout, Metainfo};
use downpour_storage::{
    Allocation, FileStamp, FileStorage, HandlePool, MemoryStorage, OnDisk, Operation, ResumeData, Stamps,
    Storage, hash_piece, load_resume, plan_check, save_resume, scan, sha1,
};
use proptest::prelude::*;

const PIECE: u32 = 16 << 10;

fn info(files: &[u64]) -> Arc<Info> {
    let files =
        (0..).zip(files).map(|(i, length): (u32, _)| (vec![format!("d{}", i % 3), format!("f{i}")], *length));
    let mut creation = Builder::tree("t", files.collect()).piece_length(u64::from(PIECE)).create().unwrap();
    (0..creation.layout().piece_count()).for_each(|piece| creation.set_piece_hash(piece, [0; 20]).unwrap());
    Arc::new(Metainfo::parse(&creation.finish().unwrap()).unwrap().info)
}

fn layout(info: &Info) -> Arc<Layout> {
    Arc::new(info.layout().clone())
}

fn on_files(root: &Path, info: &Arc<Info>, handles: usize) -> FileStorage {
    FileStorage::new(root.to_owned(), layout(info), Allocation::Sparse, Arc::new(HandlePool::new(handles)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn files_hold_what_memory_holds(
        files in prop::collection::vec(prop_oneof![Just(0), 1u64..40_000], 1..6),
        writes in prop::collection::vec((any::<u32>(), 0..PIECE, prop::collection::vec(1usize..9000, 1..5), any::<u8>()), 1..12),
        handles in 1usize..4,
    ) {
        prop_assume!(files.iter().sum::<u64>() > 0);
        let folder = tempfile::tempdir().unwrap();
        let info = info(&files);
        let layout = info.layout();
        let (disk, memory) = (on_files(folder.path(), &info, handles), MemoryStorage::new(layout.clone()));
        disk.prepare().unwrap();
        // Every file exists in full size once it has been written to.
        for piece in 0..layout.piece_count() {
            disk.write(piece, 0, &[vec![0; layout.piece_size(piece) as usize].into()]).unwrap();
        }
        for (piece, begin, lengths, byte) in writes {
            let piece = piece % layout.piece_count();
            let begin = begin.min(layout.piece_size(piece));
            let room = (layout.piece_size(piece) - begin) as usize;
            let mut left = room;
            let buffers: Vec<Bytes> = lengths.iter().map(|length| {
                let length = (*length).min(left);
                left -= length;
                Bytes::from(vec![byte; length])
            }).filter(|buffer| !buffer.is_empty()).collect();
            disk.write(piece, begin, &buffers).unwrap();
            memory.write(piece, begin, &buffers).unwrap();
        }
        disk.sync().unwrap();
        for piece in 0..layout.piece_count() {
            let size = layout.piece_size(piece) as usize;
            let read = |storage: &dyn Storage, cached: bool| {
                let mut out = vec![1; size];
                let (a, b) = out.split_at_mut(size / 3);
                let mut slices = [IoSliceMut::new(a), IoSliceMut::new(b)];
                if cached {
                    if !storage.read_if_cached(piece, 0, &mut slices) { return None; }
                } else {
                    storage.read(piece, 0, &mut slices).unwrap();
                }
                Some(out)
            };
            let expected = read(&memory, false).unwrap();
            prop_assert_eq!(read(&disk, false).unwrap(), &expected[..]);
            if let Some(cached) = read(&disk, true) {
                prop_assert_eq!(cached, &expected[..]);
            }
            let hash = hash_piece(&disk, layout, piece, &mut [0; 1000]).unwrap();
            prop_assert_eq!(hash, sha1_smol::Sha1::from(&expected).digest().bytes());
        }
        for (file, stamp) in layout.files().iter().zip(disk.on_disk().files) {
            prop_assert_eq!(stamp.map(|stamp| stamp.length), Some(file.length));
        }
    }

    #[test]
    fn a_check_trusts_exactly_what_it_may(
        files in prop::collection::vec(1u64..40_000, 1..5),
        recorded in prop::collection::vec(any::<bool>(), 20),
        state in prop::sample::select(vec!["none", "clean", "crash"]),
        touched in prop::collection::vec(prop::sample::select(vec!["same", "changed", "gone", "short"]), 5),
    ) {
        let info = info(&files);
        let layout = info.layout();
        let stamp = |length| Some(FileStamp { length, modified_nanos: 1 });
        let before = Stamps { files: files.iter().map(|length| stamp(*length)).collect(), parts: None };
        let now: Vec<_> = files.iter().zip(&touched).map(|(length, touched)| match *touched {
            "same" => stamp(*length),
            "changed" => Some(FileStamp { length: *length, modified_nanos: 2 }),
            "gone" => None,
            _ => Some(FileStamp { length: length / 2, modified_nanos: 2 }),
        }).collect();
        let mut have = Bitfield::new(layout.piece_count());
        (0..).zip(recorded).filter(|(_, recorded)| *recorded).for_each(|(piece, _)| { have.insert(piece); });
        let stamps = (state == "clean").then_some(before);
        let data = ResumeData { stamps, ..ResumeData::new(info.info_hash(), have) };
        let on_disk = OnDisk { files: now.clone(), ..OnDisk::default() };
        let plan = plan_check(layout, (state != "none").then_some(&data), &on_disk);
        for piece in 0..layout.piece_count() {
            let spans: Vec<_> = layout.spans(piece, 0, PIECE).collect();
            let there = spans.iter().all(|span| now[span.file].is_some_and(|stamp| stamp.length >= span.offset + span.length));
            let same = spans.iter().all(|span| touched[span.file] == "same");
            let recorded = data.have.contains(piece);
            let (good, hash) = match state {
                "none" => (false, there),
                "crash" => (there && recorded, there && !recorded),
                _ => (same && recorded, there && !same),
            };
            prop_assert_eq!((plan.good.contains(piece), plan.to_hash.contains(&piece)), (good, hash), "piece {}", piece);
        }
    }
}

#[test]
fn hashing_is_sha1() {
    let digest = sha1([b"a".as_slice(), b"bc"]);
    assert_eq!(InfoHashV1(digest).to_string(), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

#[test]
fn a_saved_state_is_whole_or_old() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/x.resume");
    assert!(load_resume(&path).unwrap().is_none());
    let new = ResumeData::new(InfoHash::V1(InfoHashV1([1; 20])), Bitfield::full(9));
    let data = |downloaded| ResumeData { downloaded, ..new.clone() };
    save_resume(&path, &data(1)).unwrap();
    save_resume(&path, &data(2)).unwrap();
    assert_eq!(load_resume(&path).unwrap(), Some(data(2)));
    // What a crash while writing leaves aside is not taken for the state.
    std::fs::write(path.with_extension("resume-new"), b"half").unwrap();
    assert_eq!(load_resume(&path).unwrap(), Some(data(2)));
    std::fs::write(&path, b"d4:have").unwrap();
    assert_eq!(load_resume(&path).unwrap(), None, "damaged: as if new");
}

#[test]
fn errors_name_the_file_and_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let info = info(&[100, 100]);
    let storage = on_files(folder.path(), &info, 4);
    let error = storage.read(0, 0, &mut [IoSliceMut::new(&mut [0; 10])]).unwrap_err();
    assert_eq!((error.operation, error.path.ends_with("t/d0/f0")), (Operation::Open, true));
    std::fs::create_dir_all(folder.path().join("t/d0/f0")).unwrap();
    let error = storage.write(0, 0, &[Bytes::from_static(b"x")]).unwrap_err();
    assert!(error.to_string().contains("t/d0/f0") && error.to_string().contains("in the way"), "{error}");
}

#[test]
fn no_more_files_are_open_than_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let info = info(&[1000; 50]);
    let storage = on_files(folder.path(), &info, 3);
    let open = || {
        let links = std::fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|entry| entry.unwrap().path().read_link().ok());
        links.filter(|target| target.starts_with(folder.path())).count()
    };
    for piece in 0..info.layout().piece_count() {
        storage.write(piece, 0, &[vec![7; info.layout().piece_size(piece) as usize].into()]).unwrap();
        assert!(open() <= 3);
    }
    drop(storage);
    assert_eq!(open(), 0);
}

#[test]
fn a_tree_is_scanned_in_one_order_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("größe");
    for file in ["b/2", "b/1", "a", "ü/x"] {
        std::fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
        std::fs::write(root.join(file), file).unwrap();
    }
    let tree = scan(&root).unwrap();
    assert_eq!((tree.name.as_str(), tree.length), ("größe", 11));
    let paths: Vec<String> = tree.tree.unwrap().iter().map(|file| file.0.join("/")).collect();
    assert_eq!(paths, ["a", "b/1", "b/2", "ü/x"]);
    assert_eq!(scan(&root.join("a")).unwrap().tree, None);
    assert!(scan(&root.join("missing")).unwrap_err().to_string().contains("missing"));
}

#[test]
fn full_allocation_takes_the_space_at_once() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let info = info(&[1 << 20]);
    let storage = FileStorage::new(
        folder.path().to_owned(),
        layout(&info),
        Allocation::Full,
        Arc::new(HandlePool::new(1)),
    );
    storage.prepare().unwrap();
    assert!(storage.path(0).metadata().unwrap().blocks() * 512 >= 1 << 20);
}
