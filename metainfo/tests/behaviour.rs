//! Parsing, creating and laying out torrents.

use bytes::Bytes;
use downpour_bencode::Encoder;
use downpour_metainfo::{BuildError, Builder, Expected, FileSpan, Info, Layout, Metainfo, MetainfoError};
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
    assert_eq!(metainfo.trackers, [["http://one/announce"], ["udp://two:6969"]]);
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
