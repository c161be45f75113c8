//! `downpour`: a BitTorrent client for the command line.

#![forbid(unsafe_code)]

mod cli;
mod command;
mod cores;
mod failure;
mod hashing;
mod interrupt;
mod report;
mod select;
mod text;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let result = match cli.command {
        cli::Command::Get(options) => command::get::run(&options),
        cli::Command::Seed(options) => command::seed::run(&options),
        cli::Command::Create(options) => command::create::run(&options),
        cli::Command::Show(options) => command::show::run(&options),
        cli::Command::Tracker(options) => command::tracker::run(&options),
        cli::Command::Verify(options) => command::verify::run(&options),
        cli::Command::Demo(options) => command::demo::run(&options),
        cli::Command::Completions(options) => command::completions::run(&options),
        cli::Command::Man => command::man::run(),
        cli::Command::Replay(options) => command::replay::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("downpour: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
