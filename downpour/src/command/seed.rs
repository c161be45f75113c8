//! `downpour seed`.

use downpour_engine::{AddTorrent, Settings};

use super::get::follow;
use super::{content_folder, load, start};
use crate::cli::Seed;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::report::Report;

pub(crate) fn run(options: &Seed) -> Result<(), Failure> {
    let (torrent, metainfo) = load::torrent(&options.torrent, &options.node.trusted()?)?;
    let root = content_folder(&options.path, &metainfo)?;
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
