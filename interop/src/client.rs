//! The clients under one face: what a matrix of transfers needs of each.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::aria2::Aria2;
use crate::libtorrent::Libtorrent;
use crate::network::Host;
use crate::ours::Ours;
use crate::transmission::Transmission;
use crate::{Lab, Tool};

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// Ours.
    Downpour,
    /// libtorrent by its Python binding.
    Libtorrent,
    /// aria2.
    Aria2,
    /// Transmission's daemon.
    Transmission,
}

impl ClientKind {
    /// What must be installed.
    #[must_use]
    pub fn tool(self) -> Tool {
        match self {
            Self::Aria2 => Tool::Aria2,
            Self::Transmission => Tool::Transmission,
            // Our torrents are partly made by it.
            Self::Downpour | Self::Libtorrent => Tool::Libtorrent,
        }
    }
}

/// What a client starts with.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// Where it runs.
    pub host: &'a Host,
    /// What it seeds or downloads; names the tracker.
    pub torrent: &'a Path,
    /// The folder that holds, or will hold, the content.
    pub folder: &'a Path,
    /// Whether the content is there already.
    pub seeds: bool,
    /// Bytes a second that it may send; honoured by libtorrent only.
    pub upload_limit: Option<u64>,
}

/// How a client is doing.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Whether it has everything.
    pub complete: bool,
    /// Payload that it had from others, by its own counters. Where a client tells only rates, they are summed up over
    /// time. Empty for us.
    pub received: BTreeMap<IpAddr, u64>,
}

/// A running client.
pub trait Client {
    /// Looks how it is doing.
    fn poll(&mut self) -> Progress;

    /// Ends it cleanly: after that its files are whole.
    fn stop(&mut self);
}

/// Starts a client.
///
/// # Panics
/// If it does not start.
#[must_use]
pub fn start(lab: &Lab, kind: ClientKind, job: &Job<'_>) -> Box<dyn Client> {
    match kind {
        ClientKind::Downpour => Box::new(Ours::start(lab, job)),
        ClientKind::Libtorrent => Box::new(Libtorrent::start(lab, job)),
        ClientKind::Aria2 => Box::new(Aria2::start(lab, job)),
        ClientKind::Transmission => Box::new(Transmission::start(lab, job)),
    }
}

/// Waits until all are complete, and returns how they are doing then.
///
/// # Panics
/// If that takes longer than `limit`.
pub fn wait_for_all(clients: &mut [(ClientKind, Box<dyn Client>)], limit: Duration) -> Vec<Progress> {
    let deadline = Instant::now() + limit;
    loop {
        let progress: Vec<Progress> = clients.iter_mut().map(|(_, client)| client.poll()).collect();
        if progress.iter().all(|progress| progress.complete) {
            return progress;
        }
        let state: Vec<_> =
            clients.iter().zip(&progress).map(|((kind, _), progress)| (kind, progress)).collect();
        assert!(Instant::now() < deadline, "not all are complete: {state:#?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
