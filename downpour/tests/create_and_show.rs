//! `create` and `show` as people call them.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

fn downpour(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_downpour")).current_dir(folder).args(arguments).output().unwrap()
}

fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let output = downpour(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What is said on standard error: one line, with an exit code that is not zero.
fn fail(folder: &Path, arguments: &[&str]) -> String {
    let output = downpour(folder, arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.lines().count() == 1, "{arguments:?}: {said}");
    said
}

fn show(folder: &Path, torrent: &str) -> Value {
    serde_json::from_str(&succeed(folder, &["show", torrent, "--json"])).unwrap()
}

/// A folder `tree` with an empty file, one of one byte, and one of more than a piece.
fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("tree/größe")).unwrap();
    for (name, length) in [("tree/empty", 0), ("tree/größe/雨", 1), ("tree/large", 100_000)] {
        std::fs::write(folder.path().join(name), vec![7; length]).unwrap();
    }
    folder
}

#[test]
fn each_version_has_its_hashes() {
    let folder = tree();
    for (option, v1, v2) in [("--v1", true, false), ("--v2", false, true), ("--hybrid", true, true)] {
        let file = format!("{option}.torrent");
        let said = succeed(
            folder.path(),
            &["create", "tree", "-o", &format!("./{file}"), option, "--piece-size", "32K"],
        );
        let shown = show(folder.path(), &format!("./{file}"));
        assert_eq!(shown["info_hash_v1"].is_string(), v1);
        assert_eq!(shown["info_hash_v2"].is_string(), v2);
        assert_eq!(shown["total_length"], 100_001);
        assert!(said.contains(shown["magnet"].as_str().unwrap()), "{said}");
        let files = shown["files"].as_array().unwrap().iter().filter(|file| file["pad"] == false);
        let paths: Vec<_> = files.map(|file| file["path"].as_str().unwrap()).collect();
        assert_eq!(paths, ["tree/empty", "tree/größe/雨", "tree/large"]);
    }
    let default = succeed(folder.path(), &["create", "tree"]);
    assert!(
        default.contains("tree.torrent") && default.contains("xt=urn:btih:") && !default.contains("btmh")
    );
}

#[test]
fn what_is_said_at_creation_is_shown() {
    let folder = tree();
    let said = ["-t", "http://one/announce", "-t", "udp://two:6969", "--web-seed", "https://w/", "--private"];
    succeed(folder.path(), &[&["create", "tree", "--source", "S", "--comment", "hello"], &said[..]].concat());
    let shown = show(folder.path(), "tree.torrent");
    assert_eq!(shown["trackers"], json!([["http://one/announce"], ["udp://two:6969"]]));
    assert_eq!(shown["web_seeds"], json!(["https://w/"]));
    assert_eq!(
        (&shown["private"], &shown["source"], &shown["comment"]),
        (&json!(true), &json!("S"), &json!("hello"))
    );
    let text = succeed(folder.path(), &["show", "tree.torrent"]);
    for part in ["http://one/announce", "udp://two:6969", "https://w/", "hello", "tree/größe/雨", "private"]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn magnet_links_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let hash = "0123456789abcdef0123456789abcdef01234567";
    let link = format!("magnet:?xt=urn:btih:{hash}&dn=a%20name&tr=udp://t:1&x.pe=1.2.3.4:5&so=1-3");
    let shown = show(folder.path(), &link);
    assert_eq!((&shown["info_hash_v1"], &shown["name"]), (&json!(hash), &json!("a name")));
    assert_eq!((&shown["peers"], &shown["select_only"]), (&json!(["1.2.3.4:5"]), &json!("1-3")));
    assert!(succeed(folder.path(), &["show", &link]).contains(hash));
    assert!(fail(folder.path(), &["show", "magnet:?dn=x"]).contains("names no torrent"));
}

#[test]
fn what_was_changed_in_names_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let torrent =
        b"d4:infod5:filesld6:lengthi1e4:pathl2:..3:\x1b[meed6:lengthi1e4:pathl1:aeed6:lengthi1e4:pathl1:Aeee\
        4:name1:t12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee";
    std::fs::write(folder.path().join("bad.torrent"), torrent).unwrap();
    let shown = show(folder.path(), "bad.torrent");
    assert_eq!(shown["files"][0]["path"], "t/_/_[m");
    assert_eq!(shown["adjustments"][0]["original"], "../\u{1b}[m");
    assert_eq!(shown["adjustments"][1]["file"], 2);
    let text = succeed(folder.path(), &["show", "bad.torrent"]);
    assert!(text.contains("t/A.1") && text.contains("was `A`"), "{text}");
    assert!(!text.contains('\u{1b}'), "it must not steer the terminal");
}

#[test]
fn what_cannot_be_done_is_said_in_one_line() {
    let folder = tree();
    let here = folder.path();
    std::fs::create_dir(here.join("nothing")).unwrap();
    std::fs::write(here.join("no.torrent"), "no").unwrap();
    assert!(fail(here, &["create", "missing"]).contains("missing"));
    assert!(fail(here, &["create", "nothing"]).contains("all files are empty"));
    assert!(fail(here, &["create", "tree", "--piece-size", "20000"]).contains("20000"));
    assert!(
        fail(here, &["create", "tree", "-o", "no/such/folder.torrent"]).contains("no/such/folder.torrent")
    );
    assert!(fail(here, &["create", "tree", "-o", "no.torrent"]).contains("exists already"));
    assert!(fail(here, &["show", "no.torrent"]).contains("not a usable torrent"));
    assert!(fail(here, &["show", "nothing"]).contains("nothing"));
    succeed(here, &["create", "tree", "--v2", "-o", "v2.torrent"]);
    assert!(fail(here, &["get", "v2.torrent", "--exit-when-done"]).contains("later version"));
    assert!(std::fs::read(here.join("no.torrent")).unwrap() == b"no", "nothing is written over");
}
