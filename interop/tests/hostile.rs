//! What others do does not stop a download, and an alert names who and why.

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use downpour_interop::{
    Lab, Process, Rogue, RogueTracker, Target, call_again_and_again, isolated, make_file, run, sums,
};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(240);
const LENGTH: u64 = (24 << 20) + 7;

/// A place with addresses of its own, and the torrent of a file.
struct Bench {
    lab: Lab,
    target: Target,
}

impl Bench {
    fn new(trackers: &[String]) -> Self {
        let lab = Lab::with(env!("CARGO_TARGET_TMPDIR"), &[]).expect("no tool is needed");
        (1..=20).for_each(|number| run(&format!("ip addr add {}/32 dev lo", address(number))));
        let (content, torrent) = (lab.folder("seeder").join("file.bin"), lab.path("file.torrent"));
        make_file(&content, LENGTH);
        let mut create = lab.downpour("creator", "create");
        create.arg(&content).arg("--output").arg(&torrent).args(["--piece-size", "64K"]);
        for url in trackers {
            create.args(["--tracker", url]);
        }
        assert!(create.output().is_ok_and(|output| output.status.success()), "downpour create failed");
        let shown = lab.downpour("creator", "show").arg(&torrent).arg("--json").output().expect("it shows");
        let shown: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
        let digits = shown["info_hash"].as_str().expect("an info-hash");
        let mut info_hash = [0; 20];
        for (byte, digits) in info_hash.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).expect("digits");
            *byte = u8::from_str_radix(digits, 16).expect("digits");
        }
        let pieces = shown["piece_count"].as_u64().expect("a count") as u32;
        Self { lab, target: Target { info_hash, pieces } }
    }

    /// An honest peer.
    fn seeder(&self, more: &[&str]) -> Process {
        let (torrent, content) = (self.lab.path("file.torrent"), self.lab.path("seeder/file.bin"));
        self.lab.seed(&torrent, &content, &[&["--port", "0"], more].concat())
    }

    fn get(&self, peers: &[String]) -> Process {
        let mut command = self.lab.downpour("leecher", "get");
        command
            .arg(self.lab.path("file.torrent"))
            .arg("--output")
            .arg(self.lab.folder("leecher"))
            .arg("--json");
        command.args(["--port", "0"]);
        for peer in peers {
            command.args(["--peer", peer]);
        }
        Process::start("downpour get", &mut command)
    }

    fn check(&self) {
        let path = |who: &str| self.lab.path(who).join("file.bin");
        assert_eq!(sums(&path("leecher")), sums(&path("seeder")));
    }
}

fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 45, 0, number)
}

/// Waits until an alert of one of these kinds names `place` and gives a reason that says one of `why`.
fn wait_for_alert(process: &mut Process, place: &str, events: &[&str], why: &[&str]) {
    let fits = |line: &Value| {
        let named =
            ["endpoint", "tracker"].iter().any(|key| line[key].as_str().is_some_and(|t| t.contains(place)));
        let reason = line["reason"].as_str().unwrap_or_default();
        named
            && events.iter().any(|event| line["event"] == *event)
            && (why.is_empty() || why.iter().any(|why| reason.contains(why)))
    };
    if process.said().iter().any(fits) {
        return;
    }
    process.wait_for(&format!("alert about {place} ({why:?})"), fits);
}

#[test]
fn peers_that_misbehave() {
    isolated(env!("CARGO_TARGET_TMPDIR"), LIMIT, || {
        let bench = Bench::new(&[]);
        let left = &["peer_disconnected", "peer_unreachable"][..];
        let rogues: [(Rogue, &[&str], &[&str]); 9] = [
            (Rogue::WrongBlocks, &["peer_banned"], &[]),
            (Rogue::ShortBlocks, left, &["block", "piece"]),
            (Rogue::BlocksBeyondTheEnd, left, &["block", "piece"]),
            (Rogue::NoBlocks, &[], &[]),
            (Rogue::UnknownMessages, &[], &[]),
            (Rogue::EndlessMessage, left, &["bytes"]),
            (Rogue::WrongBitfield, left, &["bitfield"]),
            (Rogue::NoHandshake, left, &["handshake", "BitTorrent"]),
            (Rogue::Nothing, left, &["handshake", "silent", "timed out", "time"]),
        ];
        let places: Vec<String> = rogues
            .iter()
            .zip(2..)
            .map(|((rogue, ..), number)| rogue.listen(address(number), bench.target).to_string())
            .collect();
        let mut leecher = bench.get(&places);
        let port = leecher.port();
        leecher.wait_for_event("checked");
        let target = bench.target;
        let caller = thread::spawn(move || call_again_and_again((address(20), port).into(), target, 1000));
        for ((rogue, events, why), place) in rogues.iter().zip(&places) {
            if !events.is_empty() {
                eprintln!("{rogue:?} at {place}");
                wait_for_alert(&mut leecher, place, events, why);
            }
        }
        caller.join().expect("no panic").expect("connections are taken");
        eprintln!("who called a thousand times");
        wait_for_alert(&mut leecher, &address(20).to_string(), left, &["too many connections"]);

        let _seeder = bench.seeder(&["--peer", &format!("127.0.0.1:{port}")]);
        leecher.wait_for_event("finished");
        bench.check();
    });
}

#[test]
fn trackers_that_misbehave() {
    isolated(env!("CARGO_TARGET_TMPDIR"), LIMIT, || {
        // The liar last: whoever answers is the one that is asked from then on.
        trackers(&[
            (RogueTracker::Down, &["refused"]),
            (RogueTracker::WebPage, &["bencode"]),
            (RogueTracker::NotHttp, &["HTTP"]),
            (RogueTracker::Endless, &["too long"]),
            (RogueTracker::EndlessHeader, &["header"]),
            (RogueTracker::Redirects, &["redirect"]),
            (RogueTracker::Lying, &[]),
        ]);
    });
}

#[test]
fn a_tracker_that_is_slow() {
    isolated(env!("CARGO_TARGET_TMPDIR"), LIMIT, || trackers(&[(RogueTracker::Slow, &["time", "long"])]));
}

#[test]
fn a_tracker_that_answers_other_questions() {
    isolated(env!("CARGO_TARGET_TMPDIR"), LIMIT, || {
        trackers(&[(RogueTracker::WrongTransaction, &["answer"])]);
    });
}

/// A download with these trackers, each in a tier of its own: it finishes, and an alert about each says one of the
/// words. No words stand for an answer that is taken.
fn trackers(rogues: &[(RogueTracker, &[&str])]) {
    let running: Vec<_> = rogues.iter().map(|(rogue, _)| rogue.listen(Ipv4Addr::LOCALHOST)).collect();
    let urls: Vec<String> = running.iter().map(|tracker| tracker.url.clone()).collect();
    let bench = Bench::new(&urls);
    let mut seeder = bench.seeder(&[]);
    let mut leecher = bench.get(&[format!("127.0.0.1:{}", seeder.port())]);
    leecher.wait_for_event("finished");
    bench.check();
    for ((rogue, why), tracker) in rogues.iter().zip(&running) {
        eprintln!("{rogue:?} at {}", tracker.url);
        match why {
            [] => wait_for_alert(&mut leecher, &tracker.url, &["tracker_reply"], &[]),
            why => wait_for_alert(&mut leecher, &tracker.url, &["tracker_error"], why),
        }
        // A redirect is followed a few times; nobody is asked in a loop.
        assert!(tracker.requests() < 20, "{rogue:?} was asked {} times", tracker.requests());
    }
}
