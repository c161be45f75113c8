//! What peers say, and who is interested in whom.

use std::collections::BTreeSet;

use downpour_base::{Bitfield, ConnectionId, Instant, PeerEndpoint};
use downpour_picker::{PeerPieces, Picker};
use downpour_wire::{ExtensionHandshake, Message};

use crate::peer::{EarlyPieces, Peer};
use crate::{CloseReason, Event, Geometry, PeerSource, Swarm};

impl<P> Swarm<P> {
    pub(crate) fn message(&mut self, now: Instant, connection: ConnectionId, message: Message) {
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        let pieces = self.torrent.as_ref().map_or(u32::MAX, Picker::piece_count);
        match message {
            Message::KeepAlive | Message::Port(_) | Message::HaveNone => {}
            Message::Choke => self.choked_by(connection),
            Message::Unchoke => {
                peer.chokes_us = false;
                peer.last_block = now;
                self.wake(connection);
            }
            Message::Interested => self.set_interested(now, connection, true),
            Message::NotInterested => self.set_interested(now, connection, false),
            Message::Have(piece) | Message::AllowedFast(piece) | Message::Suggest(piece)
                if piece >= pieces =>
            {
                self.close(now, connection, CloseReason::NoSuchPiece(piece));
            }
            Message::Have(piece) => self.peer_has(now, connection, piece),
            Message::Bitfield(bits) => self.peer_has_many(now, connection, EarlyPieces::Bitfield(bits)),
            Message::HaveAll => self.peer_has_many(now, connection, EarlyPieces::All),
            Message::AllowedFast(piece) => {
                peer.allow_fast(piece);
                self.wake(connection);
            }
            Message::Request(block) => self.requested(now, connection, block),
            Message::Cancel(block) => self.cancelled(connection, block),
            Message::Reject(block) => self.rejected(now, connection, block),
            Message::ExtensionHandshake(handshake) => self.extension_handshaken(now, connection, handshake),
            Message::Extended { extension, payload } => {
                self.event(Event::Extended { connection, extension, payload });
            }
            _ => {}
        }
    }

    pub(crate) fn extension_handshaken(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        handshake: ExtensionHandshake,
    ) {
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        if let Some(depth) = handshake.request_queue {
            peer.pipeline.set_limit(depth);
        }
        if let Some(upload_only) = handshake.upload_only {
            peer.upload_only = upload_only;
        }
        peer.client = handshake.client.or(peer.client.take());
        let can_be_called = !peer.outgoing && peer.callback.is_none();
        if let (true, Some(port), Some(mut address)) =
            (can_be_called, handshake.listen_port, peer.endpoint.address())
        {
            // Somebody who called us can be called back, should the connection break.
            address.set_port(port);
            let callback = PeerEndpoint::Tcp(address);
            peer.callback = Some(callback);
            if self.candidates.is_banned(callback) {
                return self.close(now, connection, CloseReason::Banned);
            }
            self.candidates.add(now, callback, PeerSource::Incoming);
            self.candidates.hold(callback);
        }
        self.close_if_useless(now, connection);
    }

    pub(crate) fn peer_has(&mut self, now: Instant, connection: ConnectionId, piece: u32) {
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        let Some(picker) = &mut self.torrent else {
            if !peer.early.have(piece) {
                self.close(now, connection, CloseReason::EarlyFlood);
            }
            return;
        };
        if peer.pieces.insert(piece) {
            picker.peer_has(piece);
            if !peer.interests_us && picker.is_missing(piece) {
                peer.wanted_piece = Some(piece);
                self.update_interest(connection);
            }
            self.close_if_useless(now, connection);
        }
    }

    /// All that the peer has: its first word on its pieces, and of some clients a later one.
    pub(crate) fn peer_has_many(&mut self, now: Instant, connection: ConnectionId, first: EarlyPieces) {
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        let Some(picker) = &mut self.torrent else {
            peer.early.first = Some(first);
            return;
        };
        let count = picker.piece_count();
        if matches!(first, EarlyPieces::All) && count > 0 && peer.pieces.is_seed() {
            return;
        }
        let pieces = match first {
            EarlyPieces::All => Some(PeerPieces::all(count)),
            EarlyPieces::Bitfield(bits) => {
                Bitfield::from_bytes(&bits, count).ok().map(|bits| PeerPieces::from_bitfield(&bits))
            }
        };
        let Some(pieces) = pieces else {
            return self.close(now, connection, CloseReason::InvalidBitfield);
        };
        picker.remove_peer(&peer.pieces);
        picker.add_peer(&pieces);
        peer.pieces = pieces;
        self.update_interest(connection);
        self.close_if_useless(now, connection);
    }

    pub(crate) fn metadata(&mut self, now: Instant, geometry: &Geometry) {
        if self.torrent.is_some() {
            return;
        }
        self.set_geometry(geometry);
        let count = self.torrent.as_ref().map_or(0, Picker::piece_count);
        let everybody: BTreeSet<ConnectionId> = self.peers.keys().copied().collect();
        for connection in everybody {
            let Some(peer) = self.peers.get_mut(&connection) else { continue };
            let early = std::mem::take(&mut peer.early);
            peer.pieces = PeerPieces::none(count);
            if let Some(first) = early.first {
                self.peer_has_many(now, connection, first);
            }
            for piece in early.haves {
                if piece >= count {
                    self.close(now, connection, CloseReason::NoSuchPiece(piece));
                    break;
                }
                self.peer_has(now, connection, piece);
            }
        }
    }

    /// Two seeds have nothing to give each other.
    pub(crate) fn close_if_useless(&mut self, now: Instant, connection: ConnectionId) {
        let Some(peer) = self.peers.get(&connection) else { return };
        if self.is_useless(peer) {
            self.close(now, connection, CloseReason::BothSeeds);
        }
    }

    pub(crate) fn is_useless(&self, peer: &Peer) -> bool {
        self.finished && (peer.upload_only || (peer.pieces.is_seed() && peer.pieces.count() > 0))
    }

    /// Tells `connection` whether it has what we want, if that changed.
    pub(crate) fn update_interest(&mut self, connection: ConnectionId) {
        let (Some(picker), Some(peer)) = (&self.torrent, self.peers.get_mut(&connection)) else { return };
        let has = |piece: &u32| picker.is_missing(*piece) && peer.pieces.contains(*piece);
        if !peer.wanted_piece.is_some_and(|piece| has(&piece)) {
            peer.wanted_piece = picker.interesting_piece(&peer.pieces, peer.wanted_piece.unwrap_or(0));
        }
        let interesting = peer.wanted_piece.is_some();
        if interesting != peer.interests_us {
            peer.interests_us = interesting;
            self.rank(connection);
            self.tell(connection, if interesting { Message::Interested } else { Message::NotInterested });
        }
    }

    pub(crate) fn update_all_interest(&mut self) {
        let everybody: BTreeSet<ConnectionId> = self.peers.keys().copied().collect();
        everybody.into_iter().for_each(|connection| self.update_interest(connection));
    }
}
