//! Parsing, creating and laying out torrents.

use bytes::Bytes;
use downpour_bencode::Encoder;
use downpour_metainfo::{
    BuildError, Builder, Expected, FileSpan, HostPort, Info, Layout, Metainfo, MetainfoError,
};
use proptest::prelude::*;

fn torrent(files: &[u64], piece_length: u64) -> Metainfo {
    let files = files.iter().enumerate().map(|(i, length)| (vec![format!("f{i}")], *length)).collect();
    let mut creation = Builder::tree("t", files).piece_length(piece_length).create().unwrap();
    for piece in 0..creation.layout().piece_count() {
        creation.set_piece_hash(piece, [piece as u8; 20]).unwrap();
    }
    Metainfo::parse(&creation.finish().unwrap()).unwrap()
}

/// The naive twin of `Layout::spans`: byte by byte.
fn naive_spans(layout: &Layout, start: u64, length: u64) -> Vec<FileSpan> {
    let mut spans: Vec<FileSpan> = Vec::new();
    for byte in start..(start + length).min(layout.total_length()) {
        let holds = |file: &downpour_metainfo::File| (file.offset..file.offset + file.length).contains(&byte);
        let file = layout.files().iter().position(holds).unwrap();
        match spans.last_mut() {
            Some(last) if last.file == file => last.length += 1,
            _ => spans.push(FileSpan { file, offset: byte - layout.files()[file].offset, length: 1 }),
        }
    }
    spans
}

proptest! {
    #[test]
    fn spans_are_those_of_the_naive_twin(
        files in prop::collection::vec(prop_oneof![Just(0), 1u64..40_000], 1..8),
        start in 0u64..200_000, length in 0u64..50_000,
    ) {
        prop_assume!(files.iter().sum::<u64>() > 0);
        let metainfo = torrent(&files, 16 << 10);
        let layout = metainfo.info.layout();
        prop_assert_eq!(layout.spans_at(start, length).collect::<Vec<_>>(), naive_spans(layout, start, length));
    }

    #[test]
    fn pieces_tile_the_torrent(files in prop::collection::vec(0u64..100_000, 1..6)) {
        prop_assume!(files.iter().sum::<u64>() > 0);
        let metainfo = torrent(&files, 32 << 10);
        let layout = metainfo.info.layout();
        let sizes = (0..layout.piece_count()).map(|piece| u64::from(layout.piece_size(piece)));
        prop_assert_eq!(sizes.sum::<u64>(), layout.total_length());
        for (index, file) in layout.files().iter().enumerate() {
            let touches = |piece: &u32| layout.spans(*piece, 0, 32 << 10).any(|span| span.file == index);
            let naive: Vec<u32> = (0..layout.piece_count()).filter(touches).collect();
            prop_assert_eq!(layout.pieces_of(index).collect::<Vec<_>>(), naive);
            prop_assert_eq!(file.length, files[index]);
        }
    }

    #[test]
    fn any_bytes_never_panic(input in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Metainfo::parse(&input);
        let _ = Info::parse(Bytes::from(input));
    }

    #[test]
    fn a_damaged_torrent_never_panics(at in 0usize..200, byte: u8) {
        let mut creation = Builder::file("a", 40_000).tracker("udp://t:1").create().unwrap();
        (0..3).for_each(|piece| creation.set_piece_hash(piece, [1; 20]).unwrap());
        let mut encoded = creation.finish().unwrap();
        let at = at % encoded.len();
        encoded[at] = byte;
        let _ = Metainfo::parse(&encoded);
    }

    #[test]
    fn paths_stay_inside_and_apart(paths in prop::collection::vec(prop::collection::vec(prop::sample::select(
        vec!["..", ".", "", "a", "A", "a.", "nul", "/", "b/c", "\u{202e}", "\\\\x", "c:"]), 1..4), 1..12)) {
        let mut info = Vec::new();
        Encoder::new(&mut info).dict(|dict| {
            dict.entry(b"files").list(|list| for path in &paths {
                list.item().dict(|file| {
                    file.entry(b"length").int(1);
                    file.entry(b"path").list(|list| path.iter().for_each(|part| list.item().bytes(part)));
                });
            });
            dict.entry(b"name").bytes(b"t");
            dict.entry(b"piece length").int(16384);
            dict.entry(b"pieces").bytes([0; 20]);
        });
        if let Ok(info) = Info::parse(info.into()) {
            let mut folded: Vec<String> = info.layout().files().iter().map(|file| file.path.to_lowercase()).collect();
            for path in &folded {
                prop_assert!(path.starts_with("t/") && path.split('/').all(|part| !["", ".", ".."].contains(&part)));
                let forbidden = path.contains(['\\', ':', '\0', '\u{202e}']);
                prop_assert!(!forbidden, "{}", path);
                let below = format!("{path}/");
                prop_assert!(folded.iter().all(|other| !other.starts_with(&below)), "a file where a folder must be");
            }
            folded.sort();
            folded.dedup();
            prop_assert_eq!(folded.len(), paths.len());
        }
    }
}

fn info(fill: impl FnOnce(&mut downpour_bencode::DictEncoder<'_>)) -> Result<Info, MetainfoError> {
    let mut out = Vec::new();
    Encoder::new(&mut out).dict(|dict| {
        dict.entry(b"length").int(5);
        dict.entry(b"name").bytes(b"a");
        dict.entry(b"piece length").int(16384);
        dict.entry(b"pieces").bytes([7; 20]);
        fill(dict);
    });
    Info::parse(out.into())
}

#[test]
fn what_is_wrong_is_named() {
    assert!(info(|_| ()).is_ok());
    let out_of_range =
        |field, value, minimum, maximum| MetainfoError::OutOfRange { field, value, minimum, maximum };
    assert_eq!(
        info(|dict| dict.entry(b"piece length").int(0)).unwrap_err(),
        out_of_range("piece length", 0, 1, 1 << 29)
    );
    assert_eq!(
        info(|dict| dict.entry(b"length").int(-1)).unwrap_err(),
        out_of_range("length", -1, 0, i64::MAX)
    );
    assert_eq!(info(|dict| dict.entry(b"length").int(0)).unwrap_err(), MetainfoError::Empty);
    assert_eq!(info(|dict| dict.entry(b"attr").bytes("p")).unwrap_err(), MetainfoError::Empty, "zeros alone");
    let deep = |depth: usize| {
        let parts = "1:a".repeat(depth);
        let raw = format!(
            "d5:filesld6:lengthi5e4:pathl{parts}eee4:name1:t12:piece lengthi16384e6:pieces20:{:a>20}e",
            ""
        );
        Info::parse(raw.into()).map(|info| info.layout().files().len())
    };
    assert_eq!((deep(64), deep(65)), (Ok(1), Err(MetainfoError::PathTooDeep(0))));
    assert_eq!(deep(0), Err(MetainfoError::EmptyPath(0)));
    assert_eq!(
        info(|dict| dict.entry(b"pieces").bytes([7; 19])).unwrap_err(),
        MetainfoError::PiecesLength { found: 19, expected: 20 }
    );
    assert_eq!(
        info(|dict| dict.entry(b"name").int(1)).unwrap_err(),
        MetainfoError::WrongKind { field: "name", expected: Expected::Bytes }
    );
    assert_eq!(
        info(|dict| dict.entry(b"length").int(i64::MAX)).unwrap_err(),
        MetainfoError::TooManyPieces(562_949_953_421_312)
    );
    assert_eq!(Metainfo::parse(b"de").unwrap_err(), MetainfoError::Missing("info"));
}

#[test]
fn pad_files_are_known_and_share_a_path() {
    let raw = b"d5:filesld6:lengthi5e4:pathl1:aeed4:attr2:xp6:lengthi3eed6:lengthi3e4:pathl4:.pad1:3eed4:attr1:p6:lengthi3e\
        4:pathl4:.pad1:3eed6:lengthi2e4:pathl19:_____padding_file_0eee4:name1:t12:piece lengthi16384e\
        6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    let info = Info::parse(Bytes::from_static(raw)).unwrap();
    let files: Vec<_> =
        info.layout().files().iter().map(|file| (file.path.as_str(), file.is_pad())).collect();
    let pad = ("t/.pad/3", true);
    assert_eq!(files, [("t/a", false), pad, ("t/.pad/3", false), pad, ("t/.pad/2", true)]);
    assert_eq!((info.layout().total_length(), info.layout().payload_length()), (16, 8));
    assert!(info.adjustments().is_empty());
}

#[test]
fn what_is_not_needed_is_left_out_if_it_is_wrong() {
    let torrent = b"d8:announcei1e13:announce-listll0:8:http://aei7ee7:comment2:\xff\xfe5:nodesll1:hi80eel1:hi0eei1ee4:info\
        d6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaa6:source1:se8:url-listl0:i1e3:abcee";
    let metainfo = Metainfo::parse(torrent).unwrap();
    assert_eq!(metainfo.trackers, [["http://a"]]);
    assert_eq!(metainfo.web_seeds, ["abc"]);
    assert_eq!(metainfo.nodes.iter().map(ToString::to_string).collect::<Vec<_>>(), ["h:80"]);
    assert_eq!(metainfo.comment.as_deref(), Some("\u{fffd}\u{fffd}"));
    assert_eq!(metainfo.info.source(), Some("s"));
}

#[test]
fn a_name_of_which_nothing_is_left_becomes_the_hash() {
    let info = info(|dict| dict.entry(b"name").bytes("..")).unwrap();
    assert_eq!(info.name(), info.info_hash().to_string());
    assert_eq!(info.layout().files()[0].path, info.name());
    assert_eq!((info.adjustments().len(), info.adjustments()[0].file), (1, None));
}

#[test]
fn the_info_hash_is_over_the_original_bytes() {
    // Keys out of order: a re-encoding would hash to something else.
    let raw = b"d4:name1:a6:lengthi5e12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    let torrent = [b"d4:info".as_slice(), raw, b"e"].concat();
    let metainfo = Metainfo::parse(&torrent).unwrap();
    let expected = sha1_smol::Sha1::from(raw).digest().to_string();
    assert_eq!(metainfo.info.info_hash().to_string(), expected);
    assert_eq!(&metainfo.info.raw()[..], raw);
    assert_eq!(metainfo.info.piece_hash(0), Some([b'a'; 20]));
    assert_eq!(metainfo.info.piece_hash(1), None);
}

#[test]
fn everything_written_is_read_back() {
    let mut creation = Builder::file("größe.bin", 100)
        .tracker("http://one/announce")
        .tracker("udp://two:6969")
        .tier(vec!["http://three".into(), "http://four".into()])
        .web_seed("http://five/")
        .http_seed("http://six/")
        .node(HostPort::new("seven", 7).unwrap())
        .source("eight")
        .comment("hello")
        .created_by("test")
        .creation_date(1_700_000_000)
        .private(true)
        .create()
        .unwrap();
    assert_eq!(creation.finish(), Err(BuildError::MissingHash(0)));
    creation.set_piece_hash(0, [9; 20]).unwrap();
    assert_eq!(creation.set_piece_hash(1, [9; 20]), Err(BuildError::NoSuchPiece(1)));
    let metainfo = Metainfo::parse(&creation.finish().unwrap()).unwrap();
    assert_eq!(metainfo.trackers[..2], [["http://one/announce"], ["udp://two:6969"]]);
    assert_eq!(metainfo.trackers[2..], [["http://three", "http://four"]]);
    assert_eq!(
        (&metainfo.web_seeds[..], &metainfo.http_seeds[..]),
        (&["http://five/".into()][..], &["http://six/".into()][..])
    );
    assert_eq!(metainfo.nodes, [HostPort::new("seven", 7).unwrap()]);
    assert_eq!(metainfo.info.source(), Some("eight"));
    assert_eq!(metainfo.comment.as_deref(), Some("hello"));
    assert_eq!(metainfo.created_by.as_deref(), Some("test"));
    assert_eq!(metainfo.creation_date, Some(1_700_000_000));
    assert_eq!(metainfo.info.name(), "größe.bin");
    assert!(metainfo.info.is_private() && metainfo.info.adjustments().is_empty());
}

#[test]
fn what_cannot_be_shared_is_refused_at_creation() {
    assert_eq!(Builder::file("a", 0).create().unwrap_err(), BuildError::Empty);
    assert_eq!(
        Builder::file("a", 1).piece_length(20_000).create().unwrap_err(),
        BuildError::PieceLength(20_000)
    );
    assert_eq!(Builder::file("nul", 1).create().unwrap_err(), BuildError::UnsafeName("nul".into()));
    let twice = Builder::tree("t", vec![(vec!["a".into()], 1), (vec!["A".into()], 1)]);
    assert_eq!(twice.create().unwrap_err(), BuildError::UnsafeName("A".into()));
}
