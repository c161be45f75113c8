//! `downpour seed`.

use downpour_engine::{AddTorrent, Settings};

use super::get::{absolute, follow};
use super::{read_torrent, start};
use crate::cli::Seed;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::report::Report;

pub(crate) fn run(options: &Seed) -> Result<(), Failure> {
    let (torrent, metainfo) = read_torrent(&options.torrent)?;
    let path = absolute(&options.path)?;
    if !path.exists() {
        return Err(Failure::of(&path, "no such file or folder"));
    }
    // The content itself, or the folder that it is in.
    let inside = path.join(metainfo.info.name()).exists();
    let root = match path.parent() {
        Some(parent) if !inside && path.ends_with(metainfo.info.name()) => parent.to_owned(),
        _ => path,
    };
    let interrupt = Interrupt::install()?;
    let session = start(&options.node, Settings::default())?;
    let add = AddTorrent::new(torrent, root).peers(options.peers.iter().copied());
    let handle = session.add_torrent(add).map_err(|error| Failure::of(&options.torrent, error))?;
    let mut report = Report::new(&handle, options.node.json);
    for address in session.listen_addresses() {
        report.say(&format!("listening on {address}"));
    }
    let result = follow(&session, &handle, &mut report, &interrupt, false);
    session.shutdown_blocking();
    result
}
