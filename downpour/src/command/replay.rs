//! `downpour replay`.

use std::fs::File;
use std::io::{BufRead, BufReader};

use downpour_swarm::replay;

use crate::cli::Replay;
use crate::failure::Failure;
use crate::text::print_line;

pub(crate) fn run(options: &Replay) -> Result<(), Failure> {
    let file = File::open(&options.recording)
        .map_err(|error| Failure::of(&options.recording, format!("cannot read the recording: {error}")))?;
    // A line that cannot be read is a damaged one, and the replay says which.
    let lines = BufReader::new(file).lines().map(|line| line.unwrap_or_default());
    let report = replay(lines).map_err(|error| Failure::of(&options.recording, error))?;
    print_line(format_args!("{} calls replayed, {} outputs identical", report.calls, report.compared));
    Ok(())
}
