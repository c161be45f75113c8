//! What a swarm knows of one peer.

use std::collections::VecDeque;

use bytes::Bytes;
use downpour_base::{Block, ConnectionId, Instant, PeerEndpoint, PeerId};
use downpour_picker::{Candidate, PeerPieces};
use downpour_wire::Message;

use crate::Totals;
use crate::limits::{MAX_ALLOWED_FAST, MAX_EARLY_HAVES, REQUEST_TIMEOUT, SNUB_TIMEOUT};
use crate::pipeline::Pipeline;
use crate::rate::Rate;

#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) endpoint: PeerEndpoint,
    pub(crate) outgoing: bool,
    /// Where it says that it can be called, if it called us.
    pub(crate) callback: Option<PeerEndpoint>,
    pub(crate) peer_id: PeerId,
    pub(crate) fast: bool,
    pub(crate) client: Option<String>,
    pub(crate) connected: Instant,
    /// When it connected first, and what passed in earlier connections.
    pub(crate) first_connected: Instant,
    pub(crate) before: Totals,
    /// Its canonical priority (BEP 40).
    pub(crate) priority: u32,
    /// Whether it stands among the useful in the order of who gives way.
    pub(crate) ranked_useful: bool,
    /// Messages to send before any block.
    pub(crate) control: VecDeque<Message>,
    /// Whether the driver was told to poll, and has not polled to the end yet.
    pub(crate) woken: bool,

    /// What it has. Over no pieces while the metadata is unknown.
    pub(crate) pieces: PeerPieces,
    pub(crate) early: Early,
    /// It downloads nothing (BEP 21).
    pub(crate) upload_only: bool,

    pub(crate) chokes_us: bool,
    pub(crate) interests_us: bool,
    pub(crate) pipeline: Pipeline,
    pub(crate) requests: VecDeque<Request>,
    pub(crate) last_block: Instant,
    pub(crate) snubbed: bool,
    /// It rejected a request although it does not choke us: wait a while.
    pub(crate) paused_until: Option<Instant>,
    /// Pieces that it lets us have even when it chokes us (BEP 6).
    pub(crate) allowed_fast: Vec<u32>,
    pub(crate) unrequested: u32,
    /// It had a part in a piece that failed: it gets pieces of its own until it is clear who it was.
    pub(crate) on_parole: bool,
    /// A piece that it has and that we lacked when we last looked: where the next look begins.
    pub(crate) wanted_piece: Option<u32>,

    pub(crate) choked: bool,
    pub(crate) interested: bool,
    pub(crate) uploads: VecDeque<Block>,
    pub(crate) upload_rate: Rate,
    pub(crate) unchoked_since: Option<Instant>,
    pub(crate) served_until: Option<Instant>,
    pub(crate) choked_requests: u32,
    /// Pieces that we let it have even when we choke it (BEP 6), and how many bytes of each it did not take yet.
    pub(crate) offered_fast: Vec<(u32, u32)>,
}

/// A request in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) block: Block,
    pub(crate) sent: Instant,
    /// Cancelled, or asked from others because the peer is snubbed: the picker no longer counts on it.
    pub(crate) released: bool,
}

/// What a peer said of its pieces before we knew how many there are.
#[derive(Debug, Default)]
pub(crate) struct Early {
    pub(crate) first: Option<EarlyPieces>,
    pub(crate) haves: Vec<u32>,
}

#[derive(Debug)]
pub(crate) enum EarlyPieces {
    All,
    Bitfield(Bytes),
}

impl Early {
    /// Returns whether there was room.
    pub(crate) fn have(&mut self, piece: u32) -> bool {
        self.haves.push(piece);
        self.haves.len() <= MAX_EARLY_HAVES
    }
}

impl Peer {
    pub(crate) fn new(
        now: Instant,
        endpoint: PeerEndpoint,
        outgoing: bool,
        peer_id: PeerId,
        fast: bool,
    ) -> Self {
        Self {
            endpoint,
            outgoing,
            callback: None,
            peer_id,
            fast,
            client: None,
            connected: now,
            first_connected: now,
            before: Totals::default(),
            priority: 0,
            ranked_useful: false,
            control: VecDeque::new(),
            woken: false,
            pieces: PeerPieces::none(0),
            early: Early::default(),
            upload_only: false,
            chokes_us: true,
            interests_us: false,
            pipeline: Pipeline::default(),
            requests: VecDeque::new(),
            last_block: now,
            snubbed: false,
            paused_until: None,
            allowed_fast: Vec::new(),
            unrequested: 0,
            on_parole: false,
            wanted_piece: None,
            choked: true,
            interested: false,
            uploads: VecDeque::new(),
            upload_rate: Rate::default(),
            unchoked_since: None,
            served_until: None,
            choked_requests: 0,
            offered_fast: Vec::new(),
        }
    }

    /// Whether `block` is of a piece that we offered and that it has not taken whole: it may have it although it is choked
    /// (BEP 6 lets us reject what "has already been sent").
    pub(crate) fn take_offer(&mut self, block: Block) -> bool {
        let offer = self.offered_fast.iter_mut().find(|offer| offer.0 == block.piece);
        offer.is_some_and(|(_, left)| match left.checked_sub(block.length) {
            Some(rest) => {
                *left = rest;
                true
            }
            None => false,
        })
    }

    /// The peer lets us have `piece` even when it chokes us (BEP 6).
    pub(crate) fn allow_fast(&mut self, piece: u32) {
        if self.allowed_fast.len() < MAX_ALLOWED_FAST && !self.allowed_fast.contains(&piece) {
            self.allowed_fast.push(piece);
        }
    }

    /// Requests whose answers are still counted on.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().filter(|request| !request.released)
    }

    /// When this peer wants to be looked at, if at all: when it is silent for too long, when its oldest request is, or
    /// when its pause is over.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let oldest = self.in_flight().next();
        let silent = oldest.map(|_| self.last_block + SNUB_TIMEOUT);
        let lost = oldest.map(|request| request.sent + REQUEST_TIMEOUT);
        [silent, lost, self.paused_until].into_iter().flatten().min()
    }

    /// What passed in all its connections.
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            downloaded_bytes: self.before.downloaded_bytes + self.pipeline.rate.total(),
            uploaded_bytes: self.before.uploaded_bytes + self.upload_rate.total(),
        }
    }

    /// What the choker wants to know.
    pub(crate) fn candidate(&self, connection: ConnectionId, now: Instant) -> Candidate {
        Candidate {
            connection,
            download_rate: self.pipeline.rate.per_second(now),
            uploaded: self.totals().uploaded_bytes,
            snubbed: self.snubbed,
            connected: self.first_connected,
            unchoked_since: self.unchoked_since,
            served_until: self.served_until,
        }
    }
}
