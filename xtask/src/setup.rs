//! `--setup`: installs what the tests need and is not there yet.

use std::io::Write;
use std::path::Path;

use crate::command::Line;
use crate::workspace::Workspace;

const LIBTORRENT: &str = "2.1.1";
const BITTORRENT_TRACKER: &str = "11.2.3";
/// Cargo's subcommands, with the versions that are installed where there is none.
const TOOLS: [(&str, &str); 2] = [("cargo-fuzz", "0.13.2"), ("cargo-deny", "0.20.2")];
/// Debian packages, and what shows that they are there.
const PACKAGES: [(&str, &[&str]); 10] = [
    ("g++", &["c++", "--version"]),
    ("aria2", &["aria2c", "--version"]),
    ("iproute2", &["ip", "-Version"]),
    ("nodejs", &["node", "--version"]),
    ("npm", &["npm", "--version"]),
    // It has no option that only says something.
    ("opentracker", &["test", "-x", "/usr/bin/opentracker"]),
    ("python3", &["python3", "--version"]),
    ("python3-venv", &["python3", "-c", "import ensurepip, venv"]),
    ("strace", &["strace", "--version"]),
    ("transmission-daemon", &["transmission-daemon", "--version"]),
];

/// Lists what is missing, asks unless `yes`, and installs it.
pub(crate) fn run(workspace: &Workspace, yes: bool) -> Result<(), String> {
    let todo = missing(workspace)?;
    if todo.is_empty() {
        println!("set-up: everything is there");
        return Ok(());
    }
    println!("set-up needs to run:");
    todo.iter().for_each(|line| println!("  {line}"));
    if !yes && !agreed()? {
        return Err("nothing was installed".to_owned());
    }
    for line in &todo {
        println!("\n=== set-up: {line}");
        line.run().map_err(|reason| format!("set-up failed ({reason}); repeat it with:\n  {line}"))?;
    }
    Ok(())
}

fn missing(workspace: &Workspace) -> Result<Vec<Line>, String> {
    let line = |text: &str| Line::new(&workspace.root, text);
    let mut todo = Vec::new();

    let packages: Vec<&str> = PACKAGES
        .iter()
        .filter(|(_, probe)| !probe.iter().fold(line(""), |line, word| line.word(*word)).succeeds())
        .map(|(package, _)| *package)
        .collect();
    if !packages.is_empty() {
        let packages = packages.join(" ");
        let root = line("id -u").output().is_some_and(|user| user.trim() == "0");
        let sudo = match root {
            true => "",
            false if line("sudo --version").succeeds() => "sudo ",
            false => {
                return Err(format!(
                    "not root, and there is no sudo: install these Debian packages: {packages}"
                ));
            }
        };
        todo.push(line(&format!("{sudo}apt-get update")));
        let install = format!("{sudo}apt-get install --yes --no-install-recommends {packages}");
        todo.push(line(&install).variable("DEBIAN_FRONTEND", "noninteractive"));
    }

    for (tool, version) in TOOLS {
        if !line(&format!("{tool} --version")).succeeds() {
            todo.push(line(&format!("cargo install {tool} --version {version} --locked")));
        }
    }

    let venv = workspace.target.join("venv");
    let python = venv.join("bin/python");
    let found = Line::new(&workspace.root, "")
        .word(shown(&python))
        .word("-c")
        .word("import libtorrent; print(libtorrent.__version__)")
        .output();
    if found.is_none_or(|version| !version.trim().starts_with(LIBTORRENT)) {
        todo.push(line("python3 -m venv --clear").word(shown(&venv)));
        todo.push(
            line("")
                .word(shown(&python))
                .word("-m")
                .word("pip")
                .word("install")
                .word(format!("libtorrent=={LIBTORRENT}")),
        );
    }

    let tracker = workspace.target.join("npm/node_modules/bittorrent-tracker/package.json");
    let version = format!("\"version\": \"{BITTORRENT_TRACKER}\"");
    if !std::fs::read_to_string(&tracker).is_ok_and(|package| package.contains(&version)) {
        // The tracker needs none of what the scripts of its dependencies would build.
        let install = line("npm install --ignore-scripts --no-audit --no-fund --prefix");
        let install = install.word(shown(&workspace.target.join("npm")));
        todo.push(install.word(format!("bittorrent-tracker@{BITTORRENT_TRACKER}")));
    }
    Ok(todo)
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn agreed() -> Result<bool, String> {
    print!("Go on? [y/N] ");
    let mut answer = String::new();
    std::io::stdout()
        .flush()
        .and_then(|()| std::io::stdin().read_line(&mut answer))
        .map_err(|error| format!("cannot ask: {error}"))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
