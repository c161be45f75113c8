//! Whatever a torrent says, its paths are safe and its files and pieces tile its bytes.
#![no_main]

use std::collections::BTreeSet;

use bytes::Bytes;
use downpour_metainfo::{Info, Magnet, Metainfo};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(metainfo) = Metainfo::parse(input) {
        check(&metainfo.info);
        assert_eq!(Info::parse(metainfo.info.raw().clone()).as_ref(), Ok(&metainfo.info));
        let again = Metainfo::parse(&metainfo.encode()).expect("what is written can be read");
        assert_eq!(again.info, metainfo.info);
        assert_eq!(again.piece_layers, metainfo.piece_layers);
        let link = Magnet::of(&metainfo).to_string();
        assert_eq!(link.parse::<Magnet>().expect("a link").info_hash, metainfo.info.info_hash());
    }
    if let Ok(info) = Info::parse(Bytes::copy_from_slice(input)) {
        check(&info);
    }
});

fn check(info: &Info) {
    let layout = info.layout();
    let mut at = 0;
    for file in layout.files() {
        assert_eq!(file.offset, at);
        at += file.length;
        let v2 = info.info_hash().v2().is_some();
        assert_eq!(file.pieces_root.is_some(), v2 && file.length > 0 && !file.is_pad());
        assert!(file.pieces_root.is_none() || file.offset % u64::from(layout.piece_length()) == 0);
        assert!(!file.is_symlink() || file.length == 0);
    }
    assert_eq!(at, layout.total_length());

    let mut at = 0;
    for piece in 0..layout.piece_count() {
        assert_eq!(info.piece_hash(piece).is_some(), info.info_hash().v1().is_some());
        let end = at + u64::from(layout.piece_size(piece));
        for span in layout.spans(piece, 0, u32::MAX.min(layout.piece_size(piece))) {
            let file = &layout.files()[span.file];
            assert_eq!(file.offset + span.offset, at);
            assert!(span.length > 0 && span.offset + span.length <= file.length);
            assert!(layout.pieces_of(span.file).contains(&piece));
            at += span.length;
        }
        assert_eq!(at, end);
    }
    assert_eq!(at, layout.total_length());
    assert!(info.piece_hash(layout.piece_count()).is_none());

    let real = || layout.files().iter().filter(|file| !file.is_pad());
    let paths: BTreeSet<&str> = real().map(|file| file.path.as_str()).collect();
    for target in real().filter_map(|file| file.symlink_target.as_deref()) {
        let folder = format!("{target}/");
        let inside = paths.range(folder.as_str()..).next().is_some_and(|path| path.starts_with(&folder));
        let above = layout.files().iter().any(|file| file.path.to_lowercase().starts_with(&folder.to_lowercase()));
        assert!(paths.contains(target) || inside || above, "{target:?} is not in the torrent");
    }
    let folded: Vec<String> = real().map(|file| file.path.to_lowercase()).collect();
    let mut files = BTreeSet::new();
    for path in &folded {
        assert!(files.insert(path.as_str()), "two files at {path}");
    }
    for path in &folded {
        for (slash, _) in path.match_indices('/') {
            assert!(!files.contains(&path[..slash]), "a file where {path} needs a folder");
        }
        for component in path.split('/') {
            assert!(!component.is_empty() && component.len() <= 255, "{component:?}");
            assert!(!component.ends_with(['.', ' ']), "{component:?}");
            assert!(!component.contains(['\\', ':', '*', '?', '"', '<', '>', '|']), "{component:?}");
            assert!(!component.chars().any(char::is_control), "{component:?}");
            assert!(!component.contains(['\u{202e}', '\u{2066}', '\u{61c}']), "{component:?}");
            let stem = component.split('.').next().unwrap_or_default().trim_end();
            assert!(!["con", "prn", "aux", "nul", "com1", "lpt9"].contains(&stem), "{component:?}");
        }
    }
    assert!(info.adjustments().iter().filter_map(|change| change.file).all(|file| file < layout.files().len()));
}
