//! Whole transfers between libtorrent and our program, in both directions.

use std::path::{Path, PathBuf};

use downpour_interop::{Lab, full, make_file, make_tree, sums};

const TREE_FILES: u64 = 2000;

fn file(lab: &Lab) -> PathBuf {
    let path = lab.folder("seeder").join("file.bin");
    make_file(&path, if full() { 2 << 30 } else { 256 << 20 } + 12_345);
    path
}

fn tree(lab: &Lab) -> PathBuf {
    let path = lab.folder("seeder").join("tree ☂");
    make_tree(&path, TREE_FILES);
    path
}

fn from_libtorrent_to_us(lab: &Lab, torrent: &Path, content: &Path) {
    let mut seeder = lab.libtorrent(torrent, &lab.folder("seeder"), &[]);
    let port = seeder.port();
    let output = lab.folder("leecher");
    let mut leecher = lab.get("leecher", torrent, &output, port, &["--exit-when-done"]);
    leecher.wait_for_event("finished");
    assert!(leecher.wait().success());
    assert_eq!(sums(&output.join(content.file_name().expect("a name"))), sums(content));
}

fn from_us_to_libtorrent(lab: &Lab, torrent: &Path, content: &Path) {
    let mut seeder = lab.seed(torrent, content, &[]);
    let port = seeder.port();
    seeder.wait_for("complete content", |line| line["event"] == "checked" && line["good"] == line["total"]);
    let output = lab.folder("leecher");
    let mut leecher = lab.libtorrent(torrent, &output, &["--peer", &port.to_string()]);
    let done = leecher.wait_for_event("finished");
    assert_eq!(done["failed_bytes"], 0, "we sent bad data");
    assert_eq!(sums(&output.join(content.file_name().expect("a name"))), sums(content));
}

#[test]
fn a_file_from_libtorrent() {
    let Some(lab) = Lab::open(env!("CARGO_TARGET_TMPDIR")) else { return };
    let (content, torrent) = (file(&lab), lab.path("file.torrent"));
    lab.libtorrent_create(&content, &torrent, &[]);
    from_libtorrent_to_us(&lab, &torrent, &content);
}

#[test]
fn a_file_to_libtorrent() {
    let Some(lab) = Lab::open(env!("CARGO_TARGET_TMPDIR")) else { return };
    let (content, torrent) = (file(&lab), lab.path("file.torrent"));
    lab.create(&content, &torrent);
    from_us_to_libtorrent(&lab, &torrent, &content);
}

#[test]
fn a_tree_from_libtorrent_by_our_torrent() {
    let Some(lab) = Lab::open(env!("CARGO_TARGET_TMPDIR")) else { return };
    let (content, torrent) = (tree(&lab), lab.path("tree.torrent"));
    lab.create(&content, &torrent);
    from_libtorrent_to_us(&lab, &torrent, &content);
}

#[test]
fn a_tree_to_libtorrent_by_its_torrent() {
    let Some(lab) = Lab::open(env!("CARGO_TARGET_TMPDIR")) else { return };
    let (content, torrent) = (tree(&lab), lab.path("tree.torrent"));
    lab.libtorrent_create(&content, &torrent, &[]);
    from_us_to_libtorrent(&lab, &torrent, &content);
}
