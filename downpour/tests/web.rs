//! The program before web servers and as a tracker, on loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

fn downpour(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_downpour"));
    command.current_dir(folder).env("XDG_STATE_HOME", folder.join("state"));
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    downpour(folder).args(arguments).output().unwrap()
}

/// A web server that gives everybody this answer.
fn serve(status: &str, body: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
    thread::spawn(move || {
        while let Ok((mut socket, _)) = listener.accept() {
            let _ = socket.read(&mut [0; 4096]);
            let _ = socket.write_all(&[head.as_bytes(), &body].concat());
        }
    });
    format!("http://{address}/film.torrent")
}

#[test]
fn a_torrent_is_loaded_from_the_web() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("film.bin"), vec![7; 100_000]).unwrap();
    assert!(run(folder.path(), &["create", "film.bin", "-o", "film.torrent"]).status.success());
    let url = serve("200 OK", std::fs::read(folder.path().join("film.torrent")).unwrap());
    let shown = run(folder.path(), &["show", &url]);
    assert!(shown.status.success() && String::from_utf8_lossy(&shown.stdout).contains("film.bin"));
    // All of it is there already.
    let got = run(folder.path(), &["get", &url, "--exit-when-done", "--port", "0"]);
    assert!(got.status.success(), "{}", String::from_utf8_lossy(&got.stderr));
}

#[test]
fn what_is_wrong_on_the_web_is_said_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let secure = serve("200 OK", Vec::new()).replace("http:", "https:");
    for (url, part) in [
        (serve("404 Not Found", Vec::new()), "the server answered 404 Not Found"),
        (serve("200 OK", b"<html>".to_vec()), "not a usable torrent"),
        (format!("http://{free}/"), "refused the connection"),
        (secure, "no secure connection"),
        ("http://".to_owned(), "not a usable URL"),
    ] {
        let output = run(folder.path(), &["get", &url]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains(part) && text.contains(&url), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    let output = run(folder.path(), &["get", "http://127.0.0.1:1/", "--cacert", "nowhere.pem"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && text.contains("nowhere.pem: cannot read the certificates"), "{text}");
}

/// Ended when the test is.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_tracker_says_where_it_is_and_stops_when_it_is_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("list"), "a".repeat(40)).unwrap();
    let arguments = ["tracker", "--listen", "127.0.0.1:0", "--whitelist", "list", "--json"];
    let child = downpour(folder.path()).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut child = Running(child);
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut event = |name: &str| {
        let found = lines.find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            (line["event"] == name).then_some(line)
        });
        found.unwrap_or_else(|| panic!("ended before {name}"))
    };
    let address: SocketAddr = event("listening")["address"].as_str().unwrap().parse().unwrap();
    assert_eq!(event("whitelist")["swarms"], 1);
    let ask = |target: &str| {
        let mut socket = TcpStream::connect(address).unwrap();
        write!(socket, "GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask("/stats?json").contains("\"swarms\":0"));
    let listed = "%aa".repeat(20);
    let announce = |hash: &str| {
        ask(&format!(
            "/announce?info_hash={hash}&peer_id={}&port=1&uploaded=0&downloaded=0&left=0",
            "x".repeat(20)
        ))
    };
    assert!(announce(&listed).contains("8:interval"), "{}", announce(&listed));
    assert!(announce(&"%bb".repeat(20)).contains("failure reason"));
    std::fs::write(folder.path().join("list"), format!("{}\n{}", "a".repeat(40), "b".repeat(40))).unwrap();
    assert_eq!(event("whitelist")["swarms"], 2);
    assert!(announce(&"%bb".repeat(20)).contains("8:interval"));
    std::fs::write(folder.path().join("list"), "nonsense").unwrap();
    assert!(event("whitelist_kept")["reason"].as_str().unwrap().contains("list: line 1"));
    assert!(announce(&listed).contains("8:interval"));
    if cfg!(unix) {
        let pid = child.0.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        assert!(child.0.wait().unwrap().success());
    }
}
