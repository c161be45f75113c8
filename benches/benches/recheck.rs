//! A recheck of files in the page cache beside a bare loop of `pread` and SHA-1, on all cores, in turn.
//!
//! `cargo bench -p downpour-benches --bench recheck`; `DOWNPOUR_BENCH_MIB` says how much (2048), and the system's folder for
//! temporary files where.

#![allow(missing_docs)]
// Files, a clock and the environment are what this measures, and how.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use downpour_metainfo::{Builder, Layout};
use downpour_storage::{Allocation, FileStorage, HandlePool, HashQueue};
use sha1::{Digest, Sha1};

const PIECE: u64 = 1 << 20;
const BUFFER: usize = 256 << 10;
const ROUNDS: usize = 7;

fn main() {
    let mib: u64 = std::env::var("DOWNPOUR_BENCH_MIB").ok().and_then(|mib| mib.parse().ok()).unwrap_or(2048);
    let folder = std::env::temp_dir().join(format!("downpour-recheck-{}", std::process::id()));
    for (name, files) in [("one file", 1), ("2,000 files", 2000)] {
        let layout = make(&folder, mib << 20, files);
        compare(name, &folder, &layout);
        // Disk space matters to whoever runs this.
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

/// Files of `length` bytes in all, and how they lie in pieces.
fn make(folder: &Path, length: u64, files: u64) -> Arc<Layout> {
    let listed = (0..files).map(|file| (vec![file.to_string()], length / files)).collect();
    let creation = Builder::tree("t", listed).piece_length(PIECE).create().unwrap();
    std::fs::create_dir_all(folder.join("t")).unwrap();
    let bytes = downpour_benches::noise((length / files) as usize);
    for file in creation.layout().files() {
        std::fs::write(folder.join(&file.path), &bytes).unwrap();
    }
    Arc::new(creation.layout().clone())
}

fn compare(name: &str, folder: &Path, layout: &Arc<Layout>) {
    let handles = Arc::new(HandlePool::new(512));
    let storage = FileStorage::new(folder.to_owned(), Arc::clone(layout), Allocation::Sparse, handles);
    let ours = || {
        let queue = HashQueue::new((0..layout.piece_count()).collect());
        on_all_cores(|| queue.work(&storage, layout, |_, hash| _ = hash.unwrap()));
    };
    let paths: Vec<_> = layout.files().iter().map(|file| (folder.join(&file.path), file.length)).collect();
    let bare = || bare_loop(&paths);
    // Not measured: brings the files into the page cache.
    bare();
    let mut rounds: Vec<(Duration, Duration)> = (0..ROUNDS)
        .map(|round| match round % 2 {
            0 => (time(ours), time(bare)),
            _ => {
                let bare = time(bare);
                (time(ours), bare)
            }
        })
        .collect();
    rounds.sort_by_key(|(ours, bare)| bare.as_nanos() * 1000 / ours.as_nanos());
    let gb = |time: Duration| layout.total_length() as f64 / time.as_secs_f64() / 1e9;
    for (ours, bare) in &rounds {
        println!(
            "{name}: ours {:.2} GB/s, bare {:.2} GB/s, ratio {:.3}",
            gb(*ours),
            gb(*bare),
            gb(*ours) / gb(*bare)
        );
    }
    let (ours, bare) = rounds[ROUNDS / 2];
    println!("{name}: median ratio {:.3}", gb(ours) / gb(bare));
}

/// Each core takes the next stretch that nobody has, and hashes what it reads.
fn bare_loop(paths: &[(std::path::PathBuf, u64)]) {
    let next = AtomicU64::new(0);
    // One large file is shared out in stretches as long as a piece; small files are taken whole.
    let stretches = paths[0].1.div_ceil(PIECE);
    on_all_cores(|| {
        let mut buffer = vec![0; BUFFER];
        let mut open: Option<(usize, File)> = None;
        loop {
            let stretch = next.fetch_add(1, Ordering::Relaxed);
            let index = (stretch / stretches) as usize;
            let Some((path, length)) = paths.get(index) else { return };
            let file = match open.take() {
                Some((opened, file)) if opened == index => file,
                _ => File::open(path).unwrap(),
            };
            let mut hasher = Sha1::new();
            let mut at = stretch % stretches * PIECE;
            let end = (at + PIECE).min(*length);
            while at < end {
                let part = &mut buffer[..((end - at) as usize).min(BUFFER)];
                file.read_exact_at(part, at).unwrap();
                hasher.update(&*part);
                at += part.len() as u64;
            }
            std::hint::black_box(hasher.finalize());
            open = Some((index, file));
        }
    });
}

fn on_all_cores(work: impl Fn() + Sync) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(&work);
        }
    });
}

fn time(work: impl Fn()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}
