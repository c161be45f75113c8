//! How a torrent is doing.

use downpour_base::{Bitfield, ConnectionId, Instant, PeerEndpoint, PeerId};

use downpour_picker::Picker;

use crate::peer::Peer;
use crate::{PeerSource, PeerSources, Swarm, Totals};

/// A snapshot of a torrent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Whether it is paused.
    pub paused: bool,
    /// Whether all that is wanted is had.
    pub finished: bool,
    /// Whether the disk is full: nothing is asked for until there is space.
    pub disk_full: bool,
    /// Pieces that are verified and written.
    pub pieces_have: u32,
    /// Pieces that are wanted and not had.
    pub pieces_missing: u32,
    /// Pieces of the torrent; 0 while the metadata is unknown.
    pub pieces_total: u32,
    /// Payload received, in bytes, bad and unneeded data included.
    pub downloaded_bytes: u64,
    /// Payload sent, in bytes.
    pub uploaded_bytes: u64,
    /// Payload received in vain, in bytes.
    pub wasted_bytes: u64,
    /// Bytes per second.
    pub download_rate: u64,
    /// Bytes per second.
    pub upload_rate: u64,
    /// Connected peers.
    pub peers: u32,
    /// Those of them that have everything.
    pub seeds: u32,
    /// Known peers, connected or not.
    pub candidates: u32,
    /// Bytes of pieces that are started and not stored yet.
    pub memory_bytes: u64,
}

/// A snapshot of one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Under which number it is connected.
    pub connection: ConnectionId,
    /// The other end.
    pub endpoint: PeerEndpoint,
    /// Who told us of it.
    pub sources: PeerSources,
    /// What it calls itself.
    pub peer_id: PeerId,
    /// Its name and version, if it said (BEP 10 `v`).
    pub client: Option<String>,
    /// Pieces that it has.
    pub pieces: u32,
    /// Whether it chokes us.
    pub chokes_us: bool,
    /// Whether it has what we want.
    pub interests_us: bool,
    /// Whether we choke it.
    pub choked: bool,
    /// Whether it wants what we have.
    pub interested: bool,
    /// Whether it keeps us waiting.
    pub snubbed: bool,
    /// Requests in flight to it.
    pub requests: u32,
    /// Whether it had a part in bad data, and gets pieces of its own until it is clear who it was.
    pub on_parole: bool,
    /// Whether we opened the connection.
    pub outgoing: bool,
    /// Its canonical priority (BEP 40).
    pub priority: u32,
    /// What passed in all its connections.
    pub totals: Totals,
    /// Payload received from it in this connection, in bytes.
    pub downloaded_bytes: u64,
    /// Payload sent to it in this connection, in bytes.
    pub uploaded_bytes: u64,
    /// Bytes per second.
    pub download_rate: u64,
    /// Bytes per second.
    pub upload_rate: u64,
}

impl<P> Swarm<P> {
    /// How the torrent is doing. O(peers).
    #[must_use]
    pub fn status(&self, now: Instant) -> Status {
        Status {
            paused: self.paused,
            finished: self.finished,
            disk_full: self.stores.is_disk_full(),
            pieces_have: self.have().map_or(0, Bitfield::count),
            pieces_missing: self.torrent.as_ref().map_or(0, Picker::missing_count),
            pieces_total: self.have().map_or(0, Bitfield::len),
            downloaded_bytes: self.download.rate.total(),
            uploaded_bytes: self.upload.rate.total(),
            wasted_bytes: self.wasted,
            download_rate: self.download.rate.per_second(now),
            upload_rate: self.upload.rate.per_second(now),
            peers: self.peers.len() as u32,
            seeds: self.peers.values().filter(|peer| peer.pieces.count() > 0 && peer.pieces.is_seed()).count()
                as u32,
            candidates: self.candidates.len() as u32,
            memory_bytes: self.torrent.as_ref().map_or(0, Picker::started_bytes),
        }
    }

    /// The pieces that are verified and written, `None` while the metadata is unknown.
    #[must_use]
    pub fn have(&self) -> Option<&Bitfield> {
        self.torrent.as_ref().map(|picker| picker.have())
    }

    fn sources(&self, peer: &Peer) -> PeerSources {
        let called = if peer.outgoing { Some(peer.endpoint) } else { peer.callback };
        let mut sources = called.map_or_else(PeerSources::default, |known| self.candidates.sources(known));
        if !peer.outgoing {
            sources.insert(PeerSource::Incoming);
        }
        sources
    }

    /// How each peer is doing.
    pub fn peer_statuses(&self, now: Instant) -> impl Iterator<Item = PeerStatus> + '_ {
        self.peers.iter().map(move |(&connection, peer)| PeerStatus {
            connection,
            endpoint: peer.endpoint,
            sources: self.sources(peer),
            peer_id: peer.peer_id,
            client: peer.client.clone(),
            pieces: peer.pieces.count(),
            chokes_us: peer.chokes_us,
            interests_us: peer.interests_us,
            choked: peer.choked,
            interested: peer.interested,
            snubbed: peer.snubbed,
            requests: peer.requests.len() as u32,
            on_parole: peer.on_parole,
            outgoing: peer.outgoing,
            priority: peer.priority,
            totals: peer.totals(),
            downloaded_bytes: peer.pipeline.rate.total(),
            uploaded_bytes: peer.upload_rate.total(),
            download_rate: peer.pipeline.rate.per_second(now),
            upload_rate: peer.upload_rate.per_second(now),
        })
    }
}
