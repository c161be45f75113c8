//! Torrents of version 2 and hybrids: file trees, Merkle trees, piece layers (BEP 52).

use bytes::Bytes;
use downpour_base::InfoHash;
use downpour_bencode::{DictEncoder, Encoder};
use downpour_metainfo::merkle::{self, BLOCK_LENGTH, Hash};
use downpour_metainfo::{
    AdjustmentReason, BuildError, Builder, FileAttributes, Info, Layout, Metainfo, MetainfoError,
    PieceLayerError, TorrentVersion,
};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

/// The naive twin: the whole tree, with every leaf, from the top down.
fn naive_root(leaves: &[Hash], width: usize) -> Hash {
    match width {
        1 => leaves.first().copied().unwrap_or_default(),
        _ => {
            let (left, right) = leaves.split_at(leaves.len().min(width / 2));
            Sha256::digest([naive_root(left, width / 2), naive_root(right, width / 2)].concat()).into()
        }
    }
}

fn leaves(content: &[u8]) -> Vec<Hash> {
    content.chunks(BLOCK_LENGTH as usize).map(merkle::leaf).collect()
}

fn content_of(index: usize, length: u64) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251 + index as u64) as u8).collect()
}

/// Creates a torrent of files with the given lengths.
fn create(builder: Builder, version: TorrentVersion, contents: &[Vec<u8>]) -> Vec<u8> {
    let mut creation = builder.version(version).create().unwrap();
    let layout = creation.layout().clone();
    let names: Vec<usize> =
        (0..layout.files().len()).filter(|file| !layout.files()[*file].is_pad()).collect();
    for piece in 0..layout.piece_count() {
        let (mut bytes, mut blocks) = (Vec::new(), Vec::new());
        for span in layout.spans(piece, 0, layout.piece_length()) {
            match names.iter().position(|file| *file == span.file) {
                None => bytes.resize(bytes.len() + span.length as usize, 0),
                Some(index) => {
                    let part = &contents[index][span.offset as usize..][..span.length as usize];
                    bytes.extend_from_slice(part);
                    blocks.extend(leaves(part));
                }
            }
        }
        if version.has_v1() {
            creation.set_piece_hash(piece, sha1_smol::Sha1::from(&bytes).digest().bytes()).unwrap();
        }
        if version.has_v2() {
            creation.set_block_hashes(piece, &blocks).unwrap();
        }
    }
    creation.finish().unwrap()
}

fn tree(lengths: &[u64]) -> (Builder, Vec<Vec<u8>>) {
    let files =
        lengths.iter().enumerate().map(|(i, length)| (vec![format!("d{}", i / 3), format!("f{i}")], *length));
    let contents = lengths.iter().enumerate().map(|(index, length)| content_of(index, *length)).collect();
    (Builder::tree("t", files.collect()), contents)
}

proptest! {
    #[test]
    fn roots_are_those_of_the_naive_twin(count in 1usize..70, height in 0u32..4) {
        let leaves: Vec<Hash> = (0..count).map(|index| [index as u8 + 1; 32]).collect();
        let width = count.next_power_of_two();
        prop_assert_eq!(merkle::root(leaves.clone(), 0), naive_root(&leaves, width));
        // A layer further up gives the same root.
        let layer: Vec<Hash> = leaves.chunks(1 << height).map(|part| merkle::ancestor(part.to_vec(), 0, height)).collect();
        prop_assert_eq!(merkle::root(layer, height), naive_root(&leaves, width.max(1 << height)));
        prop_assert_eq!(merkle::padding(height), naive_root(&[], 1 << height));
    }

    #[test]
    fn what_is_created_is_parsed(
        lengths in prop::collection::vec(prop_oneof![Just(0), 1u64..70_000, Just(16_384), Just(32_768)], 1..8),
        piece_length in prop::sample::select(vec![16u64 << 10, 32 << 10, 64 << 10]),
        version in prop::sample::select(vec![TorrentVersion::V1, TorrentVersion::V2, TorrentVersion::Hybrid]),
    ) {
        prop_assume!(lengths.iter().sum::<u64>() > 0);
        let (builder, contents) = tree(&lengths);
        let torrent = create(builder.piece_length(piece_length), version, &contents);
        let metainfo = Metainfo::parse(&torrent).unwrap();
        prop_assert_eq!(metainfo.encode(), torrent);
        prop_assert!(metainfo.info.adjustments().is_empty());
        let layout = metainfo.info.layout();
        prop_assert_eq!(metainfo.info.info_hash().v1().is_some(), version.has_v1());
        prop_assert_eq!(metainfo.info.info_hash().v2().is_some(), version.has_v2());
        prop_assert!(metainfo.piece_layers.is_complete(layout));
        let files: Vec<_> = layout.files().iter().filter(|file| !file.is_pad()).collect();
        prop_assert_eq!(files.iter().map(|file| file.length).collect::<Vec<_>>(), lengths);
        prop_assert_eq!(layout.payload_length(), contents.iter().map(|c| c.len() as u64).sum::<u64>());
        for (file, content) in files.iter().zip(&contents) {
            if version.has_v2() && !content.is_empty() {
                prop_assert_eq!(file.offset % piece_length, 0);
                let leaves = leaves(content);
                prop_assert_eq!(file.pieces_root, Some(naive_root(&leaves, leaves.len().next_power_of_two())));
                let blocks = (piece_length / u64::from(BLOCK_LENGTH)) as usize;
                let layer: Vec<u8> = leaves.chunks(blocks).flat_map(|part| naive_root(part, blocks)).collect();
                let found = metainfo.piece_layers.layer(&file.pieces_root.unwrap());
                prop_assert_eq!(found, (content.len() as u64 > piece_length).then_some(&layer[..]));
            }
        }
    }

    #[test]
    fn a_damaged_v2_torrent_never_panics(version in 0..2, at: usize, byte: u8) {
        let (builder, contents) = tree(&[40_000, 0, 20_000, 5]);
        let version = if version == 0 { TorrentVersion::V2 } else { TorrentVersion::Hybrid };
        let mut torrent = create(builder.piece_length(16 << 10), version, &contents);
        let at = at % torrent.len();
        torrent[at] = byte;
        if let Ok(metainfo) = Metainfo::parse(&torrent) {
            tiles(metainfo.info.layout());
        }
    }

    #[test]
    fn any_file_tree_never_panics(tree in trees(), list: bool) {
        let mut info = Vec::new();
        Encoder::new(&mut info).dict(|dict| {
            dict.entry(b"file tree").dict(|dict| tree.write(dict));
            if list {
                dict.entry(b"length").int(1);
                dict.entry(b"pieces").bytes([1; 20]);
            }
            dict.entry(b"meta version").int(2);
            dict.entry(b"name").bytes("t");
            dict.entry(b"piece length").int(16384);
        });
        if let Ok(info) = Info::parse(info.into()) {
            tiles(info.layout());
        }
    }
}

/// A file tree as an enemy writes it.
#[derive(Clone, Debug)]
enum Tree {
    File(i64, &'static str),
    Folder(Vec<(&'static str, Tree)>),
    Other,
}

fn trees() -> impl Strategy<Value = Tree> {
    let names = prop::sample::select(vec!["a", "A", "..", "", "b/c", "nul", "d", "\u{202e}"]);
    let leaf = prop_oneof![
        5 => (prop_oneof![0i64..40_000, Just(-1), Just(i64::MAX)], prop::sample::select(vec!["", "x", "p", "l"]))
            .prop_map(|(length, attributes)| Tree::File(length, attributes)),
        1 => Just(Tree::Other),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        prop::collection::vec((names.clone(), inner), 0..5).prop_map(Tree::Folder)
    })
}

impl Tree {
    fn write(&self, dict: &mut DictEncoder<'_>) {
        match self {
            Self::File(length, attributes) => dict.entry(b"").dict(|leaf| {
                leaf.entry(b"attr").bytes(attributes);
                leaf.entry(b"length").int(*length);
                leaf.entry(b"pieces root").bytes([7; 32]);
                leaf.entry(b"symlink path")
                    .list(|list| ["..", "a", "d"].iter().for_each(|part| list.item().bytes(part)));
            }),
            Self::Folder(entries) => {
                for (name, tree) in entries {
                    match tree {
                        Self::Other => dict.entry(name.as_bytes()).int(1),
                        _ => dict.entry(name.as_bytes()).dict(|dict| tree.write(dict)),
                    }
                }
            }
            Self::Other => {}
        }
    }
}

fn tiles(layout: &Layout) {
    let end = layout.files().iter().fold(0, |at, file| {
        assert_eq!(file.offset, at);
        let aligned = file.pieces_root.is_none() || at % u64::from(layout.piece_length()) == 0;
        assert!(aligned && !file.path.split('/').any(|part| ["", ".", ".."].contains(&part)));
        at + file.length
    });
    assert_eq!(end, layout.total_length());
}

/// A hybrid info dictionary of two files, after `change` had its way with it.
fn hybrid(change: impl Fn(&mut DictEncoder<'_>)) -> Result<Info, MetainfoError> {
    let mut info = Vec::new();
    Encoder::new(&mut info).dict(|dict| {
        dict.entry(b"file tree").dict(|tree| {
            for (name, length) in [("a", 5), ("b", 20_000)] {
                tree.entry(name.as_bytes()).dict(|node| {
                    node.entry(b"").dict(|leaf| {
                        leaf.entry(b"length").int(length);
                        leaf.entry(b"pieces root").bytes([7; 32]);
                    });
                });
            }
        });
        dict.entry(b"meta version").int(2);
        dict.entry(b"name").bytes("t");
        dict.entry(b"piece length").int(16384);
        dict.entry(b"files").list(|list| v1_files(list, &[("a", 5), (".pad", 16_379), ("b", 20_000)]));
        dict.entry(b"pieces").bytes([7; 60]);
        change(dict);
    });
    Info::parse(info.into())
}

fn v1_files(list: &mut downpour_bencode::ListEncoder<'_>, files: &[(&str, u64)]) {
    for (name, length) in files {
        list.item().dict(|file| {
            if *name == ".pad" {
                file.entry(b"attr").bytes("p");
            }
            file.entry(b"length").int(*length);
            file.entry(b"path").list(|path| path.item().bytes(name));
        });
    }
}

#[test]
fn both_halves_of_a_hybrid_must_describe_the_same_files() {
    let info = hybrid(|_| ()).unwrap();
    assert!(matches!(info.info_hash(), InfoHash::Hybrid(..)));
    assert_eq!(info.layout().files().len(), 3);
    assert!(info.layout().files()[1].is_pad() && info.layout().files()[2].pieces_root.is_some());

    let with = |files: &[(&str, u64)]| {
        hybrid(|dict| dict.entry(b"files").list(|list| v1_files(list, files)))
            .map(|info| info.layout().files().len())
    };
    let (a, b, pad) = (("a", 5), ("b", 20_000), (".pad", 16_379));
    assert_eq!(with(&[a, pad, b, (".pad", 12_768)]), Ok(4), "a pad file at the end may be there");
    for (files, at) in [
        (&[a, b][..], 1),
        (&[a, (".pad", 16_378), b], 1),
        (&[pad, a, pad, b], 0),
        (&[a, pad, ("c", 20_000)], 1),
        (&[a, pad, ("b", 20_001)], 1),
        (&[b, pad, a], 0),
        (&[a, pad], 1),
        (&[a, pad, b, ("c", 0)], 2),
        (&[a, pad, b, (".pad", 12_769)], 2),
    ] {
        assert_eq!(with(files), Err(MetainfoError::HybridMismatch(at)), "{files:?}");
    }
}

#[test]
fn what_is_wrong_with_v2_is_named() {
    let wrong = |key: &str, value: i64| hybrid(|dict| dict.entry(key.as_bytes()).int(value)).unwrap_err();
    assert_eq!(wrong("meta version", 3), MetainfoError::UnknownVersion(3));
    assert_eq!(wrong("piece length", 49_152), MetainfoError::PieceLengthV2(49_152));
    assert_eq!(wrong("piece length", 8192), MetainfoError::PieceLengthV2(8192));
    let pieces = hybrid(|dict| dict.entry(b"pieces").bytes([7; 40])).unwrap_err();
    assert_eq!(pieces, MetainfoError::PiecesLength { found: 40, expected: 60 });
    // Names and sizes of one version only are not taken for a torrent of the other.
    assert_eq!(
        Info::parse(Bytes::from_static(b"d12:meta versioni2e4:name1:a12:piece lengthi16384ee")).unwrap_err(),
        MetainfoError::Missing("file tree")
    );
}

#[test]
fn piece_layers_must_fit_their_files() {
    let contents = [content_of(0, 40_000)];
    let torrent = create(Builder::file("a", 40_000).piece_length(16 << 10), TorrentVersion::V2, &contents);
    let good = Metainfo::parse(&torrent).unwrap();
    let root = good.info.layout().files()[0].pieces_root.unwrap();
    let layer = good.piece_layers.layer(&root).unwrap().to_vec();
    let with = |layers: &[(&[u8], &[u8])]| {
        let mut out = Vec::new();
        Encoder::new(&mut out).dict(|dict| {
            dict.entry(b"info").raw(good.info.raw());
            dict.entry(b"piece layers").dict(|dict| {
                layers.iter().for_each(|(root, layer)| dict.entry(root).bytes(layer));
            });
        });
        Metainfo::parse(&out).map(|metainfo| metainfo.piece_layers.is_complete(metainfo.info.layout()))
    };
    let wrong = |error| Err(MetainfoError::PieceLayer(error));
    assert_eq!(with(&[(&root, &layer)]), Ok(true));
    assert_eq!(with(&[]), Ok(false), "peers have them");
    assert_eq!(with(&[(&root, &layer[1..])]), wrong(PieceLayerError::Length));
    assert_eq!(with(&[(&root[1..], &layer)]), wrong(PieceLayerError::NoSuchFile));
    assert_eq!(with(&[(&[9; 32], &layer)]), wrong(PieceLayerError::NoSuchFile));
    let mut damaged = layer;
    damaged[70] ^= 1;
    assert_eq!(with(&[(&root, &damaged)]), wrong(PieceLayerError::Root));
}

#[test]
fn creation_asks_for_the_hashes_of_its_version() {
    let create =
        |version| Builder::file("a", 20_000).piece_length(16 << 10).version(version).create().unwrap();
    let mut v2 = create(TorrentVersion::V2);
    assert_eq!(v2.set_piece_hash(0, [1; 20]), Err(BuildError::OtherVersion));
    assert_eq!(v2.set_block_hashes(2, &[]), Err(BuildError::NoSuchPiece(2)));
    let wrong = BuildError::LeafCount { piece: 0, expected: 1, found: 2 };
    assert_eq!(v2.set_block_hashes(0, &[[1; 32], [2; 32]]), Err(wrong));
    v2.set_block_hashes(0, &[[1; 32]]).unwrap();
    assert_eq!(v2.finish(), Err(BuildError::MissingHash(1)));
    assert_eq!(create(TorrentVersion::V1).set_block_hashes(0, &[[1; 32]]), Err(BuildError::OtherVersion));
}

#[test]
fn attributes_are_written_and_read() {
    let executable = FileAttributes { executable: true, ..FileAttributes::default() };
    let (builder, contents) = tree(&[5, 20_000]);
    let torrent = create(builder.attributes(1, executable), TorrentVersion::Hybrid, &contents);
    let files = Metainfo::parse(&torrent).unwrap().info.layout().files().to_vec();
    assert!(!files[0].attributes.executable && files[1].is_pad() && files[2].attributes.executable);
}

#[test]
fn links_out_of_the_torrent_become_empty_files() {
    let links = |targets: &[&[&str]]| {
        let mut info = Vec::new();
        Encoder::new(&mut info).dict(|dict| {
            dict.entry(b"files").list(|list| {
                v1_files(list, &[("x", 5)]);
                for (index, target) in targets.iter().enumerate() {
                    list.item().dict(|file| {
                        file.entry(b"attr").bytes("l");
                        file.entry(b"path").list(|path| {
                            path.item().bytes("d");
                            path.item().bytes(format!("link{index}"));
                        });
                        file.entry(b"symlink path")
                            .list(|list| target.iter().for_each(|part| list.item().bytes(part)));
                    });
                }
            });
            dict.entry(b"name").bytes("t");
            dict.entry(b"piece length").int(16384);
            dict.entry(b"pieces").bytes([7; 20]);
        });
        let info = Info::parse(info.into()).unwrap();
        let files = info.layout().files()[1..].to_vec();
        let bad = info.adjustments().iter().all(|change| change.reason == AdjustmentReason::BadLink);
        assert!(bad && info.adjustments().len() == files.iter().filter(|file| !file.is_symlink()).count());
        files.into_iter().map(|file| file.symlink_target.unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(
        links(&[&["x"], &["d"], &["d", "link0"], &["link0"]]),
        ["t/x", "t/d", "t/d/link0", "t/d/link0"]
    );
    assert_eq!(links(&[&["..", "x"], &["/etc"], &[], &["d", "link3"], &["nothing"]]), ["", "", "", "", ""]);
    assert_eq!(links(&[&["d", "link1"], &["d", "link0"]]), ["", ""], "a circle");
    assert_eq!(
        links(&[&["d"], &["d", "link0", "link2"], &["x"]]),
        ["t/d", "t/d/link2", "t/x"],
        "through a link"
    );
}

#[test]
fn many_links_through_a_long_one_cost_its_length_once() {
    // With the length for each of them this takes minutes.
    let link = |name: &str, target: &str| {
        format!("d4:attr1:l6:lengthi0e4:pathl{}:{name}e12:symlink pathl{target}ee", name.len())
    };
    let long = link("long", &("1:.".repeat(300_000) + "1:x"));
    let others: String = (0..20_000).map(|index| link(&format!("l{index}"), "4:long")).collect();
    let torrent = format!(
        "d5:filesl{long}d6:lengthi1e4:pathl1:xee{others}e4:name1:t12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae"
    );
    let info = Info::parse(torrent.into()).unwrap();
    let links = info.layout().files().iter().filter(|file| file.symlink_target.as_deref() == Some("t/long"));
    assert_eq!((links.count(), info.adjustments().len()), (20_000, 0));
}

#[test]
fn a_chain_of_links_has_an_end() {
    // Each goes to the next one, the last to a file: those with at most 16 links on the way are links.
    for backwards in [false, true] {
        let link = |index: u32| {
            let (name, next) = (format!("l{index:02}"), format!("l{:02}", index + 1));
            format!("d4:attr1:l6:lengthi0e4:pathl3:{name}e12:symlink pathl3:{next}ee")
        };
        let mut links: Vec<String> = (0..30).map(link).collect();
        links.push("d6:lengthi1e4:pathl3:l30ee".to_owned());
        if backwards {
            links.reverse();
        }
        let torrent = format!(
            "d5:filesl{}e4:name1:t12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae",
            links.concat()
        );
        let info = Info::parse(torrent.into()).unwrap();
        let kept =
            info.layout().files().iter().filter(|file| file.is_symlink()).map(|file| file.path.as_str());
        let mut kept: Vec<_> = kept.collect();
        kept.sort_unstable();
        assert_eq!(kept.first(), Some(&"t/l13"));
        assert_eq!(kept.len(), 17);
    }
}
