//! A whole downloader: `downloader FILE.torrent FOLDER PEER`. Without arguments it seeds a file of its own to itself.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use downpour_engine::{AddTorrent, AlertKind, Config, Session};
use downpour_metainfo::Builder;
use downpour_storage::sha1;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let scratch = tempfile::tempdir()?;
    let loopback: Vec<SocketAddr> = vec!["127.0.0.1:0".parse()?];
    let seeder = Session::start(Config { listen: loopback.clone(), ..Config::default() })?;
    let (torrent, folder, peer) = match &arguments[..] {
        [torrent, folder, peer] => (std::fs::read(torrent)?, PathBuf::from(folder), peer.parse()?),
        _ => {
            let content = vec![42; 3 << 20];
            std::fs::write(scratch.path().join("sample.bin"), &content)?;
            let mut creation = Builder::file("sample.bin", content.len() as u64).create()?;
            let piece_length = creation.layout().piece_length() as usize;
            for (piece, bytes) in (0..).zip(content.chunks(piece_length)) {
                creation.set_piece_hash(piece, sha1([bytes]))?;
            }
            let torrent = creation.finish()?;
            seeder.add_torrent(AddTorrent::new(torrent.clone(), scratch.path()))?;
            (torrent, scratch.path().join("copy"), seeder.listen_addresses()[0])
        }
    };

    let session = Session::start(Config { listen: loopback, ..Config::default() })?;
    let handle = session.add_torrent(AddTorrent::new(torrent, folder).peers([peer]))?;
    while !handle.status().finished {
        if let Some(alert) = session.next_alert_blocking(Duration::from_millis(200)) {
            match alert.kind {
                AlertKind::PieceFinished { .. } => {}
                AlertKind::DiskError(failure) => return Err(failure.message.into()),
                kind => println!("{kind:?}"),
            }
        }
    }
    let status = handle.status();
    println!(
        "{}: {} pieces, {} bytes received",
        handle.info_hash(),
        status.pieces_have,
        status.downloaded_bytes
    );
    session.shutdown_blocking();
    Ok(())
}
