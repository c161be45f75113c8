//! Files, part file, names and places together behave like one buffer in memory, whatever is asked of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSliceMut;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use downpour_base::{InfoHash, InfoHashV1};
use downpour_metainfo::{Builder, Layout, Metainfo};
use downpour_storage::{Allocation, FileStorage, HandlePool, Placement, Storage, sha1};
use proptest::prelude::*;

const PIECE: u32 = 16 << 10;

fn layout(files: &[u64]) -> Arc<Layout> {
    let files =
        (0..).zip(files).map(|(i, length): (u32, _)| (vec![format!("d{}", i % 3), format!("f{i}")], *length));
    let mut creation = Builder::tree("t", files.collect()).piece_length(u64::from(PIECE)).create().unwrap();
    (0..creation.layout().piece_count()).for_each(|piece| creation.set_piece_hash(piece, [0; 20]).unwrap());
    Arc::new(Metainfo::parse(&creation.finish().unwrap()).unwrap().info.layout().clone())
}

/// What the piece holds when it is right.
fn content(layout: &Layout, piece: u32) -> Vec<u8> {
    (0..layout.piece_size(piece)).map(|at| (at as u8).wrapping_mul(7).wrapping_add(piece as u8)).collect()
}

#[derive(Clone, Debug)]
enum Step {
    /// Writes a piece, from some byte on.
    Write {
        piece: u32,
        begin: u32,
    },
    Select(u16),
    Rename {
        file: usize,
        name: String,
    },
    Move {
        place: usize,
        overwrite: bool,
    },
    /// Begins to move, and is killed.
    MoveAndDie {
        place: usize,
    },
    /// Begins to rename, and is killed before or after it is done.
    RenameAndDie {
        file: usize,
        name: String,
        done: bool,
    },
    Sync,
    /// Stops cleanly, or is killed: what was not synced is forgotten by the twin, and may be there or not.
    Reopen {
        clean: bool,
    },
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<u32>(), prop_oneof![Just(0), 0..PIECE]).prop_map(|(piece, begin)| Step::Write { piece, begin }),
        3 => any::<u16>().prop_map(Step::Select),
        2 => (0usize..6, "t/[ab](/[ab])?|d0/f0|../x|/x|t|x//y")
            .prop_map(|(file, name)| Step::Rename { file, name }),
        1 => (0usize..3, any::<bool>()).prop_map(|(place, overwrite)| Step::Move { place, overwrite }),
        1 => (0usize..3).prop_map(|place| Step::MoveAndDie { place }),
        1 => (0usize..6, "t/[ab](/[ab])?", any::<bool>())
            .prop_map(|(file, name, done)| Step::RenameAndDie { file, name, done }),
        2 => Just(Step::Sync),
        2 => any::<bool>().prop_map(|clean| Step::Reopen { clean }),
    ]
}

/// The naive twin: which bytes of which pieces were written, and which of them survive a crash.
#[derive(Default)]
struct Twin {
    written: BTreeMap<u32, BTreeSet<u32>>,
    synced: BTreeMap<u32, BTreeSet<u32>>,
}

fn open(placement: Placement, layout: &Arc<Layout>, wanted: u16) -> FileStorage {
    let handles = Arc::new(HandlePool::new(3));
    let storage = FileStorage::open(placement, Arc::clone(layout), Allocation::Sparse, handles).unwrap();
    storage.select(|file| wanted >> file & 1 == 1).unwrap();
    storage
}

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_is_asked_of_it(
        files in prop::collection::vec(prop_oneof![Just(0), 1u64..9_000, 1u64..40_000], 1..6),
        first_choice: u16,
        steps in prop::collection::vec(any_step(), 1..40),
    ) {
        prop_assume!(files.iter().sum::<u64>() > 0);
        let folder = tempfile::tempdir().unwrap();
        let layout = layout(&files);
        let places = [0, 1, 2].map(|place| folder.path().join(format!("place{place}")));
        let first = Placement::new(&places[0], InfoHash::V1(InfoHashV1([7; 20])));
        let mut wanted = first_choice;
        let mut storage = open(first.clone(), &layout, wanted);
        // What a crash would leave in the resume state.
        let mut saved = first;
        let mut twin = Twin::default();
        // Files that were wanted at some time; the others are never on the disk.
        let mut ever_wanted = first_choice;
        for step in steps {
            match step {
                Step::Write { piece, begin } => {
                    let piece = piece % layout.piece_count();
                    let begin = begin.min(layout.piece_size(piece));
                    let bytes = content(&layout, piece).split_off(begin as usize);
                    let middle = bytes.len() / 3;
                    let buffers = [bytes[..middle].to_vec().into(), bytes[middle..].to_vec().into()];
                    storage.write(piece, begin, &buffers).unwrap();
                    twin.written.entry(piece).or_default().extend(begin..layout.piece_size(piece));
                }
                Step::Select(choice) => {
                    storage.select(|file| choice >> file & 1 == 1).unwrap();
                    wanted = choice;
                    ever_wanted |= choice;
                    for file in 0..layout.files().len() {
                        prop_assert_eq!(storage.is_wanted(file), choice >> file & 1 == 1);
                    }
                }
                Step::Rename { file, name } => {
                    let before = storage.placement();
                    if file < layout.files().len() && storage.begin_rename(file, &name).is_ok() {
                        prop_assert!(!name.contains("..") && !name.starts_with('/'));
                        saved = storage.placement();
                        storage.finish_rename(file).unwrap();
                        prop_assert!(storage.path(file).ends_with(&name));
                    } else {
                        prop_assert_eq!(storage.placement(), before);
                    }
                }
                Step::Move { place, overwrite } => {
                    storage.begin_move(&places[place], overwrite).unwrap();
                    saved = storage.placement();
                    storage.finish_move().unwrap();
                    prop_assert!(!storage.is_scattered());
                    prop_assert_eq!(storage.save_path(), places[place].clone());
                    for (other, path) in places.iter().enumerate() {
                        prop_assert!(other == place || files_under(path).is_empty(), "nothing stays behind");
                    }
                }
                Step::MoveAndDie { place } => {
                    storage.begin_move(&places[place], true).unwrap();
                    storage = open(storage.placement(), &layout, wanted);
                    saved = storage.placement();
                    twin.written = twin.synced.clone();
                }
                Step::RenameAndDie { file, name, done } => {
                    if storage.begin_rename(file, &name).is_ok() {
                        saved = storage.placement();
                        if done {
                            storage.finish_rename(file).unwrap();
                        }
                        storage = open(saved.clone(), &layout, wanted);
                        saved = storage.placement();
                        twin.written = twin.synced.clone();
                    }
                }
                Step::Sync => {
                    storage.sync().unwrap();
                    twin.synced = twin.written.clone();
                    saved = storage.placement();
                }
                Step::Reopen { clean } => {
                    if clean {
                        storage.sync().unwrap();
                        twin.synced = twin.written.clone();
                        saved = storage.placement();
                    }
                    drop(storage);
                    storage = open(saved.clone(), &layout, wanted);
                    twin.written = twin.synced.clone();
                }
            }
            for (&piece, written) in &twin.written {
                let expected = content(&layout, piece);
                let mut read = vec![1; expected.len()];
                let whole = written.len() == expected.len();
                match storage.read(piece, 0, &mut [IoSliceMut::new(&mut read)]) {
                    Ok(()) => {
                        for &at in written {
                            prop_assert_eq!(read[at as usize], expected[at as usize], "piece {} byte {}", piece, at);
                        }
                    }
                    Err(error) => prop_assert!(!whole, "piece {}: {}", piece, error),
                }
                if whole {
                    prop_assert_eq!(sha1([&read]), sha1([&expected]));
                }
            }
            for file in (0..layout.files().len()).filter(|file| ever_wanted >> file & 1 == 0) {
                prop_assert!(!storage.path(file).exists(), "file {} was never wanted", file);
            }
        }
    }
}
