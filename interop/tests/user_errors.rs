//! What the user can mend gets one line that says what, where and what to do, and an exit code that is not zero.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use downpour_interop::{Lab, Process, Signal, is_root, isolated, make_file, make_tree, run, sums};

const LIMIT: Duration = Duration::from_secs(120);
/// Of one command, in seconds: those that would wait for peers must find out before.
const PATIENCE: &str = "20";

/// A torrent of one file with a seeder for it.
struct Bench {
    lab: Lab,
    content: PathBuf,
    torrent: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let lab = Lab::with(env!("CARGO_TARGET_TMPDIR"), &[]).expect("no tool is needed");
        let (content, torrent) = (lab.folder("content").join("file.bin"), lab.path("file.torrent"));
        make_file(&content, (12 << 20) + 5);
        lab.create(&content, &torrent);
        Self { lab, content, torrent }
    }

    /// A seeder, and where it is.
    fn seeder(&self) -> (Process, String) {
        let (seeder, port) = self.seeder_port();
        (seeder, format!("127.0.0.1:{port}"))
    }

    fn seeder_port(&self) -> (Process, u16) {
        let mut seeder = self.lab.seed(&self.torrent, &self.content, &["--port", "0"]);
        let port = seeder.port();
        (seeder, port)
    }

    fn downpour(&self, words: &[&str]) -> Command {
        let mut command = self.lab.downpour("user", words[0]);
        command.args(&words[1..]);
        command
    }

    /// Runs `words` and checks that it fails with one line that names `place` and says all of `says`.
    fn fails(&self, words: &[&str], place: &Path, says: &[&str]) {
        fails(&self.downpour(words), place, says);
    }
}

fn fails(command: &Command, place: &Path, says: &[&str]) {
    let mut bounded = Command::new("timeout");
    bounded.arg(PATIENCE).arg(command.get_program()).args(command.get_args());
    bounded.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = bounded.output().expect("timeout is in every Linux");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{command:?} succeeds");
    // 101 is a panic, 124 is out of time.
    assert_eq!(output.status.code(), Some(1), "{command:?}: {text}");
    assert_eq!(text.lines().count(), 1, "{command:?}: not one line:\n{text}");
    assert!(
        text.contains(&*place.to_string_lossy()),
        "{command:?}: does not name {}: {text}",
        place.display()
    );
    for part in says {
        assert!(text.contains(part), "{command:?}: does not say {part:?}: {text}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the lab is in a folder with a plain name")
}

/// Runs a command without root's right to pass over permissions.
fn without_rights(command: &Command) -> Command {
    let mut weak = Command::new("setpriv");
    if is_root() {
        weak.args(["--bounding-set=-dac_override,-dac_read_search"]);
    }
    weak.arg(command.get_program()).args(command.get_args());
    weak.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    weak
}

#[test]
fn files_that_are_no_torrents() {
    let bench = Bench::new();
    let whole = std::fs::read(&bench.torrent).expect("a torrent");
    let files: [(&str, &[u8]); 3] = [
        ("text.torrent", b"<html>404 Not Found</html>"),
        ("empty.torrent", b""),
        ("truncated.torrent", &whole[..whole.len() / 2]),
    ];
    for (name, bytes) in files {
        let path = bench.lab.path(name);
        std::fs::write(&path, bytes).expect("a file");
        for command in ["show", "get"] {
            bench.fails(&[command, text(&path)], &path, &["not a usable torrent", "copy"]);
        }
        bench.fails(&["seed", text(&path), text(&bench.content)], &path, &["not a usable torrent", "copy"]);
    }
}

#[test]
fn every_bad_vector() {
    let mut above =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|path| path.join("shared/vectors/torrents"));
    let Some(folder) = above.find(|path| path.exists()) else {
        eprintln!("SKIPPED: there is no shared/vectors/torrents beside the repository");
        return;
    };
    let table = std::fs::read_to_string(folder.join("expected.tsv")).expect("what is expected");
    let bench = Bench::new();
    let bad =
        table.lines().skip(1).filter(|line| line.split('\t').nth(3).is_some_and(|e| e.starts_with("fail")));
    let mut seen = 0;
    for line in bad {
        let path = folder.join(line.split('\t').next().expect("a name"));
        bench.fails(&["show", text(&path)], &path, &["not a usable torrent"]);
        bench.fails(&["get", text(&path)], &path, &["not a usable torrent"]);
        seen += 1;
    }
    assert!(seen > 20, "only {seen} bad vectors");
}

#[test]
fn what_is_not_there() {
    let bench = Bench::new();
    let (nothing, torrent) = (bench.lab.path("nothing"), text(&bench.torrent));
    for words in [&["show", text(&nothing)][..], &["get", text(&nothing)], &["seed", text(&nothing), "."]] {
        bench.fails(words, &nothing, &["No such file", "check the path"]);
    }
    bench.fails(&["seed", torrent, text(&nothing)], &nothing, &["no such file or folder", "check the path"]);
    bench.fails(&["create", text(&nothing)], &nothing, &["No such file", "check the path"]);
    let output = nothing.join("out.torrent");
    bench.fails(
        &["create", text(&bench.content), "--output", text(&output)],
        &output,
        &["cannot write", "check the path"],
    );
}

#[test]
fn what_is_in_the_way() {
    let bench = Bench::new();
    let (_seeder, peer) = bench.seeder();
    let torrent = text(&bench.torrent);
    let folder = bench.lab.folder("folder");
    bench.fails(&["show", text(&folder)], &folder, &["directory", "name a file"]);
    bench.fails(&["get", text(&folder)], &folder, &["directory", "name a file"]);

    // A file in place of the folder to download to.
    let file = bench.lab.path("file");
    std::fs::write(&file, "mine").expect("a file");
    bench.fails(
        &["get", torrent, "--output", text(&file), "--peer", &peer],
        &file,
        &["choose one with --output"],
    );
    assert_eq!(std::fs::read(&file).expect("it is still there"), b"mine");

    // A folder in place of the file to download.
    let place = folder.join("file.bin");
    std::fs::create_dir(&place).expect("a folder");
    bench.fails(
        &["get", torrent, "--output", text(&folder), "--peer", &peer],
        &place,
        &["move what is in the way"],
    );
    bench.fails(&["seed", torrent, text(&folder)], &place, &["move what is in the way"]);

    // A file in place of a folder of the torrent.
    let (tree, tree_torrent) = (bench.lab.path("tree"), bench.lab.path("tree.torrent"));
    make_tree(&tree, 20);
    bench.lab.create(&tree, &tree_torrent);
    let mut seeder = bench.lab.seed(&tree_torrent, &tree, &["--port", "0"]);
    let peer = format!("127.0.0.1:{}", seeder.port());
    let place = folder.join("tree");
    std::fs::write(&place, "mine").expect("a file");
    let words = ["get", text(&tree_torrent), "--output", text(&folder), "--peer", &peer];
    bench.fails(&words, &place, &["move what is in the way"]);
    assert_eq!(std::fs::read(&place).expect("it is still there"), b"mine");

    // A torrent that is there already.
    let before = std::fs::read(&bench.torrent).expect("a torrent");
    bench.fails(
        &["create", text(&bench.content), "--output", torrent],
        &bench.torrent,
        &["exists already", "--output"],
    );
    assert_eq!(std::fs::read(&bench.torrent).expect("a torrent"), before);
}

#[test]
fn a_port_that_is_taken() {
    let bench = Bench::new();
    let other = TcpListener::bind(("0.0.0.0", 0)).expect("a port");
    let port = other.local_addr().expect("a port").port().to_string();
    let place = format!("0.0.0.0:{port}");
    let says = ["choose a different one"];
    bench.fails(&["get", text(&bench.torrent), "--port", &port], Path::new(&place), &says);
    bench.fails(
        &["seed", text(&bench.torrent), text(&bench.content), "--port", &port],
        Path::new(&place),
        &says,
    );
}

#[test]
fn files_and_folders_without_permission() {
    let bench = Bench::new();
    let (_seeder, peer) = bench.seeder();
    let torrent = text(&bench.torrent);
    let closed = bench.lab.path("closed.torrent");
    std::fs::copy(&bench.torrent, &closed).expect("a copy");
    let locked = bench.lab.folder("locked");
    for (path, mode) in [(&closed, 0o000), (&locked, 0o555)] {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
    }
    let refused = |words: &[&str], place: &Path| {
        fails(&without_rights(&bench.downpour(words)), place, &["Permission denied", "permissions"]);
    };
    refused(&["show", text(&closed)], &closed);
    refused(&["get", text(&closed)], &closed);
    refused(&["get", torrent, "--output", text(&locked), "--peer", &peer], &locked);
    refused(&["get", torrent, "--output", text(&locked.join("inner")), "--peer", &peer], &locked);
    let output = locked.join("new.torrent");
    refused(&["create", text(&bench.content), "--output", text(&output)], &output);
    refused(&["create", text(&closed), "--output", text(&bench.lab.path("x.torrent"))], &closed);
    // The content itself: nothing is served that cannot be read.
    std::fs::set_permissions(&bench.content, Permissions::from_mode(0o000)).expect("it is ours");
    refused(&["seed", torrent, text(&bench.content)], &bench.content);
}

#[test]
fn too_few_file_handles() {
    let bench = Bench::new();
    let (_seeder, peer) = bench.seeder();
    let output = bench.lab.folder("output");
    let get = ["get", text(&bench.torrent), "--output", text(&output), "--peer", &peer, "--exit-when-done"];
    let limited = |handles: u32| {
        let command = bench.downpour(&get);
        let mut limited = Command::new("prlimit");
        limited.arg(format!("--nofile={handles}")).arg(command.get_program()).args(command.get_args());
        limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        limited
    };
    for handles in [4, 8, 12, 16] {
        fails(&limited(handles), Path::new("file handles"), &["ulimit -n"]);
    }
    // What is little, but enough, is enough.
    assert!(limited(64).status().expect("prlimit is in every Linux").success());
    assert_eq!(sums(&output.join("file.bin")), sums(&bench.content));
}

#[test]
fn a_disk_that_is_read_only() {
    isolated(env!("CARGO_TARGET_TMPDIR"), LIMIT, || {
        let bench = Bench::new();
        let (_seeder, peer) = bench.seeder();
        let disk = bench.lab.folder("disk");
        run(&format!("mount -t tmpfs -o ro none {}", disk.display()));
        let says = ["Read-only file system", "can be written to"];
        bench.fails(&["get", text(&bench.torrent), "--output", text(&disk), "--peer", &peer], &disk, &says);
        let output = disk.join("x.torrent");
        bench.fails(&["create", text(&bench.content), "--output", text(&output)], &output, &says);
        // Serving needs to write nothing.
        run(&format!("mount -o remount,rw none {}", disk.display()));
        std::fs::copy(&bench.content, disk.join("file.bin")).expect("a copy");
        run(&format!("mount -o remount,ro none {}", disk.display()));
        let mut seeder = bench.lab.seed(&bench.torrent, &disk, &["--port", "0"]);
        seeder
            .wait_for("complete content", |line| line["event"] == "checked" && line["good"] == line["total"]);
        seeder.signal(Signal::Interrupt);
        assert!(seeder.wait().success());
    });
}

#[test]
fn a_full_disk_pauses_a_download_until_there_is_space() {
    isolated(env!("CARGO_TARGET_TMPDIR"), LIMIT, || {
        let bench = Bench::new();
        let (_seeder, port) = bench.seeder_port();
        let disk = bench.lab.folder("disk");
        run(&format!("mount -t tmpfs -o size=4m none {}", disk.display()));
        let mut leecher = bench.lab.get("leecher", &bench.torrent, &disk, port, &["--exit-when-done"]);
        let alert = leecher.wait_for_event("disk_error");
        assert_eq!(alert["disk_full"], true, "{alert}");
        leecher.wait_for("pause", |line| line["state"] == "disk_full");
        run(&format!("mount -o remount,size=64m none {}", disk.display()));
        leecher.wait_for_event("finished");
        assert!(leecher.wait().success());
        assert_eq!(sums(&disk.join("file.bin")), sums(&bench.content));
    });
}
