//! Developer commands: `cargo xtask test` here and in continuous integration.

#![forbid(unsafe_code)]

mod command;
mod setup;
mod steps;
mod workspace;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Developer commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run everything that must pass: format, lints, tests, documents, examples, fuzzers, licences, packages
    Test(Test),
}

#[derive(Debug, Args)]
struct Test {
    /// First install what the tests need; lists it and asks
    #[arg(long)]
    setup: bool,
    /// Do not ask
    #[arg(long, requires = "setup")]
    yes: bool,
    /// Also run the long tests
    #[arg(long)]
    full: bool,
}

fn main() -> ExitCode {
    let Task::Test(options) = Cli::parse().task;
    let result = workspace::Workspace::load().and_then(|workspace| {
        if options.setup {
            setup::run(&workspace, options.yes)?;
        }
        steps::run(&workspace, options.setup, options.full)
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("\nxtask: {message}");
            ExitCode::FAILURE
        }
    }
}
