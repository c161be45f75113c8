//! The torrents of other projects' tests: each must have the outcome that its table says. They are no part of this
//! repository; without them the test is skipped.

// The crate reads no files, its test does.
#![allow(clippy::disallowed_methods)]

use std::path::{Path, PathBuf};

use downpour_bencode::DecodeErrorKind;
use downpour_metainfo::{Info, Metainfo, MetainfoError as E};

/// The folder of the vectors, `shared/vectors` beside the workspace unless `DOWNPOUR_VECTORS` names another.
fn folder() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let folder = std::env::var_os("DOWNPOUR_VECTORS").map_or_else(beside, PathBuf::from).join("torrents");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("SKIPPED: there is no {}; DOWNPOUR_VECTORS can name another place", folder.display());
    None
}

/// Whether `error` is what libtorrent calls `name`.
fn is_what_it_says(name: &str, error: &E) -> bool {
    let about = |wanted: &str| match error {
        E::Missing(field) | E::WrongKind { field, .. } | E::OutOfRange { field, .. } => *field == wanted,
        _ => false,
    };
    let bencode =
        |kinds: &[DecodeErrorKind]| matches!(error, E::Bencode(error) if kinds.contains(&error.kind));
    match name {
        "bdecode_depth_exceeded" => bencode(&[DecodeErrorKind::TooDeep]),
        "invalid_bencoding" => bencode(&[DecodeErrorKind::NonCanonicalNumber, DecodeErrorKind::UnsortedKeys]),
        "too_many_duplicate_filenames" => matches!(error, E::TooManyDuplicateNames(_)),
        "too_many_pieces_in_torrent" => matches!(error, E::TooManyPieces(_)),
        "torrent_file_parse_failed" => matches!(error, E::FileTree),
        "torrent_inconsistent_files" => matches!(error, E::HybridMismatch(_)),
        "torrent_invalid_length" => about("length") || matches!(error, E::Empty),
        "torrent_invalid_name" => about("path"),
        "torrent_invalid_pad_file" => matches!(error, E::PadFileInTree(_)),
        "torrent_invalid_piece_layer" => matches!(error, E::PieceLayer(_)),
        "torrent_missing_info" => about("info"),
        "torrent_missing_name" => about("name"),
        "torrent_missing_piece_length" => about("piece length") || matches!(error, E::PieceLengthV2(_)),
        "torrent_missing_pieces_root" => matches!(error, E::PiecesRoot(_)),
        _ => panic!("what is `{name}`?"),
    }
}

#[test]
fn every_vector_gives_its_outcome() {
    let Some(folder) = folder() else { return };
    let table = std::fs::read_to_string(folder.join("expected.tsv")).unwrap();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for line in table.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, _, _, expected] = columns[..] else { panic!("a line of four columns: {line}") };
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let outcome = Metainfo::parse(&bytes);
        seen += 1;
        let right = match (&outcome, expected.strip_prefix("fail ")) {
            (Ok(metainfo), None) => {
                assert_is_sound(&metainfo.info);
                !expected.contains("re-encodes byte for byte") || metainfo.encode() == bytes
            }
            (Err(error), Some(reason)) => is_what_it_says(reason, error),
            _ => false,
        };
        if !right {
            wrong.push(format!("{name}: expected `{expected}`, got {:?}", outcome.map(|_| "ok")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let files = std::fs::read_dir(&folder).unwrap();
    let torrents =
        files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|e| e == "torrent"));
    assert_eq!(seen, torrents.count(), "each vector is in the table");
}

/// What holds for every torrent that is accepted.
fn assert_is_sound(info: &Info) {
    let layout = info.layout();
    let end = layout.files().iter().fold(0, |at, file| {
        assert_eq!(file.offset, at);
        at + file.length
    });
    assert_eq!(end, layout.total_length());
    assert_eq!(info.piece_hash(0).is_some(), info.info_hash().v1().is_some());
    for file in layout.files().iter().filter(|file| !file.is_pad()) {
        for name in
            file.path.split('/').chain(file.symlink_target.iter().flat_map(|target| target.split('/')))
        {
            assert!(!["", ".", ".."].contains(&name) && !name.contains(['\\', '\0']), "{name:?}");
        }
        let v2 = info.info_hash().v2().is_some();
        assert_eq!(file.pieces_root.is_some(), v2 && file.length > 0);
        assert!(!v2 || file.length == 0 || file.offset % u64::from(layout.piece_length()) == 0);
    }
}

fn parse(name: &str) -> Option<Metainfo> {
    Some(Metainfo::parse(&std::fs::read(folder()?.join(name)).unwrap()).unwrap())
}

#[test]
fn unsafe_paths_become_safe_ones() {
    for (vector, paths) in [
        ("parent_path.torrent", &["temp/_/_/bar"][..]),
        ("hidden_parent_path.torrent", &["temp/foo_.._.._.._bar/bar"]),
        ("absolute_filename.torrent", &["temp/abcde", "temp/_foobar"]),
        ("empty_path_multi.torrent", &["temp/abcde", "temp/_", "temp/_.1"]),
        ("slash_path.torrent", &["temp/_/_/bar"]),
    ] {
        let Some(metainfo) = parse(vector) else { return };
        let files = metainfo.info.layout().files();
        assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), paths, "{vector}");
        assert!(!metainfo.info.adjustments().is_empty(), "{vector}: it is reported");
    }
}

#[test]
fn links_go_where_the_torrent_has_something() {
    let Some(metainfo) = parse("symlink2.torrent") else { return };
    let targets: Vec<_> =
        metainfo.info.layout().files().iter().filter_map(|f| f.symlink_target.as_deref()).collect();
    assert_eq!(targets, ["Some.framework/Versions/A/SDL2", "Some.framework/Versions/A"]);
    let Some(metainfo) = parse("overlapping_symlinks.torrent") else { return };
    let target = metainfo.info.layout().files()[0].symlink_target.as_deref();
    assert_eq!(target, Some("SDL2.framework/Versions/A/Headers"));
    assert!(metainfo.info.adjustments().is_empty());
}
