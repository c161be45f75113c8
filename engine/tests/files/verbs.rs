//! Choosing, moving and renaming files of torrents that are at work, on real files.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::support::{PIECE, Tree, address, is_checked, is_finished, session, until, wait_for};
use downpour_engine::{AddTorrent, AlertKind, Error, RemoveFiles, Session, Settings, State};
use tempfile::TempDir;

fn folders<const N: usize>() -> [TempDir; N] {
    std::array::from_fn(|_| TempDir::new().unwrap())
}

fn part_files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".parts")).count()
}

fn quick() -> Settings {
    Settings::default()
}

fn slow(bytes_per_second: u64) -> Settings {
    Settings { upload_limit: Some(bytes_per_second), ..Settings::default() }
}

fn sleepy() -> Settings {
    Settings { dormant_after: std::time::Duration::from_millis(50), ..Settings::default() }
}

/// Three files that share pieces with their neighbours.
fn three() -> Tree {
    Tree::new(&[5 * PIECE / 2, 3 * PIECE + 100, 2 * PIECE], 1)
}

/// A session that downloads `tree` into `here` from `seeder`, with a choice of files.
fn leech(tree: &Tree, here: &Path, state: Option<&Path>, seeder: &Session, priorities: &[u8]) -> Session {
    let leecher = session(quick(), state);
    let mut add = AddTorrent::new(tree.torrent.clone(), here).peers([address(seeder)]);
    add.file_priorities = priorities.to_vec();
    leecher.add_torrent(add).unwrap();
    leecher
}

#[test]
fn a_file_that_is_not_wanted_is_not_made_until_it_is_wanted() {
    let [there, here, further] = folders();
    let tree = three();
    let seeder = tree.seeder(there.path(), quick());
    let leecher = leech(&tree, here.path(), None, &seeder, &[4, 0, 4]);
    until(&leecher, is_finished);
    let handle = &leecher.torrents()[0];
    assert_eq!(handle.file_priorities(), [4, 0, 4]);
    tree.assert_file(here.path(), 0);
    tree.assert_file(here.path(), 2);
    assert!(!here.path().join("t/a/1").exists());
    assert_eq!(part_files(here.path()), 1);
    // The middle file shares its first and its last piece, and only those are here of it.
    let progress = handle.file_progress().unwrap();
    assert_eq!((progress[0], progress[2]), (5 * PIECE as u64 / 2, 2 * PIECE as u64));
    assert_eq!(handle.pieces().unwrap().iter().collect::<Vec<_>>(), [0, 1, 2, 5, 6, 7]);
    assert_eq!((handle.have_piece(2), handle.have_piece(3)), (Some(true), Some(false)));

    // What lies in the part file is read and served like everything else.
    let whole = tree.bytes();
    for piece in [2, 5] {
        let expected = &whole[piece * PIECE..(piece + 1) * PIECE];
        assert_eq!(handle.read_piece_blocking(piece as u32).unwrap(), expected);
    }
    assert!(matches!(handle.read_piece_blocking(3), Err(Error::NoPiece { piece: 3 })));
    let third = leech(&tree, further.path(), None, &leecher, &[4, 0, 4]);
    until(&third, is_finished);
    tree.assert_file(further.path(), 2);

    handle.set_file_priority_blocking(1, 7).unwrap();
    until(&leecher, is_finished);
    (0..3).for_each(|file| tree.assert_file(here.path(), file));
    assert_eq!(part_files(here.path()), 0, "all of it went home");
    assert!(matches!(handle.set_file_priority_blocking(3, 1), Err(Error::NoFile { file: 3 })));
    let status = handle.status();
    assert_eq!((status.downloaded_bytes, status.wasted_bytes), (whole.len() as u64, 0), "nothing twice");
    // What is there of a file that is no longer wanted stays.
    handle.set_file_priorities_blocking(&[0, 0, 0]).unwrap();
    (0..3).for_each(|file| tree.assert_file(here.path(), file));
}

#[test]
fn the_choice_and_the_part_file_survive_a_restart() {
    let [there, here, state] = folders();
    let tree = three();
    let seeder = tree.seeder(there.path(), quick());
    let first = leech(&tree, here.path(), Some(state.path()), &seeder, &[4, 0, 4]);
    until(&first, is_finished);
    first.torrents()[0].set_piece_priority(0, 6).unwrap();
    first.shutdown_blocking();

    let second = leech(&tree, here.path(), Some(state.path()), &seeder, &[]);
    let alerts = until(&second, is_checked);
    assert!(!alerts.iter().any(|alert| matches!(alert.kind, AlertKind::Checking)), "nothing to hash");
    let handle = &second.torrents()[0];
    wait_for(handle, |state| state == State::Seeding);
    assert_eq!(handle.file_priorities(), [4, 0, 4]);
    assert!(!here.path().join("t/a/1").exists());
    second.shutdown_blocking();

    // Without resume state everything is found by hashing, the part file included.
    let third = leech(&tree, here.path(), None, &seeder, &[4, 0, 4]);
    until(&third, |kind| matches!(kind, AlertKind::Checked { good: 6, total: 8 }));
    third.shutdown_blocking();

    // A part file that is gone takes its pieces with it.
    let parts = std::fs::read_dir(here.path()).unwrap().flatten().map(|entry| entry.path());
    let parts: Vec<PathBuf> =
        parts.filter(|path| path.extension().is_some_and(|end| end == "parts")).collect();
    std::fs::remove_file(&parts[0]).unwrap();
    let fourth = leech(&tree, here.path(), Some(state.path()), &seeder, &[]);
    until(&fourth, |kind| matches!(kind, AlertKind::Checked { good: 4, total: 8 }));
    until(&fourth, is_finished);
    tree.assert_file(here.path(), 0);
}

#[test]
fn a_sleeping_torrent_wakes_up_for_a_newly_wanted_file() {
    let [there, here] = folders();
    let tree = three();
    let seeder = tree.seeder(there.path(), quick());
    let leecher = session(sleepy(), None);
    let mut add = AddTorrent::new(tree.torrent.clone(), here.path()).peers([address(&seeder)]);
    add.file_priorities = vec![4, 0, 0];
    let handle = leecher.add_torrent(add).unwrap();
    until(&leecher, is_finished);
    seeder.torrents()[0].pause().unwrap();
    wait_for(&handle, |state| state == State::Dormant);
    assert_eq!(handle.pieces(), None);
    seeder.torrents()[0].resume().unwrap();
    handle.set_file_priorities_blocking(&[4, 4, 4]).unwrap();
    until(&leecher, is_finished);
    (0..3).for_each(|file| tree.assert_file(here.path(), file));
}

#[test]
fn a_torrent_moves_while_it_downloads_and_is_found_again() {
    let [there, here, state, goal] = folders();
    let tree = Tree::new(&[40 * PIECE, 3, 20 * PIECE], 2);
    let seeder = tree.seeder(there.path(), slow(400_000));
    let leecher = leech(&tree, here.path(), Some(state.path()), &seeder, &[4, 0, 4]);
    until(&leecher, |kind| matches!(kind, AlertKind::PieceFinished { .. }));
    let handle = &leecher.torrents()[0];
    let goal = goal.path().join("new/place");
    handle.move_storage_blocking(&goal, false).unwrap();
    assert!(!handle.status().finished, "it was moved in the middle");
    assert_eq!(handle.save_path(), goal);
    seeder.apply_settings(quick());
    let alerts = until(&leecher, is_finished);
    assert!(
        alerts.iter().any(|alert| matches!(&alert.kind, AlertKind::StorageMoved { path } if *path == goal))
    );
    tree.assert_file(&goal, 0);
    tree.assert_file(&goal, 2);
    assert_eq!((part_files(&goal), std::fs::read_dir(here.path()).unwrap().count()), (1, 0));
    leecher.shutdown_blocking();

    // Both who knows of the move and who does not find it complete.
    for place in [here.path(), &goal] {
        let again = session(quick(), Some(state.path()));
        let handle = again.add_torrent(AddTorrent::new(tree.torrent.clone(), place)).unwrap();
        let alerts = until(&again, is_checked);
        assert!(!alerts.iter().any(|alert| matches!(alert.kind, AlertKind::Checking)), "nothing to hash");
        wait_for(&handle, |state| state == State::Seeding);
        assert_eq!(handle.save_path(), goal);
        again.shutdown_blocking();
    }
}

#[test]
fn a_torrent_moves_to_another_disk_while_it_downloads() {
    let [there, here] = folders();
    let memory = Path::new("/dev/shm");
    let device = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.dev()).ok();
    if device(memory).is_none_or(|other| Some(other) == device(here.path())) {
        return eprintln!("skipped: there is no second disk");
    }
    let goal = TempDir::new_in(memory).unwrap();
    let tree = Tree::new(&[40 * PIECE, 3, 20 * PIECE], 3);
    let seeder = tree.seeder(there.path(), slow(600_000));
    let leecher = leech(&tree, here.path(), None, &seeder, &[4, 0, 4]);
    until(&leecher, |kind| matches!(kind, AlertKind::PieceFinished { .. }));
    let handle = &leecher.torrents()[0];
    for _ in 0..3 {
        handle.move_storage_blocking(goal.path(), false).unwrap();
        handle.move_storage_blocking(here.path(), false).unwrap();
    }
    handle.move_storage_blocking(goal.path(), false).unwrap();
    seeder.apply_settings(quick());
    until(&leecher, is_finished);
    tree.assert_file(goal.path(), 0);
    tree.assert_file(goal.path(), 2);
    assert_eq!(std::fs::read_dir(here.path()).unwrap().count(), 0, "nothing stays behind");
    handle.force_recheck().unwrap();
    until(&leecher, |kind| matches!(kind, AlertKind::Checked { good, total } if good == total));
}

#[test]
fn what_is_in_the_way_of_a_move_is_told_and_replaced_if_asked() {
    let [there, goal] = folders();
    let tree = three();
    let seeder = tree.seeder(there.path(), quick());
    let handle = &seeder.torrents()[0];
    std::fs::create_dir_all(goal.path().join("t/a")).unwrap();
    std::fs::write(goal.path().join("t/a/1"), "mine").unwrap();
    let error = handle.move_storage_blocking(goal.path(), false).unwrap_err().to_string();
    assert!(error.contains("t/a/1") && error.contains("in the way"), "{error}");
    until(&seeder, |kind| matches!(kind, AlertKind::StorageMovedFailed { .. }));
    assert_eq!(std::fs::read(goal.path().join("t/a/1")).unwrap(), b"mine");
    (0..3).for_each(|file| tree.assert_file(there.path(), file));
    handle.move_storage_blocking(goal.path(), true).unwrap();
    (0..3).for_each(|file| tree.assert_file(goal.path(), file));
    assert_eq!(handle.read_piece_blocking(3).unwrap(), &tree.bytes()[3 * PIECE..4 * PIECE]);
}

#[test]
fn a_file_is_renamed_while_it_downloads_and_keeps_its_name() {
    let [there, here, state] = folders();
    let tree = Tree::new(&[30 * PIECE, 30 * PIECE], 4);
    let seeder = tree.seeder(there.path(), slow(400_000));
    let leecher = leech(&tree, here.path(), Some(state.path()), &seeder, &[]);
    until(&leecher, |kind| matches!(kind, AlertKind::PieceFinished { .. }));
    let handle = &leecher.torrents()[0];
    handle.rename_file_blocking(0, "t/better name.bin").unwrap();
    handle.rename_file_blocking(1, "elsewhere/b").unwrap();
    for bad in ["../out", "/etc/x", "elsewhere/b", "elsewhere", "t/better name.bin/x", ""] {
        let error = handle.rename_file_blocking(0, bad).unwrap_err();
        assert!(matches!(error, Error::Storage(_)), "{bad}: {error}");
    }
    assert!(matches!(handle.rename_file_blocking(2, "x"), Err(Error::NoFile { file: 2 })));
    seeder.apply_settings(quick());
    let alerts = until(&leecher, is_finished);
    assert!(alerts.iter().any(
        |alert| matches!(&alert.kind, AlertKind::FileRenamed { file: 1, path } if path == "elsewhere/b")
    ));
    assert!(alerts.iter().any(|alert| matches!(&alert.kind, AlertKind::FileRenameFailed { file: 0, .. })));
    let names = ["t/better name.bin", "elsewhere/b"];
    for (name, (_, content)) in names.iter().zip(&tree.files) {
        assert!(std::fs::read(here.path().join(name)).unwrap() == *content, "{name} differs");
    }
    assert!(!here.path().join("t/a").exists(), "the empty folder went");
    leecher.shutdown_blocking();
    let again = session(quick(), Some(state.path()));
    again.add_torrent(AddTorrent::new(tree.torrent, here.path())).unwrap();
    let alerts = until(&again, |kind| matches!(kind, AlertKind::Checked { good: 60, total: 60 }));
    assert!(!alerts.iter().any(|alert| matches!(alert.kind, AlertKind::Checking)), "nothing to hash");
}

#[test]
fn a_forced_recheck_finds_what_the_resume_state_cannot_know() {
    let [there, here, state] = folders();
    let tree = three();
    let seeder = tree.seeder(there.path(), quick());
    let leecher = leech(&tree, here.path(), Some(state.path()), &seeder, &[]);
    until(&leecher, is_finished);
    let handle = &leecher.torrents()[0];
    let path = here.path().join("t/a/1");
    let mut damaged = tree.files[1].1.clone();
    damaged[PIECE] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    handle.force_recheck().unwrap();
    until(&leecher, |kind| matches!(kind, AlertKind::Checked { good: 7, total: 8 }));
    until(&leecher, is_finished);
    tree.assert_file(here.path(), 1);
    assert!(handle.status().downloaded_bytes > tree.bytes().len() as u64, "the totals go on");
    // Also one that is paused, and stays so.
    handle.pause().unwrap();
    handle.force_recheck().unwrap();
    until(&leecher, |kind| matches!(kind, AlertKind::Checked { good: 8, total: 8 }));
    wait_for(handle, |state| state == State::Paused);
}

#[test]
fn verbs_about_files_wake_a_sleeping_torrent() {
    let [there, goal] = folders();
    let tree = three();
    let seeder = tree.seeder(there.path(), sleepy());
    let handle = &seeder.torrents()[0];
    wait_for(handle, |state| state == State::Dormant);
    assert_eq!(handle.read_piece_blocking(0).unwrap(), &tree.bytes()[..PIECE]);
    wait_for(handle, |state| state == State::Dormant);
    handle.move_storage_blocking(goal.path(), false).unwrap();
    wait_for(handle, |state| state == State::Dormant);
    handle.rename_file_blocking(2, "t/c").unwrap();
    assert_eq!(std::fs::read(goal.path().join("t/c")).unwrap(), tree.files[2].1);
    wait_for(handle, |state| state == State::Dormant);
    handle.force_recheck().unwrap();
    until(&seeder, |kind| matches!(kind, AlertKind::Checking));
    until(&seeder, |kind| matches!(kind, AlertKind::Checked { good: 8, total: 8 }));
    seeder.remove_torrent_blocking(handle, RemoveFiles::Keep).unwrap();
    assert!(matches!(handle.read_piece_blocking(0), Err(Error::Gone)));
    assert!(matches!(handle.move_storage_blocking(there.path(), false), Err(Error::Gone)));
    assert!(matches!(handle.force_recheck(), Err(Error::Gone)));
    assert!(matches!(handle.set_file_priority_blocking(0, 1), Err(Error::Gone)));
}
