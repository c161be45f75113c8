//! `get` and `seed` as people call them: what is chosen, what is gone on with, when they end.

mod common;

use std::fs;
use std::process::Stdio;

use common::{Running, events, failure, program, succeed};

/// Content of 400,000 bytes in three files, none of which ends with a piece, and `t.torrent` of it.
fn torrent(folder: &std::path::Path) {
    fs::create_dir_all(folder.join("there/t/sub")).unwrap();
    for (name, byte, length) in [("a.bin", 1, 150_000), ("b.bin", 2, 100_000), ("sub/c.bin", 3, 150_000)] {
        fs::write(folder.join("there/t").join(name), vec![byte; length]).unwrap();
    }
    succeed(folder, &["create", "there/t", "-o", "t.torrent", "--piece-size", "32K"]);
}

/// A seeder of it, and its address.
fn seeder(folder: &std::path::Path) -> (Running, String) {
    let arguments = ["seed", "t.torrent", "there", "--port", "0", "--json"];
    let child = program(folder)
        .env("XDG_STATE_HOME", folder.join("seeder's state"))
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn();
    let mut child = Running(child.unwrap());
    let mut events = events(&mut child);
    let found = events.find(|event| {
        let address = event["address"].as_str();
        event["event"] == "listening" && address.is_some_and(|address| address.starts_with("0.0.0.0:"))
    });
    let port = found.unwrap()["address"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    std::thread::spawn(move || events.for_each(drop));
    (child, format!("127.0.0.1:{port}"))
}

#[test]
fn chosen_files_come_alone_and_more_can_be_chosen_later() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    torrent(here);
    let (_seeder, address) = seeder(here);
    let get = |more: &[&str]| {
        let usual = ["get", "t.torrent", "-o", "here", "--exit-when-done", "--port", "0", "--peer", &address];
        succeed(here, &[&usual[..], more].concat())
    };
    let same = |name: &str| {
        fs::read(here.join("here/t").join(name)).unwrap()
            == fs::read(here.join("there/t").join(name)).unwrap()
    };
    assert_eq!(get(&["--files", "b.bin"]), "", "nobody looks: nothing is said");
    assert!(same("b.bin") && !here.join("here/t/a.bin").exists() && !here.join("here/t/sub/c.bin").exists());
    // It is complete as it is.
    let again = get(&["--files", "2", "--json"]);
    assert!(!again.contains("peer_connected") || again.contains("\"downloaded_bytes\":0"), "{again}");
    get(&["--files", "*.bin", "--sequential", "--limit-down", "10M", "--max-peers", "1"]);
    assert!(same("a.bin") && same("b.bin") && same("sub/c.bin"));
    let verified = succeed(here, &["verify", "t.torrent", "here"]);
    assert!(verified.contains("3 of 3 files are good"), "{verified}");
}

#[test]
fn a_seeder_with_a_goal_ends_when_it_is_reached() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    torrent(here);
    let (_seeder, address) = seeder(here);
    // It has sent nothing, which is all that is asked of it.
    let usual = ["get", "t.torrent", "-o", "here", "--port", "0", "--peer", &address, "--json"];
    let said = succeed(here, &[&usual[..], &["--seed-ratio", "0"]].concat());
    assert!(said.contains("\"event\":\"finished\""), "{said}");
    assert_eq!(fs::read(here.join("here/t/a.bin")).unwrap(), vec![1; 150_000]);
    let both = failure(here, &[&usual[..], &["--seed-ratio", "1", "--exit-when-done"]].concat());
    assert!(both.contains("cannot be used with"), "{both}");
}

#[test]
fn the_list_has_the_numbers_that_files_takes() {
    let folder = tempfile::tempdir().unwrap();
    torrent(folder.path());
    let list = succeed(folder.path(), &["get", "t.torrent", "--list"]);
    let lines: Vec<_> = list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    let numbers: Vec<_> = lines.iter().map(|words| (words[0], words[words.len() - 1])).collect();
    assert_eq!(numbers, [("1", "t/a.bin"), ("2", "t/b.bin"), ("3", "t/sub/c.bin")]);
    assert!(!folder.path().join("t").exists(), "a list downloads nothing");
}

#[test]
fn what_cannot_be_transferred_is_said_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    torrent(here);
    fs::create_dir(here.join("empty")).unwrap();
    let magnet = format!("magnet:?xt=urn:btih:{}", "a".repeat(40));
    let cases: [(&[&str], &str); 10] = [
        (&["get", &magnet], "magnet link"),
        (&["seed", &magnet, "there"], "magnet link"),
        (&["get", "ftp://127.0.0.1/t.torrent"], "cannot fetch over ftp"),
        (&["get", "there"], "there: cannot read"),
        (&["get", "t.torrent", "--files", "nothing.*"], "`nothing.*` means no file"),
        (&["get", "t.torrent", "-o", "t.torrent"], "is no folder"),
        (&["seed", "t.torrent", "empty"], "does not hold `t`"),
        (&["seed", "t.torrent", "nowhere"], "no such file or folder"),
        (&["verify", "t.torrent", "t.torrent"], "another name"),
        (&["replay", "there"], "cannot read the recording"),
    ];
    for (arguments, part) in cases {
        let said = failure(here, arguments);
        assert!(said.contains(part) && said.lines().count() == 1, "{arguments:?}: {said}");
    }
    assert_eq!(fs::read_dir(here.join("empty")).unwrap().count(), 0);
    let said = failure(here, &["get", "t.torrent", "--peer", "localhost"]);
    assert!(said.contains("such as 192.0.2.7:6881"), "{said}");
}
