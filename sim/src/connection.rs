//! One end of a connection: its machine, what waits to be sent, and what waits to be read.

use std::collections::VecDeque;

use bytes::Bytes;
use downpour_base::{Instant, PeerEndpoint, TorrentId};
use downpour_session::{Link, LinkState};

use crate::Token;
use crate::event::Socket;
use crate::network::{Packet, SEND_BUFFER, WINDOW};

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) link: Link<Token>,
    pub(crate) peer: Socket,
    pub(crate) endpoint: PeerEndpoint,
    pub(crate) torrent: Option<TorrentId>,
    /// Whether the swarm heard `Connected`, and so must hear `Disconnected`.
    pub(crate) known_to_swarm: bool,
    pub(crate) asked_session: bool,
    /// Whether it waits for its turn among those that have something to do.
    pub(crate) woken: bool,
    /// When it is going to be called.
    pub(crate) armed: Option<Instant>,
    queue: VecDeque<Packet>,
    queued_bytes: u32,
    /// Sent, and not read by the peer yet.
    outstanding_bytes: u32,
    /// Whether it waits for the uplink.
    pub(crate) in_turns: bool,
    unread: VecDeque<Packet>,
    /// What the allowance let through of the first unread packet.
    granted_bytes: u32,
}

impl Connection {
    pub(crate) fn new(
        link: Link<Token>,
        peer: Socket,
        endpoint: PeerEndpoint,
        torrent: Option<TorrentId>,
    ) -> Self {
        Self {
            link,
            peer,
            endpoint,
            torrent,
            known_to_swarm: false,
            asked_session: false,
            woken: false,
            armed: None,
            queue: VecDeque::new(),
            queued_bytes: 0,
            outstanding_bytes: 0,
            in_turns: false,
            unread: VecDeque::new(),
            granted_bytes: 0,
        }
    }

    /// Whether its handshake is not through yet.
    pub(crate) fn is_handshaking(&self) -> bool {
        matches!(self.link.state(), LinkState::Handshaking | LinkState::Routing(_))
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.link.state(), LinkState::Closed(_))
    }

    /// How much more may be put into the send buffer.
    pub(crate) fn room(&self) -> u32 {
        SEND_BUFFER.saturating_sub(self.queued_bytes)
    }

    pub(crate) fn enqueue(&mut self, packet: Packet) {
        self.queued_bytes += packet.len();
        self.queue.push_back(packet);
    }

    /// Whether the uplink could send something of it now.
    pub(crate) fn can_send(&self) -> bool {
        !self.queue.is_empty() && self.outstanding_bytes < WINDOW
    }

    /// The next packet for the uplink.
    pub(crate) fn dequeue(&mut self) -> Option<Packet> {
        let packet = self.queue.pop_front()?;
        self.queued_bytes -= packet.len();
        self.outstanding_bytes += packet.len();
        Some(packet)
    }

    pub(crate) fn acknowledged(&mut self, bytes: u32) {
        self.outstanding_bytes -= bytes;
    }

    pub(crate) fn received(&mut self, packet: Packet) {
        self.unread.push_back(packet);
    }

    /// How many bytes must be granted before the next packet can be read; `None` if there is none.
    pub(crate) fn wanted_bytes(&self) -> Option<u32> {
        self.unread.front().map(|packet| packet.len() - self.granted_bytes)
    }

    pub(crate) fn grant(&mut self, bytes: u32) {
        self.granted_bytes += bytes;
    }

    /// Reads the next packet, all of which was granted. Returns it.
    pub(crate) fn read(&mut self, now: Instant) -> Option<Packet> {
        let packet = self.unread.pop_front()?;
        self.granted_bytes = 0;
        match &packet {
            Packet::Bytes(bytes) => self.link.receive(now, bytes.clone()),
            Packet::Block { header, block, token } => {
                self.link.receive(now, Bytes::copy_from_slice(header));
                let due = self.link.receive_payload(now, block.length, *token);
                assert!(due || self.is_closed(), "{block:?} came where no block was due");
            }
        }
        Some(packet)
    }
}
