//! A download that is killed at random moments, again and again.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use downpour_interop::{Action, Call, Lab, Process, Signal, Tool, calls, full, make_file, sums, traced};
use downpour_storage::ResumeData;

const PIECE: u64 = 256 << 10;
/// Payload that one kill may cost: what is in memory then.
const COST: u64 = 32 << 20;

/// xorshift64*: the moments follow from the seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound.max(1)
    }
}

/// The full form draws new moments; `DOWNPOUR_SEED` repeats them.
fn seed() -> u64 {
    let given = std::env::var("DOWNPOUR_SEED").ok().and_then(|text| text.parse().ok());
    let clock = || std::time::UNIX_EPOCH.elapsed().map_or(1, |since| since.as_nanos() as u64);
    given.unwrap_or_else(|| if full() { clock() } else { 1 }) | 1
}

/// The resume state of the user `user`, if there is one.
fn resume(lab: &Lab, user: &str) -> Option<(PathBuf, ResumeData)> {
    let folder = lab.path(&format!("state-{user}")).join("downpour");
    let paths = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let path =
        paths.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "resume"))?;
    let bytes = std::fs::read(&path).expect("a resume state");
    Some((path, ResumeData::decode(&bytes).expect("a state is whole at each moment")))
}

/// After this long a download has recorded pieces.
const CHECKPOINT_MILLIS: u64 = 6500;

fn create(lab: &Lab, content: &Path, torrent: &Path) {
    let mut command = lab.downpour("creator", "create");
    command.arg(content).arg("--output").arg(torrent).args(["--piece-size", &PIECE.to_string()]);
    assert!(command.output().is_ok_and(|output| output.status.success()), "downpour create failed");
}

fn pieces_have(line: &serde_json::Value) -> u64 {
    line["pieces_have"].as_u64().unwrap_or(0)
}

#[test]
fn a_download_goes_on_after_each_of_many_kills() {
    let Some(lab) = Lab::open(env!("CARGO_TARGET_TMPDIR")) else { return };
    let (length, kills, rate): (u64, u64, u64) =
        if full() { (1 << 30, 50, 8 << 20) } else { (128 << 20, 8, 5 << 20) };
    let (content, torrent) = (lab.folder("seeder").join("file.bin"), lab.path("file.torrent"));
    make_file(&content, length);
    create(&lab, &content, &torrent);
    let original = File::open(&content).expect("the content");
    let output = lab.folder("leecher").join("file.bin");
    let mut seeder = lab.libtorrent(&torrent, &lab.folder("seeder"), &["--upload-limit", &rate.to_string()]);
    let port = seeder.port();
    let seed = seed();
    println!("the moments follow from DOWNPOUR_SEED={seed}");
    let mut random = Random(seed);

    let (mut had, mut states) = (0, 0);
    for kill in 0..kills {
        let mut leecher = lab.get("leecher", &torrent, &lab.folder("leecher"), port, &["--exit-when-done"]);
        // Such that on the average the last kill comes near the end, and none after it.
        let left = (length - had * PIECE) * 1000 / rate;
        let drawn = random.below(2 * left / (kills - kill + 1));
        // The first run lasts long enough for a checkpoint, so that there is a state to look at.
        let moment = Duration::from_millis(if kill == 0 { CHECKPOINT_MILLIS + drawn % 1000 } else { drawn });
        std::thread::sleep(moment);
        leecher.signal(Signal::Kill);
        assert!(!leecher.wait().success(), "kill {kill}: it had finished before");
        let reported = leecher.said().iter().map(pieces_have).max().unwrap_or(0);
        if let Some(checked) = leecher.said().iter().find(|line| line["event"] == "checked") {
            assert!(
                checked["good"].as_u64() >= Some(had),
                "kill {kill}: {had} pieces were had, then {checked}"
            );
        }
        had = had.max(reported);
        let Some((_, state)) = resume(&lab, "leecher") else { continue };
        states += u64::from(state.have.count() > 0);
        verify(&state, &original, &output, length);
    }
    assert!(states > 0, "no kill left a state with pieces");

    let mut last = lab.get("leecher", &torrent, &lab.folder("leecher"), port, &["--exit-when-done"]);
    last.wait_for_event("finished");
    assert!(last.wait().success());
    assert_eq!(sums(&output), sums(&content));
    // What the seeder says counts: who is killed can no longer say what it had.
    let sent = uploaded(&mut seeder);
    println!("FIGURES: {kills} kills, {states} with recorded pieces, {sent} bytes sent for {length}");
    assert!(sent <= length + kills * COST, "{sent} bytes were sent for {length} and {kills} kills");
}

/// Each recorded piece is what it should be.
fn verify(state: &ResumeData, original: &File, output: &Path, length: u64) {
    let copy = File::open(output).expect("what has pieces has a file");
    let (mut expected, mut found) = (vec![0; PIECE as usize], vec![0; PIECE as usize]);
    for piece in state.have.iter() {
        let offset = u64::from(piece) * PIECE;
        let size = PIECE.min(length - offset) as usize;
        original.read_exact_at(&mut expected[..size], offset).expect("the content");
        copy.read_exact_at(&mut found[..size], offset).expect("a recorded piece is in the file");
        assert!(expected[..size] == found[..size], "piece {piece} is recorded, and wrong");
    }
}

/// What the seeder has sent in all, once that stands still.
fn uploaded(seeder: &mut Process) -> u64 {
    let (mut sent, mut changed) = (0, Instant::now());
    while changed.elapsed() < Duration::from_secs(2) {
        for line in seeder.news() {
            let now = line["uploaded_bytes"].as_u64().unwrap_or(0);
            if now > sent {
                (sent, changed) = (now, Instant::now());
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    sent
}

/// The content of the next test: its first file is complete before the kill, the second after it.
const FILES: [(&str, u64); 2] = [("a.bin", 16 * PIECE), ("b.bin", 32 * PIECE)];

#[test]
fn what_is_recorded_was_synced_before_and_after_a_clean_stop_nothing_is_read() {
    let Some(lab) = Lab::with(env!("CARGO_TARGET_TMPDIR"), &[Tool::Libtorrent, Tool::Strace]) else { return };
    let (content, torrent) = (lab.folder("seeder").join("tree"), lab.path("tree.torrent"));
    std::fs::create_dir(&content).expect("a folder");
    FILES.iter().for_each(|(name, length)| make_file(&content.join(name), *length));
    create(&lab, &content, &torrent);
    // Slow enough for several checkpoints.
    let limit = (1 << 20).to_string();
    let mut seeder = lab.libtorrent(&torrent, &lab.folder("seeder"), &["--upload-limit", &limit]);
    let port = seeder.port();
    let output = lab.folder("leecher");
    let get = |trace: &str| {
        let mut command = lab.downpour("leecher", "get");
        command.arg(&torrent).arg("--output").arg(&output).args([
            "--json",
            "--sequential",
            "--exit-when-done",
        ]);
        command.args(["--peer", &format!("127.0.0.1:{port}")]);
        Process::start("downpour get", &mut traced(&lab, &command, &lab.path(trace)))
    };
    let mut first = get("first");
    first.wait_for("first file", |line| pieces_have(line) >= 18);
    kill_program(&first);
    first.wait();
    let mut second = get("second");
    second.wait_for_event("finished");
    assert!(second.wait().success());
    assert_eq!(sums(&output.join("tree")), sums(&content));

    let mut all = calls(&lab.path("first"));
    all.extend(calls(&lab.path("second")));
    let recorded = check_order(&all, &output.join("tree"));
    assert!(recorded.iter().any(|count| (1..48).contains(count)), "no state on the way: {recorded:?}");
    assert_eq!(recorded.last(), Some(&48), "{recorded:?}");

    let third = get("third");
    drop(third_run(third));
    let read = calls(&lab.path("third"))
        .into_iter()
        .any(|call| matches!(&call.action, Action::Read { path } if path.starts_with(&output)));
    assert!(!read, "after a clean stop content was read");
}

/// A start with everything there; it ends by itself.
fn third_run(mut process: Process) -> Process {
    let checked = process.wait_for_event("checked");
    assert_eq!(checked["good"], checked["total"], "{checked}");
    assert!(process.wait().success());
    process
}

/// Kills the program below strace, not strace.
fn kill_program(strace: &Process) {
    let children = format!("/proc/{0}/task/{0}/children", strace.id());
    let child = std::fs::read_to_string(children).expect("strace runs");
    downpour_interop::run(&format!("kill -9 {}", child.trim()));
}

/// Each time a state took the place of the one before, all pieces in it were written and then synced, and the state
/// too. Returns how many pieces each state had.
fn check_order(all: &[Call], tree: &Path) -> Vec<u32> {
    let mut recorded = Vec::new();
    for rename in all {
        let Action::Rename { from, to } = &rename.action else { continue };
        if to.extension().is_none_or(|extension| extension != "resume") {
            continue;
        }
        let bytes: Vec<u8> = all
            .iter()
            .filter(|call| call.end <= rename.start && call.start >= last_rename(all, rename))
            .filter_map(|call| match &call.action {
                Action::Write { path, data, length, .. } if path == from => {
                    assert_eq!(data.len() as u64, *length, "the trace has not all of the state");
                    Some(data.clone())
                }
                _ => None,
            })
            .flatten()
            .collect();
        let state = ResumeData::decode(&bytes).expect("a whole state is put in place");
        let written =
            all.iter().filter(|call| matches!(&call.action, Action::Write { path, .. } if path == from));
        let written =
            written.map(|call| call.end).filter(|end| *end <= rename.start).max().expect("it was written");
        assert!(
            synced(all, from, written, rename.start),
            "the state was not synced before it took its place"
        );
        for piece in state.have.iter() {
            let (path, offset) = place(tree, piece);
            assert!(on_disk(all, &path, offset, rename.start), "piece {piece} was recorded and not synced");
        }
        recorded.push(state.have.count());
    }
    recorded
}

/// The end of the rename before `rename`, or 0.
fn last_rename(all: &[Call], rename: &Call) -> u64 {
    let renames = all.iter().filter(|call| matches!(call.action, Action::Rename { .. }));
    renames.map(|call| call.end).filter(|end| *end <= rename.start).max().unwrap_or(0)
}

fn place(tree: &Path, piece: u32) -> (PathBuf, u64) {
    let offset = u64::from(piece) * PIECE;
    match offset.checked_sub(FILES[0].1) {
        None => (tree.join(FILES[0].0), offset),
        Some(offset) => (tree.join(FILES[1].0), offset),
    }
}

/// Whether `path` was synced wholly within `from..to`.
fn synced(all: &[Call], path: &Path, from: u64, to: u64) -> bool {
    all.iter().any(|call| {
        matches!(&call.action, Action::Sync { path: synced } if synced == path)
            && call.start >= from
            && call.end <= to
    })
}

/// Whether the piece at `offset` was wholly written before a sync that was over before `until`.
fn on_disk(all: &[Call], path: &Path, offset: u64, until: u64) -> bool {
    let syncs = all.iter().filter(|call| {
        call.end <= until && matches!(&call.action, Action::Sync { path: synced } if synced == path)
    });
    let Some(sync) = syncs.map(|call| call.start).max() else { return false };
    let mut written = vec![false; PIECE as usize];
    for call in all.iter().filter(|call| call.end <= sync) {
        if let Action::Write { path: to, offset: Some(at), length, .. } = &call.action
            && to == path
        {
            let (start, end) = ((*at).max(offset), (at + length).min(offset + PIECE));
            if start < end {
                written[(start - offset) as usize..(end - offset) as usize].fill(true);
            }
        }
    }
    written.iter().all(|byte| *byte)
}
