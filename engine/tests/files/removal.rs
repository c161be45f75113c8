//! Removing torrents with their files, and resume state that the host keeps.

use std::path::Path;

use crate::support::{PIECE, Tree, address, is_checked, is_finished, session, until, wait_for};
use downpour_engine::{AddTorrent, AlertKind, Error, RemoveFiles, Session, Settings, State, TorrentHandle};
use tempfile::TempDir;

fn folders<const N: usize>() -> [TempDir; N] {
    std::array::from_fn(|_| TempDir::new().unwrap())
}

fn three() -> Tree {
    Tree::new(&[5 * PIECE / 2, 3 * PIECE + 100, 2 * PIECE], 1)
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

/// A session that has of `tree` what `priorities` choose.
fn leech(
    tree: &Tree,
    here: &Path,
    state: &Path,
    seeder: &Session,
    priorities: &[u8],
) -> (Session, TorrentHandle) {
    let leecher = session(Settings::default(), Some(state));
    let mut add = AddTorrent::new(tree.torrent.clone(), here).peers([address(seeder)]);
    add.file_priorities = priorities.to_vec();
    let handle = leecher.add_torrent(add).unwrap();
    until(&leecher, is_finished);
    (leecher, handle)
}

#[test]
fn deleting_a_torrent_takes_its_files_and_nothing_else() {
    let [there, here, goal, state] = folders();
    let tree = three();
    let seeder = tree.seeder(there.path(), Settings::default());
    let (leecher, handle) = leech(&tree, here.path(), state.path(), &seeder, &[4, 0, 4]);
    handle.rename_file_blocking(0, "t/b/c/new name").unwrap();
    handle.move_storage_blocking(goal.path(), false).unwrap();
    std::fs::write(goal.path().join("t/a/mine"), "mine").unwrap();
    leecher.remove_torrent_blocking(&handle, RemoveFiles::Delete).unwrap();
    assert!(matches!(leecher.remove_torrent_blocking(&handle, RemoveFiles::Delete), Err(Error::Gone)));
    assert!(leecher.torrents().is_empty());
    assert_eq!(std::fs::read(goal.path().join("t/a/mine")).unwrap(), b"mine");
    std::fs::remove_file(goal.path().join("t/a/mine")).unwrap();
    let left = |path: &Path| std::fs::read_dir(path).unwrap().flatten().map(|entry| entry.path()).collect();
    let left: Vec<Vec<_>> = vec![left(goal.path()), left(&goal.path().join("t")), left(state.path())];
    assert_eq!(left, [vec![goal.path().join("t")], vec![goal.path().join("t/a")], vec![]]);
    assert!(is_empty(here.path()));
}

#[test]
fn a_dormant_torrent_and_one_that_downloads_are_deleted_whole() {
    let [there, here, state] = folders();
    let tree = Tree::new(&[40 * PIECE, 3, 20 * PIECE], 2);
    let settings = Settings { upload_limit: Some(400_000), ..Settings::default() };
    let seeder = tree.seeder(there.path(), settings);
    let leecher = session(Settings::default(), Some(state.path()));
    let add = AddTorrent::new(tree.torrent, here.path()).peers([address(&seeder)]);
    let handle = leecher.add_torrent(add).unwrap();
    until(&leecher, |kind| matches!(kind, AlertKind::PieceFinished { .. }));
    leecher.remove_torrent_blocking(&handle, RemoveFiles::Delete).unwrap();
    assert!(is_empty(here.path()) && is_empty(state.path()));

    seeder.apply_settings(Settings {
        dormant_after: std::time::Duration::from_millis(50),
        ..Settings::default()
    });
    let handle = &seeder.torrents()[0];
    wait_for(handle, |state| state == State::Dormant);
    seeder.remove_torrent_blocking(handle, RemoveFiles::Delete).unwrap();
    assert!(is_empty(there.path()));
}

#[test]
fn what_cannot_be_the_torrents_own_is_not_deleted() {
    let [here, elsewhere] = folders();
    let tree = three();
    tree.write(elsewhere.path());
    tree.write(here.path());
    // Longer than the torrent's file; a link where a file should be; unwanted, and nothing of it was here.
    std::fs::write(here.path().join("t/a/0"), vec![1; 9 * PIECE]).unwrap();
    std::fs::remove_file(here.path().join("t/a/2")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("t/a/2"), here.path().join("t/a/2")).unwrap();
    std::fs::write(here.path().join("t/a/1"), "mine").unwrap();
    let session = session(Settings::default(), None);
    let mut add = AddTorrent::new(tree.torrent.clone(), here.path());
    (add.file_priorities, add.paused) = (vec![4, 0, 4], true);
    let handle = session.add_torrent(add.clone()).unwrap();
    session.remove_torrent_blocking(&handle, RemoveFiles::Delete).unwrap();
    (0..3).for_each(|file| assert!(here.path().join(&tree.files[file].0).exists(), "{file}"));
    tree.assert_file(elsewhere.path(), 2);

    // Behind a link to another folder nothing is deleted.
    std::fs::remove_dir_all(here.path().join("t")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("t"), here.path().join("t")).unwrap();
    let handle = session.add_torrent(add).unwrap();
    session.remove_torrent_blocking(&handle, RemoveFiles::Delete).unwrap();
    (0..3).for_each(|file| tree.assert_file(elsewhere.path(), file));
}

#[test]
fn files_that_another_torrent_has_too_stay() {
    let here = TempDir::new().unwrap();
    let (one, two) = (Tree::new(&[2 * PIECE, PIECE], 1), Tree::new(&[2 * PIECE], 1));
    one.write(here.path());
    let session = session(Settings::default(), None);
    let add = |tree: &Tree| session.add_torrent(AddTorrent::new(tree.torrent.clone(), here.path())).unwrap();
    let (one_handle, two_handle) = (add(&one), add(&two));
    for handle in [&one_handle, &two_handle] {
        wait_for(handle, |state| state == State::Seeding);
    }
    session.remove_torrent_blocking(&one_handle, RemoveFiles::Delete).unwrap();
    one.assert_file(here.path(), 0);
    assert!(!here.path().join("t/a/1").exists());
    session.remove_torrent_blocking(&two_handle, RemoveFiles::Delete).unwrap();
    assert!(is_empty(here.path()));
}

#[test]
fn a_host_keeps_the_resume_state_itself() {
    let [there, here, goal, state] = folders();
    let tree = three();
    let seeder = tree.seeder(there.path(), Settings::default());
    let (leecher, handle) = leech(&tree, here.path(), state.path(), &seeder, &[4, 0, 4]);
    handle.rename_file_blocking(0, "t/first").unwrap();
    handle.move_storage_blocking(goal.path(), false).unwrap();
    let bytes = handle.save_resume_data_blocking().unwrap();
    leecher.remove_torrent_blocking(&handle, RemoveFiles::Keep).unwrap();
    assert!(matches!(handle.save_resume_data_blocking(), Err(Error::Gone)));

    // Twice: what a torrent that has not been active yet returns is as good.
    let mut add = AddTorrent::new(tree.torrent.clone(), here.path());
    (add.resume_data, add.paused) = (Some(bytes), true);
    let resting = session(Settings::default(), None);
    add.resume_data = Some(resting.add_torrent(add.clone()).unwrap().save_resume_data_blocking().unwrap());
    let again = session(Settings::default(), None);
    let handle = again.add_torrent(AddTorrent { paused: false, ..add.clone() }).unwrap();
    let alerts = until(&again, |kind| matches!(kind, AlertKind::Checked { good: 6, total: 8 }));
    assert!(!alerts.iter().any(|alert| matches!(alert.kind, AlertKind::Checking)), "nothing to hash");
    wait_for(&handle, |state| state == State::Seeding);
    assert_eq!((handle.save_path(), handle.file_priorities()), (goal.path().to_owned(), vec![4, 0, 4]));
    assert_eq!(handle.read_piece_blocking(0).unwrap(), &tree.bytes()[..PIECE]);
    assert!(handle.status().downloaded_bytes >= (tree.bytes().len() - 2 * PIECE) as u64, "the totals go on");
    again.shutdown_blocking();

    // It goes before the file, and a file that changed since is hashed.
    let mut damaged = tree.files[0].1.clone();
    damaged[0] ^= 1;
    std::fs::write(goal.path().join("t/first"), damaged).unwrap();
    let fourth = session(Settings::default(), Some(state.path()));
    fourth.add_torrent(AddTorrent { paused: false, ..add }).unwrap();
    let alerts = until(&fourth, is_checked);
    assert!(matches!(alerts.last().unwrap().kind, AlertKind::Checked { good: 5, total: 8 }));
}

#[test]
fn resume_data_that_is_not_the_torrents_is_refused() {
    let [here, other] = folders();
    let (tree, stranger) = (three(), Tree::new(&[PIECE], 5));
    let session = session(Settings::default(), None);
    let add = |tree: &Tree, bytes: &[u8]| {
        let mut add = AddTorrent::new(tree.torrent.clone(), here.path());
        (add.resume_data, add.paused) = (Some(bytes.to_vec()), true);
        session.add_torrent(add)
    };
    let seeder = stranger.seeder(other.path(), Settings::default());
    let handle = seeder.torrents().remove(0);
    handle.rename_file_blocking(0, "inner/x/yz").unwrap();
    let bytes = handle.save_resume_data_blocking().unwrap();
    for (tree, bytes) in [(&tree, &bytes[..]), (&tree, b""), (&tree, b"de")] {
        let error = add(tree, bytes).unwrap_err();
        assert!(matches!(error, Error::ResumeData(_)), "{error}");
        assert!(error.to_string().contains("add the torrent without it"), "{error}");
    }
    // A name that leads out of the folder.
    let at = bytes.windows(10).position(|window| window == b"inner/x/yz").unwrap();
    let mut climbing = bytes.clone();
    climbing[at..at + 10].copy_from_slice(b"../../x/yz");
    assert!(matches!(add(&stranger, &climbing), Err(Error::ResumeData(_))));
    assert!(session.torrents().is_empty());
    add(&stranger, &bytes).unwrap();
}
