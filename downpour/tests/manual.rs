//! `completions` and `man`: they know every command and its options.

mod common;

use common::{failure, succeed};

const COMMANDS: [&str; 10] =
    ["get", "seed", "create", "show", "tracker", "verify", "demo", "completions", "man", "replay"];

#[test]
fn the_manual_page_has_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let page = succeed(folder.path(), &["man"]);
    assert!(page.lines().any(|line| line.starts_with(".TH downpour 1")), "{page}");
    for command in COMMANDS {
        assert!(page.contains(&format!(".SH \"DOWNPOUR {}\"", command.to_uppercase())), "{command}");
    }
    assert!(page.contains("seed\\-ratio") && page.contains("piece\\-size"));
}

#[test]
fn completions_know_every_command_and_its_options() {
    let folder = tempfile::tempdir().unwrap();
    for (shell, seed_ratio) in [
        ("bash", "--seed-ratio"),
        ("zsh", "--seed-ratio"),
        ("fish", "seed-ratio"),
        ("powershell", "--seed-ratio"),
    ] {
        let script = succeed(folder.path(), &["completions", shell]);
        for word in COMMANDS.into_iter().chain([seed_ratio]) {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
    assert!(failure(folder.path(), &["completions", "dos"]).contains("bash"));
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let mut child =
        common::program(folder.path()).arg("man").stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}
