//! Whole transfers between aria2 and our program, in both directions.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use downpour_interop::{Lab, make_file, make_tree, sums};

/// aria2 with one torrent; killed when this is dropped.
struct Aria2(Child);

impl Aria2 {
    fn start(torrent: &Path, folder: &Path, port: u16) -> Self {
        let child = Command::new("aria2c")
            .args(["--quiet", "--no-conf", "--enable-dht=false", "--enable-peer-exchange=false"])
            .args(["--bt-enable-lpd=false", "--bt-require-crypto=false", "--seed-ratio=0.0"])
            .args([
                "--check-integrity=true",
                "--file-allocation=none",
                "--disk-cache=0",
                "--disable-ipv6=true",
            ])
            .arg(format!("--listen-port={port}"))
            // It ends with the test even if that is killed.
            .arg(format!("--stop-with-process={}", std::process::id()))
            .arg("--dir")
            .arg(folder)
            .arg(torrent)
            .stdout(Stdio::null())
            .spawn()
            .expect("aria2 starts: `cargo xtask test --setup` installs it");
        let aria2 = Self(child);
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(Instant::now() < deadline, "aria2 does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        aria2
    }
}

impl Drop for Aria2 {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that was free a moment ago: aria2 does not tell which it took.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("a port").port()
}

#[test]
fn a_tree_from_aria2() {
    let Some(lab) = Lab::open(env!("CARGO_TARGET_TMPDIR")) else { return };
    let (content, torrent) = (lab.folder("seeder").join("tree"), lab.path("tree.torrent"));
    make_tree(&content, 300);
    lab.create(&content, &torrent);
    let port = free_port();
    let _seeder = Aria2::start(&torrent, &lab.folder("seeder"), port);
    let output = lab.folder("leecher");
    let mut leecher = lab.get("leecher", &torrent, &output, port, &["--exit-when-done"]);
    leecher.wait_for_event("finished");
    assert!(leecher.wait().success());
    assert_eq!(sums(&output.join("tree")), sums(&content));
}

#[test]
fn a_file_to_aria2() {
    let Some(lab) = Lab::open(env!("CARGO_TARGET_TMPDIR")) else { return };
    let (content, torrent) = (lab.folder("seeder").join("file.bin"), lab.path("file.torrent"));
    let length = (32 << 20) + 99;
    make_file(&content, length);
    lab.create(&content, &torrent);
    let port = free_port();
    let output = lab.folder("leecher");
    let _leecher = Aria2::start(&torrent, &output, port);
    // aria2 takes no peer by address, so we call it.
    let mut seeder = lab.seed(&torrent, &content, &["--peer", &format!("127.0.0.1:{port}")]);
    // aria2 closes a connection between two seeds: then it has verified everything.
    seeder.wait_for("upload and an end", |line| {
        line["uploaded_bytes"].as_u64().is_some_and(|sent| sent >= length) && line["peers"] == 0
    });
    assert_eq!(sums(&output.join("file.bin")), sums(&content));
}
