//! The steps of `cargo xtask test`.

use std::env::consts::EXE_SUFFIX;
use std::time::{Duration, Instant};

use crate::command::Line;
use crate::workspace::Workspace;

/// Each ends by itself; the limit is for one that hangs, also on a machine that does other things.
const EXAMPLE_LIMIT: Duration = Duration::from_secs(300);

/// Runs all steps; the first that fails ends it. After a set-up the tests with foreign clients may not be skipped.
pub(crate) fn run(workspace: &Workspace, set_up: bool, full: bool) -> Result<(), String> {
    let line = |text: &str| Line::new(&workspace.root, text);
    let mut steps = Steps { taken: Vec::new(), notes: Vec::new() };

    steps.take("format", &line("cargo fmt --all --check"))?;
    let clippy = "cargo clippy --workspace --all-targets --all-features -- -D warnings";
    steps.take("lints", &line(clippy))?;
    let mut tests = line("cargo test --workspace --all-features");
    if set_up {
        tests = tests.variable("DOWNPOUR_REQUIRE_INTEROP", "1");
    }
    // Whether a change lands must not hang on the luck of a draw: property tests draw anew in the full run.
    tests = match full {
        true => tests.variable("DOWNPOUR_FULL", "1"),
        false => tests.variable("PROPTEST_RNG_SEED", "1"),
    };
    steps.take("tests", &tests)?;
    let documents = "cargo doc --workspace --all-features --no-deps";
    steps.take("documents", &line(documents).variable("RUSTDOCFLAGS", "-D warnings"))?;

    steps.take("build examples", &line("cargo build --workspace --all-features --examples"))?;
    let built = workspace.target.join("debug/examples");
    for (package, example) in &workspace.examples {
        // What was just built: cargo would build it again, with the features of its package alone.
        let program = built.join(format!("{example}{EXE_SUFFIX}")).display().to_string();
        let run = line("").word(program).limit(EXAMPLE_LIMIT);
        steps.take(&format!("example {package}/{example}"), &run)?;
    }

    if full {
        let many = "cargo run --release --package downpour-engine --example many_torrents -- 10000";
        steps.take("10,000 torrents", &line(many))?;
    }

    if workspace.root.join("fuzz").is_dir() {
        for target in fuzz_targets(workspace)? {
            let fuzz = line(&format!("cargo fuzz run {target} -- -max_total_time=10"));
            steps.take(&format!("fuzz {target}"), &fuzz.folder("fuzz").variable("RUSTC_BOOTSTRAP", "1"))?;
        }
    } else {
        steps.note("SKIPPED fuzzing: there is no folder fuzz/");
    }

    deny(workspace, &mut steps)?;
    forget_packages(workspace);
    steps.take("packages", &line("cargo publish --workspace --dry-run --allow-dirty"))?;
    steps.summary();
    Ok(())
}

/// The names of all fuzz targets, one a file.
fn fuzz_targets(workspace: &Workspace) -> Result<Vec<String>, String> {
    let folder = workspace.root.join("fuzz/fuzz_targets");
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let mut names: Vec<String> =
        paths.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}

/// The other checks need no network; advisories need a database that `cargo deny fetch db` brings, from a place that not
/// every machine can reach.
fn deny(workspace: &Workspace, steps: &mut Steps) -> Result<(), String> {
    let line = |text: &str| Line::new(&workspace.root, text);
    if has_advisory_database() {
        return steps.take("dependencies", &line("cargo deny --offline check"));
    }
    steps.note(
        "NOT CHECKED: advisories, for there is no database on this machine: `cargo deny fetch db` gets it",
    );
    steps.take("dependencies but advisories", &line("cargo deny --offline check bans licenses sources"))
}

/// Whether cargo-deny has its database where it looks for it.
fn has_advisory_database() -> bool {
    let folders = cargo_home().and_then(|cargo| std::fs::read_dir(cargo.join("advisory-dbs")).ok());
    folders.into_iter().flatten().flatten().any(|entry| entry.path().is_dir())
}

/// Where cargo keeps what it fetched.
fn cargo_home() -> Option<std::path::PathBuf> {
    let home = |name| std::env::var_os(name).map(std::path::PathBuf::from);
    home("CARGO_HOME").or_else(|| Some(home("HOME")?.join(".cargo")))
}

/// Removes our own packages that an earlier dry run unpacked and built: cargo knows them by their version, which has not
/// changed, and would build the next ones against yesterday's code. Such registries have no host name before the dash.
fn forget_packages(workspace: &Workspace) {
    let built =
        std::fs::read_dir(workspace.target.join("debug/.fingerprint")).into_iter().flatten().flatten();
    for folder in built.filter(|entry| entry.file_name().to_string_lossy().starts_with("downpour")) {
        let _ = std::fs::remove_dir_all(folder.path());
    }
    let Some(registry) = cargo_home().map(|cargo| cargo.join("registry")) else { return };
    for kind in ["src", "cache"] {
        let registries = std::fs::read_dir(registry.join(kind)).into_iter().flatten().flatten();
        for folder in registries.filter(|entry| entry.file_name().to_string_lossy().starts_with('-')) {
            // One that stays makes the step fail, which says so.
            let _ = std::fs::remove_dir_all(folder.path());
        }
    }
}

struct Steps {
    taken: Vec<(String, Duration)>,
    notes: Vec<String>,
}

impl Steps {
    fn take(&mut self, name: &str, line: &Line) -> Result<(), String> {
        println!("\n=== {name}: {line}");
        let started = Instant::now();
        let result = line.run();
        let time = started.elapsed();
        println!(
            "=== {name}: {} in {:.1} s",
            if result.is_ok() { "ok" } else { "FAILED" },
            time.as_secs_f64()
        );
        self.taken.push((name.to_owned(), time));
        result.map_err(|reason| format!("step \"{name}\" failed ({reason}); repeat it with:\n  {line}"))
    }

    fn note(&mut self, text: &str) {
        println!("=== {text}");
        self.notes.push(text.to_owned());
    }

    fn summary(&self) {
        println!();
        for (name, time) in &self.taken {
            println!("{:>8.1} s  {name}", time.as_secs_f64());
        }
        let total: Duration = self.taken.iter().map(|(_, time)| *time).sum();
        println!("{:>8.1} s  all {} steps passed", total.as_secs_f64(), self.taken.len());
        self.notes.iter().for_each(|note| println!("{note}"));
    }
}
