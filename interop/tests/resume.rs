//! What is left of a download that was broken off.

use downpour_interop::{Lab, Process, Signal, make_file, sums};

const LENGTH: u64 = (64 << 20) + 4321;
/// Bytes of blocks that may be on their way when a download is broken off: the memory budget of a session.
const IN_FLIGHT: u64 = 32 << 20;

struct Broken {
    lab: Lab,
    seeder_port: u16,
    _seeder: Process,
    first: Process,
}

impl Broken {
    /// A download from libtorrent that was ended by `signal` when a quarter of the pieces were there.
    fn by(signal: Signal) -> Option<Self> {
        let lab = Lab::open(env!("CARGO_TARGET_TMPDIR"))?;
        let (content, torrent) = (lab.folder("seeder").join("file.bin"), lab.path("file.torrent"));
        make_file(&content, LENGTH);
        lab.create(&content, &torrent);
        let limit = (12 << 20).to_string();
        let mut seeder = lab.libtorrent(&torrent, &lab.folder("seeder"), &["--upload-limit", &limit]);
        let seeder_port = seeder.port();
        let mut first =
            lab.get("leecher", &torrent, &lab.folder("leecher"), seeder_port, &["--exit-when-done"]);
        first.wait_for("a quarter", |line| {
            let count = |name: &str| line[name].as_u64().unwrap_or(0);
            line["event"] == "progress" && count("pieces_have") * 4 >= count("pieces_total")
        });
        first.signal(signal);
        let status = first.wait();
        // As shells have it for Ctrl-C; who is killed has no code.
        let code = if matches!(signal, Signal::Interrupt) { Some(130) } else { None };
        assert_eq!(status.code(), code, "{status}");
        assert!(!first.said().iter().any(|line| line["event"] == "finished"), "it was broken off too late");
        Some(Self { lab, seeder_port, _seeder: seeder, first })
    }

    fn pieces_before(&self) -> u64 {
        self.first.said().iter().rev().find_map(|line| line["pieces_have"].as_u64()).expect("some progress")
    }

    /// Starts the download again, waits for its end and compares the content.
    fn again(&self) -> Process {
        let (torrent, output) = (self.lab.path("file.torrent"), self.lab.path("leecher"));
        let mut second = self.lab.get("leecher", &torrent, &output, self.seeder_port, &["--exit-when-done"]);
        second.wait_for_event("finished");
        assert!(second.wait().success());
        assert_eq!(sums(&output.join("file.bin")), sums(&self.lab.path("seeder/file.bin")));
        second
    }
}

fn last_downloaded(process: &Process) -> u64 {
    let bytes = process.said().iter().rev().find_map(|line| line["downloaded_bytes"].as_u64());
    bytes.expect("some progress")
}

#[test]
fn after_ctrl_c_a_download_goes_on_without_hashing() {
    let Some(broken) = Broken::by(Signal::Interrupt) else { return };
    let second = broken.again();
    assert!(!second.said().iter().any(|line| line["event"] == "checking"), "files were hashed again");
    let checked = second.said().iter().find(|line| line["event"] == "checked").expect("what is there");
    assert!(checked["good"].as_u64() >= Some(broken.pieces_before()), "{checked}");
    assert!(checked["good"].as_u64() < checked["total"].as_u64(), "{checked}");
    // The count goes on over all runs.
    let downloaded = last_downloaded(&second);
    assert!((LENGTH..LENGTH + IN_FLIGHT).contains(&downloaded), "{downloaded} of {LENGTH}");
}

#[test]
fn after_a_crash_a_download_keeps_the_pieces_that_are_good() {
    let Some(broken) = Broken::by(Signal::Kill) else { return };
    let second = broken.again();
    let checked = second.said().iter().find(|line| line["event"] == "checked").expect("what is there");
    // What was reported as had was written, and a process that dies takes nothing from the page cache.
    assert!(checked["good"].as_u64() >= Some(broken.pieces_before()), "{checked}");
    assert!(checked["good"].as_u64() < checked["total"].as_u64(), "{checked}");
}
