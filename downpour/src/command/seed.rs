//! `downpour seed`.

use downpour_engine::{AddTorrent, Settings};

use super::get::follow;
use super::{content_folder, load, start};
use crate::cli::Seed;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::report::Report;
use crate::text::printable;

pub(crate) fn run(options: &Seed) -> Result<(), Failure> {
    let (torrent, metainfo) = load::torrent(&options.torrent, &options.node.trusted()?)?;
    let root = content_folder(&options.path, &metainfo)?;
    // Else it would be downloaded.
    let name = metainfo.info.name();
    if !root.join(name).exists() {
        let reason =
            format!("does not hold `{}`, which the torrent is of: `get` downloads it", printable(name));
        return Err(Failure::of(&options.path, reason));
    }
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
