//! Inputs of the benchmarks, the same on every machine.
#![forbid(unsafe_code)]

use downpour_bencode::{DictEncoder, Encoder};

/// `length` bytes that do not compress or repeat, from a multiplicative generator.
#[must_use]
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// A v1 torrent of 20,000 small files in folders (BEP 3).
#[must_use]
pub fn many_files() -> Vec<u8> {
    torrent(|info| {
        info.entry(b"files").list(|files| {
            for file in 0..20_000u32 {
                files.item().dict(|entry| {
                    entry.entry(b"length").int(1_000 + file * 37);
                    entry.entry(b"path").list(|path| {
                        path.item().bytes(format!("folder {:03}", file / 100));
                        path.item().bytes(format!("a file with number {file:05}.flac"));
                    });
                });
            }
        });
        info.entry(b"name").bytes(b"many files");
        info.entry(b"piece length").int(1 << 20);
        info.entry(b"pieces").bytes(noise(20 * 7_500));
    })
}

/// A v1 torrent of one file with 1 MiB of piece hashes.
#[must_use]
pub fn piece_hashes() -> Vec<u8> {
    torrent(|info| {
        info.entry(b"length").int(52_428u64 << 22);
        info.entry(b"name").bytes(b"one large file.mkv");
        info.entry(b"piece length").int(1 << 22);
        info.entry(b"pieces").bytes(noise(1 << 20));
    })
}

/// A v2 torrent of 5,000 files in a tree three folders deep, with piece layers (BEP 52).
#[must_use]
pub fn file_tree() -> Vec<u8> {
    let roots = noise(32 * 5_000);
    let mut out = Vec::new();
    Encoder::new(&mut out).dict(|torrent| {
        torrent.entry(b"announce").bytes(b"http://tracker.example/announce");
        torrent.entry(b"info").dict(|info| {
            info.entry(b"file tree").dict(|tree| folder(tree, &roots, 0, 5_000));
            info.entry(b"meta version").int(2);
            info.entry(b"name").bytes(b"file tree");
            info.entry(b"piece length").int(1 << 16);
        });
        torrent.entry(b"piece layers").dict(|layers| {
            for root in roots.chunks_exact(32) {
                layers.entry(root).bytes(root.repeat(4));
            }
        });
    });
    out
}

/// The files from `first` up to `end`: 25 folders, in each of them 20, in each of those 10 files.
fn folder(tree: &mut DictEncoder<'_>, roots: &[u8], first: usize, end: usize) {
    let parts = match end - first {
        5_000 => 25,
        200 => 20,
        _ => 10,
    };
    let each = (end - first) / parts;
    for begin in (first..end).step_by(each) {
        if each > 1 {
            let name = format!("folder {begin:04}");
            tree.entry(name.as_bytes()).dict(|tree| folder(tree, roots, begin, begin + each));
            continue;
        }
        let name = format!("file number {begin:04}.txt");
        tree.entry(name.as_bytes()).dict(|node| {
            node.entry(b"").dict(|leaf| {
                leaf.entry(b"length").int(200_000 + begin as u64);
                leaf.entry(b"pieces root").bytes(&roots[begin * 32..][..32]);
            });
        });
    }
}

fn torrent(info: impl FnOnce(&mut DictEncoder<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    Encoder::new(&mut out).dict(|torrent| {
        torrent.entry(b"announce").bytes(b"http://tracker.example/announce");
        torrent.entry(b"info").dict(info);
    });
    out
}
