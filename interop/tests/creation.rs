//! What we create is what libtorrent creates, byte for byte, where both are given the same.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use downpour_bencode::Document;
use downpour_interop::{Lab, make_file};
use downpour_metainfo::Metainfo;

const VERSIONS: [&str; 3] = ["v1", "v2", "hybrid"];

/// The info dictionary, and the piece layers if there are any.
fn parts(torrent: &Path) -> (Vec<u8>, Option<Vec<u8>>) {
    let bytes = fs::read(torrent).expect("a torrent");
    let document = Document::decode(&bytes).expect("canonical bencode");
    let dict = document.root().as_dict().expect("a dictionary");
    let part = |key: &str| dict.get(key.as_bytes()).map(|value| value.raw().to_vec());
    (part("info").expect("an info dictionary"), part("piece layers"))
}

fn create_both(lab: &Lab, content: &Path, version: &str, piece_size: u32, name: &str) -> String {
    let (ours, theirs) =
        (lab.path(&format!("{name}-ours.torrent")), lab.path(&format!("{name}-theirs.torrent")));
    lab.create_as(content, &ours, &[&format!("--{version}"), "--piece-size", &piece_size.to_string()]);
    lab.libtorrent_create_as(content, &theirs, version, piece_size)
}

fn assert_same(lab: &Lab, content: &Path, piece_sizes: &[u32]) {
    for version in VERSIONS {
        for piece_size in piece_sizes {
            let name =
                format!("{}-{version}-{piece_size}", content.file_name().expect("a name").to_string_lossy());
            assert_eq!(create_both(lab, content, version, *piece_size, &name), "good");
            let (ours, theirs) =
                (lab.path(&format!("{name}-ours.torrent")), lab.path(&format!("{name}-theirs.torrent")));
            let ((info, layers), (their_info, their_layers)) = (parts(&ours), parts(&theirs));
            assert!(info == their_info, "{name}: the info dictionaries differ");
            assert!(layers == their_layers, "{name}: the piece layers differ");
            let metainfo = Metainfo::parse(&fs::read(&theirs).expect("a torrent")).expect("one that we take");
            assert!(metainfo.info.adjustments().is_empty());
            assert!(metainfo.piece_layers.is_complete(metainfo.info.layout()));
        }
    }
}

#[test]
fn single_files_are_described_as_libtorrent_does() {
    let Some(lab) = Lab::open(env!("CARGO_TARGET_TMPDIR")) else { return };
    let folder = lab.folder("files");
    for length in [1, 16_384, 16_385, 65_536, 65_537, 1_000_003] {
        let content = folder.join(format!("ä {length}.bin"));
        make_file(&content, length);
        assert_same(&lab, &content, &[16 << 10, 64 << 10]);
    }
}

#[test]
fn trees_are_described_as_libtorrent_does() {
    let Some(lab) = Lab::open(env!("CARGO_TARGET_TMPDIR")) else { return };
    let sizes = [0, 1, 16_384, 40_000, 0, 65_536, 70_001, 131_072, 300_007, 5];
    let trees: BTreeMap<&str, Vec<&str>> = BTreeMap::from([
        ("one", vec!["only"]),
        ("flat", vec!["a", "b", "c", "d", "e", "f"]),
        (
            "größe",
            vec!["", "z", "Ä/ö", "a b/日本語/x.雨", "emoji 🌧", "deep/er/and/deeper", "deep/er/b", "~", "~~"],
        ),
        ("empty at both ends", vec!["0", "1", "2", "3", "4"]),
    ]);
    for (name, paths) in trees {
        let content = lab.folder(name);
        for (index, path) in paths.iter().filter(|path| !path.is_empty()).enumerate() {
            let path = content.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            let shift = if name == "one" { 8 } else { 0 };
            make_file(&path, sizes[(index + shift) % sizes.len()]);
        }
        // BEP 47 has a letter for programs.
        let program = content.join(paths.last().expect("a file"));
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).expect("it may be changed");
        assert_same(&lab, &content, &[16 << 10, 128 << 10]);
    }
}

#[test]
fn equal_files_share_a_layer() {
    let Some(lab) = Lab::open(env!("CARGO_TARGET_TMPDIR")) else { return };
    let content = lab.folder("equal");
    for name in ["a", "b", "c/d"] {
        fs::create_dir_all(content.join("c")).expect("a folder");
        make_file(&content.join(name), 100_000);
    }
    assert_same(&lab, &content, &[16 << 10]);
}

/// libtorrent sorts whole paths, where `a.txt` comes before `a/b`, and file trees have it the other way round (BEP 52).
/// Its v1 and v2 halves then differ and it refuses its own torrent; ours have the order of the tree in both.
#[test]
fn where_libtorrent_contradicts_itself_we_keep_the_order_of_the_tree() {
    let Some(lab) = Lab::open(env!("CARGO_TARGET_TMPDIR")) else { return };
    let content = lab.folder("order");
    fs::create_dir_all(content.join("a")).expect("a folder");
    make_file(&content.join("a/b"), 20_000);
    make_file(&content.join("a.txt"), 10_000);
    let verdict = create_both(&lab, &content, "hybrid", 16 << 10, "order");
    assert_ne!(verdict, "good", "libtorrent mended it: compare this case with the others");
    let ours =
        Metainfo::parse(&fs::read(lab.path("order-ours.torrent")).expect("a torrent")).expect("one we take");
    let paths: Vec<_> =
        ours.info.layout().files().iter().filter(|f| !f.is_pad()).map(|f| f.path.as_str()).collect();
    assert_eq!(paths, ["order/a/b", "order/a.txt"]);
    assert!(Metainfo::parse(&fs::read(lab.path("order-theirs.torrent")).expect("a torrent")).is_err());
    assert_eq!(lab.libtorrent_takes(&lab.path("order-ours.torrent")), "good");
}
