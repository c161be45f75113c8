//! `downpour verify` says what is good, and its exit code whether all is.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

fn downpour(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_downpour")).args(arguments).current_dir(folder).output().unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn good_and_bad_files_are_told_apart() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("tree/sub")).unwrap();
    std::fs::write(at("tree/a"), vec![1; 100_000]).unwrap();
    std::fs::write(at("tree/empty"), "").unwrap();
    std::fs::write(at("tree/sub/b"), vec![2; 50_000]).unwrap();
    assert!(downpour(folder.path(), &["create", "tree", "--piece-size", "16K"]).status.success());

    // The content, or the folder that holds it.
    for place in ["tree", "."] {
        let good = downpour(folder.path(), &["verify", "tree.torrent", place, "--json"]);
        assert!(good.status.success());
        assert_eq!((&json(&good)["complete"], &json(&good)["pieces_good"]), (&true.into(), &10.into()));
    }
    let mut damaged = vec![1; 100_000];
    damaged[20_000] = 0;
    std::fs::write(at("tree/a"), damaged).unwrap();
    std::fs::remove_file(at("tree/empty")).unwrap();
    let bad = downpour(folder.path(), &["verify", "tree.torrent", "tree", "--json"]);
    assert_eq!(bad.status.code(), Some(1));
    let report = json(&bad);
    assert_eq!((&report["complete"], report["bad_pieces"].to_string().as_str()), (&false.into(), "[[1,1]]"));
    let complete = |file: usize| report["files"][file]["complete"].as_bool().unwrap();
    assert_eq!((complete(0), complete(1), complete(2)), (false, false, true));

    let text = downpour(folder.path(), &["verify", "tree.torrent", "tree"]);
    let shown = String::from_utf8(text.stdout).unwrap();
    assert!(shown.contains("tree/empty: missing") && shown.contains("bad pieces: 1\n"), "{shown}");
    let failure = String::from_utf8(text.stderr).unwrap();
    assert!(failure.contains("1 of 10 pieces and 2 of 3 files are missing or damaged"), "{failure}");

    let missing = downpour(folder.path(), &["verify", "tree.torrent", "nowhere"]);
    assert_eq!(missing.status.code(), Some(1));
    assert_eq!(String::from_utf8(missing.stderr).unwrap().lines().count(), 1);
}
