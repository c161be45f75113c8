//! A test in a world of its own: network, mounts and processes that nobody else sees and that end with it.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::lab::build;
use crate::network::run;
use crate::tools;

/// Set in the process that runs a test in its own namespaces: to the folder that goes with the test.
pub(crate) const INSIDE: &str = "DOWNPOUR_ISOLATED";

/// The namespaces: the network for addresses that each client has alone, the mounts for small and read-only disks, the
/// processes so that none outlives the test.
const UNSHARE: [&str; 6] = ["--net", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child"];

/// Runs `test`, the body of the test function that calls this, in a new process with namespaces of its own. They need
/// no names and no clean-up: they go with their last process, and that goes with the test, even when it is killed.
/// Says `SKIPPED` where the system does not permit namespaces. `parent` is cargo's folder for the files of tests.
///
/// # Panics
/// If the test fails or is not over after `limit`, with all that it and its clients wrote; or if namespaces must be
/// there and are not.
pub fn isolated<F: FnOnce()>(parent: &str, limit: Duration, test: F) {
    if std::env::var_os(INSIDE).is_some() {
        run("ip link set lo up");
        return test();
    }
    let permitted = unshare()
        .args(["ip", "link"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !tools::need(
        permitted,
        "no network namespaces here: they need iproute2, and root or the right to make them",
    ) {
        return;
    }
    // Building takes its time, which is not the test's.
    build(Path::new(parent).parent().expect("a folder in the target folder"));
    let name = test_name::<F>();
    // Ours, since the test may be killed.
    let folder = TempDir::new_in(parent).expect("a folder for the test");
    let program = std::env::current_exe().expect("the path of this test");
    let mut command = unshare();
    command
        .arg(program)
        .args(["--exact", &name, "--nocapture", "--test-threads=1"])
        .env(INSIDE, folder.path());
    let (ended, output) = bounded(command, limit);
    let passed = ended && output.contains("1 passed; 0 failed");
    assert!(passed, "{name} {}\n{output}", if ended { "failed" } else { "took too long" });
    // What a test has to say stays visible.
    for line in output.lines().filter(|line| line.starts_with("SKIPPED") || line.starts_with("FIGURES")) {
        println!("{line}");
    }
}

fn unshare() -> Command {
    // If this process is killed, so is the one that waits for the test, and with it the test.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare"]).args(UNSHARE);
    if !tools::is_root() {
        command.arg("--map-root-user");
    }
    command
}

/// The name of the function around a closure, as the test harness knows it.
fn test_name<F>() -> String {
    let path = std::any::type_name::<F>().trim_end_matches("::{{closure}}");
    path.split_once("::").map_or(path, |(_crate, name)| name).to_owned()
}

/// Whether it ended by itself, and what it wrote.
fn bounded(mut command: Command, limit: Duration) -> (bool, String) {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    command.stdin(Stdio::null()).stdout(writer.try_clone().expect("a pipe")).stderr(writer);
    let mut child = command.spawn().expect("unshare is in every Linux");
    // Its ends of the pipe must not stay open here.
    drop(command);
    let output = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is what there is to show.
        let _ = reader.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let ended = wait(&mut child, limit);
    (ended, output.join().expect("a reader does not panic"))
}

fn wait(child: &mut Child, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if child.try_wait().expect("it can be waited for").is_some() {
            return true;
        }
        if Instant::now() > deadline {
            child.kill().expect("it can be killed");
            child.wait().expect("it can be waited for");
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
