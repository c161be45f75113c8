//! A torrent of twenty thousand files in a process that may have 256 file handles, sockets included. The test runs itself
//! again under that limit.

use std::process::Command;

use crate::support::{Tree, address, is_finished, session, until};
use downpour_engine::{AddTorrent, AlertKind, Settings};
use tempfile::TempDir;

const CHILD: &str = "DOWNPOUR_TEST_LIMITED";
const NAME: &str = "many::twenty_thousand_files_go_through_256_handles";

/// In memory where the system has such a folder: syncing so many files takes a disk long.
fn folder() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap()
}

#[test]
fn twenty_thousand_files_go_through_256_handles() {
    if std::env::var_os(CHILD).is_none() {
        let script = format!("ulimit -n 256 && exec \"$0\" --exact {NAME} --nocapture");
        let test = std::env::current_exe().unwrap();
        let child = Command::new("sh").arg("-c").arg(script).arg(test).env(CHILD, "1").output().unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
        return;
    }
    let (there, here, state) = (folder(), folder(), folder());
    let tree = Tree::new(&[150; 20_000], 9);
    let many = Settings { connections: 10_000, ..Settings::default() };
    let seeder = tree.seeder(there.path(), many.clone());
    assert!(seeder.settings().connections < 200, "there are no handles for more");
    let leecher = session(many, Some(state.path()));
    let add = AddTorrent::new(tree.torrent.clone(), here.path()).peers([address(&seeder)]);
    leecher.add_torrent(add).unwrap();
    let alerts = until(&leecher, is_finished);
    for alert in alerts {
        let failed = matches!(alert.kind, AlertKind::DiskError(_) | AlertKind::ResumeNotSaved { .. });
        assert!(!failed, "{:?}", alert.kind);
    }
    leecher.shutdown_blocking();
    (0..20_000).for_each(|file| tree.assert_file(here.path(), file));
}
