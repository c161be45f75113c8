//! The invariants of the house that the compiler does not keep: who may use whom, and what pure code may name.

#![forbid(unsafe_code)]

mod graph;
mod rules;
mod scan;

use std::path::{Path, PathBuf};
use std::process::Command;

use graph::Graph;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in the workspace")
}

fn workspace() -> Graph {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--all-features"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Graph::from_metadata(&serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON"))
}

#[test]
fn arrows_go_down_only() {
    let breaches = workspace().forbidden_arrows();
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn pure_crates_reach_no_runtime_socket_clock_or_randomness() {
    let graph = workspace();
    for name in rules::PURE {
        assert!(graph.has_member(name), "{name} is not in the workspace: mend rules.rs");
    }
    let breaches = graph.forbidden_reach();
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn pure_sources_name_no_socket_clock_thread_file_or_random_map() {
    let mut breaches = Vec::new();
    for name in rules::PURE {
        let folder = name.strip_prefix("downpour-").expect("the name of a crate");
        let files = sources(&root().join(folder).join("src"));
        assert!(!files.is_empty(), "{name} has no sources");
        for file in files {
            let source = std::fs::read_to_string(&file).expect("a readable source");
            for breach in scan::breaches(&source, rules::may_use_files(name)) {
                breaches.push(format!("{}: {breach}", file.display()));
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
