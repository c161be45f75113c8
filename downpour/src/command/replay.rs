//! `downpour replay`.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};

use downpour_swarm::replay;

use crate::cli::Replay;
use crate::failure::Failure;
use crate::text::print_line;

pub(crate) fn run(options: &Replay) -> Result<(), Failure> {
    let file = File::open(&options.recording)
        .map_err(|error| Failure::of(&options.recording, format!("cannot read the recording: {error}")))?;
    let mut unreadable = None;
    // A line that is no text is a damaged one, and the replay says which.
    let lines = BufReader::new(file).lines().map(|line| {
        line.unwrap_or_else(|error| {
            if error.kind() != ErrorKind::InvalidData {
                unreadable.get_or_insert(error);
            }
            String::new()
        })
    });
    let report = replay(lines);
    if let Some(error) = unreadable {
        return Err(Failure::of(&options.recording, format!("cannot read the recording: {error}")));
    }
    let report = report.map_err(|error| Failure::of(&options.recording, error))?;
    print_line(format_args!("{} calls replayed, {} outputs identical", report.calls, report.compared));
    Ok(())
}
