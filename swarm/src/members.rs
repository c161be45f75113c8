//! Who comes, who stays, who goes.

use bytes::Bytes;
use downpour_base::{ConnectionId, Instant, PeerEndpoint, PeerId};
use downpour_picker::PeerPieces;
use downpour_wire::{ExtensionHandshake, Message};

use crate::candidates::Release;
use crate::limits::{ALLOWED_FAST, MAX_DIALS, MAX_UPLOAD_QUEUE};
use crate::peer::Peer;
use crate::swarm::Timer;
use crate::totals::Past;
use crate::{CloseReason, Event, Output, Swarm, Totals, allowed_fast_set};

impl<P> Swarm<P> {
    pub(crate) fn connected(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        mut peer: Peer,
        extensions: bool,
    ) {
        let Peer { endpoint, outgoing, peer_id, fast, .. } = peer;
        if self.peers.contains_key(&connection) {
            // Numbers are not used twice: whoever does so means the one that is there.
            return;
        }
        if outgoing {
            self.dialling.remove(&endpoint);
        }
        if let Some(reason) = self.refuses(now, endpoint, outgoing, peer_id) {
            self.outputs.push_back(Output::Close { connection, reason });
            if outgoing {
                self.candidates.release(now, endpoint, Release::Ended);
            }
            return;
        }
        peer.priority = self.candidates.priority(endpoint);
        if let Some(past) = self.memory.recall(endpoint, peer_id) {
            (peer.before, peer.first_connected) = (past.totals, past.connected);
            peer.served_until = past.served_until;
        }
        if let Some(picker) = &self.torrent {
            peer.pieces = PeerPieces::none(picker.piece_count());
            let have = picker.have();
            match (fast, have.count()) {
                (true, 0) => peer.control.push_back(Message::HaveNone),
                (true, _) if have.is_full() => peer.control.push_back(Message::HaveAll),
                (false, 0) => {}
                _ => peer.control.push_back(Message::Bitfield(Bytes::copy_from_slice(have.as_bytes()))),
            }
        } else if fast {
            peer.control.push_back(Message::HaveNone);
        }
        if extensions {
            peer.control.push_back(Message::ExtensionHandshake(self.extension_handshake(Some(endpoint))));
        }
        self.ranks.insert((false, peer.priority, connection));
        self.by_peer_id.insert(peer_id, connection);
        if let Some(address) = endpoint.address() {
            *self.at_address.entry(address.ip()).or_insert(0) += 1;
        }
        self.peers.insert(connection, peer);
        self.watch_turnover(now);
        self.event(Event::PeerConnected { connection, endpoint });
        self.offer_fast(connection);
        self.wake(connection);
    }

    /// Why a connection is not taken, if it is not. To take it, another one may be closed.
    fn refuses(
        &mut self,
        now: Instant,
        endpoint: PeerEndpoint,
        outgoing: bool,
        peer_id: PeerId,
    ) -> Option<CloseReason> {
        if self.paused {
            return Some(CloseReason::Paused);
        }
        if self.candidates.is_banned(endpoint) {
            return Some(CloseReason::Banned);
        }
        if peer_id == self.config.peer_id {
            if outgoing {
                self.candidates.add_own(endpoint);
            }
            return Some(CloseReason::OwnConnection);
        }
        if let Some(reason) = self.resolve_duplicate(now, outgoing, peer_id) {
            return Some(reason);
        }
        if self.is_crowded(endpoint) {
            return Some(CloseReason::CrowdedAddress);
        }
        let full = self.peers.len() >= self.budget.connections as usize;
        let room = !full || self.make_room_for(now, endpoint);
        (!room).then_some(CloseReason::TooManyConnections)
    }

    /// Whether as many peers are connected at that address as may be. Many people share an address behind one router, so
    /// that one each would shut people out; without a bound, one could take all the places.
    fn is_crowded(&self, endpoint: PeerEndpoint) -> bool {
        let Some(address) = endpoint.address().map(|address| address.ip()) else { return false };
        let count = self.at_address.get(&address).copied().unwrap_or(0);
        !address.is_loopback() && count >= self.budget.connections_per_address
    }

    /// Two connections with one peer: both ends keep the one that the peer with the larger id opened.
    pub(crate) fn resolve_duplicate(
        &mut self,
        now: Instant,
        outgoing: bool,
        peer_id: PeerId,
    ) -> Option<CloseReason> {
        let old = *self.by_peer_id.get(&peer_id)?;
        let peer = self.peers.get(&old)?;
        let keep_outgoing = self.config.peer_id > peer_id;
        if peer.outgoing != outgoing && outgoing == keep_outgoing {
            self.close(now, old, CloseReason::Duplicate);
            return None;
        }
        Some(CloseReason::Duplicate)
    }

    pub(crate) fn extension_handshake(&self, endpoint: Option<PeerEndpoint>) -> ExtensionHandshake {
        ExtensionHandshake {
            client: Some(self.config.client.clone()),
            listen_port: self.config.listen_port,
            your_ip: endpoint
                .and_then(|endpoint| endpoint.address())
                .map(|address| address.ip().to_canonical()),
            request_queue: Some(MAX_UPLOAD_QUEUE as u32),
            metadata_size: None,
            upload_only: Some(self.finished),
        }
    }

    /// Offers a starting peer the pieces of its allowed-fast set that we have (BEP 6).
    pub(crate) fn offer_fast(&mut self, connection: ConnectionId) {
        let (Some(picker), Some(peer)) = (&self.torrent, self.peers.get_mut(&connection)) else { return };
        let Some(address) = peer.endpoint.address().filter(|_| peer.fast) else { return };
        let set = allowed_fast_set(address.ip(), self.config.info_hash, picker.piece_count(), ALLOWED_FAST);
        let had = set.into_iter().filter(|piece| picker.have().contains(*piece));
        peer.offered_fast = had.map(|piece| (piece, picker.piece_size(piece))).collect();
        let offers: Vec<Message> =
            peer.offered_fast.iter().map(|offer| Message::AllowedFast(offer.0)).collect();
        peer.control.extend(offers);
    }

    pub(crate) fn close(&mut self, now: Instant, connection: ConnectionId, reason: CloseReason) {
        self.outputs.push_back(Output::Close { connection, reason });
        let misbehaved = !matches!(
            reason,
            CloseReason::TooManyConnections
                | CloseReason::Duplicate
                | CloseReason::Turnover
                | CloseReason::BothSeeds
                | CloseReason::Paused
                | CloseReason::ReadFailed
        );
        self.remove_peer(now, connection, misbehaved);
    }

    /// As [`close`](Self::close), and nobody is called for the place yet.
    pub(crate) fn close_for_another(&mut self, now: Instant, connection: ConnectionId) {
        self.outputs.push_back(Output::Close { connection, reason: CloseReason::Turnover });
        self.forget_peer(now, connection, false);
    }

    pub(crate) fn remove_peer(&mut self, now: Instant, connection: ConnectionId, misbehaved: bool) {
        if self.peers.contains_key(&connection) {
            self.forget_peer(now, connection, misbehaved);
            self.fill_slots(now);
            self.dial(now);
        }
    }

    fn forget_peer(&mut self, now: Instant, connection: ConnectionId, misbehaved: bool) {
        let Some(peer) = self.peers.get(&connection) else { return };
        let endpoint = if peer.outgoing { Some(peer.endpoint) } else { peer.callback };
        let useful = peer.pipeline.rate.total() + peer.upload_rate.total() > 0;
        let why = match misbehaved {
            true => Release::Misbehaved,
            false if self.is_useless(peer) => Release::BothSeeds,
            false => Release::Ended,
        };
        self.release_requests(connection);
        let Some(peer) = self.peers.remove(&connection) else { return };
        self.ranks.remove(&(peer.ranked_useful, peer.priority, connection));
        self.by_peer_id.remove(&peer.peer_id);
        if let Some(address) = peer.endpoint.address().map(|address| address.ip())
            && let Some(count) = self.at_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                self.at_address.remove(&address);
            }
        }
        if peer.totals() != Totals::default() {
            let served_until = if peer.choked { peer.served_until } else { Some(now) };
            let past = Past { totals: peer.totals(), connected: peer.first_connected, served_until };
            self.memory.remember(peer.endpoint, peer.peer_id, past);
        }
        if let Some(picker) = &mut self.torrent {
            picker.remove_peer(&peer.pieces);
        }
        if !peer.choked {
            self.unchoked -= 1;
        }
        for set in [
            &mut self.interested,
            &mut self.short_of_memory,
            &mut self.short_of_blocks,
            &mut self.download.waiting,
            &mut self.upload.waiting,
        ] {
            set.remove(&connection);
        }
        self.timers.set(Timer::Peer(connection), None);
        if let Some(endpoint) = endpoint.filter(|endpoint| !self.dialling.contains(endpoint)) {
            if useful {
                self.candidates.succeeded(endpoint);
            }
            self.candidates.release(now, endpoint, why);
        }
        self.event(Event::PeerDisconnected { connection });
    }

    pub(crate) fn dial(&mut self, now: Instant) {
        while !self.paused
            && self.dialling.len() < MAX_DIALS
            && self.peers.len() + self.dialling.len() < self.budget.connections as usize
        {
            let Some(endpoint) = self.candidates.take(now) else {
                return self.timers.set(Timer::Dial, self.candidates.next());
            };
            if self.is_crowded(endpoint) {
                self.candidates.release(now, endpoint, Release::Crowded);
                continue;
            }
            self.dialling.insert(endpoint);
            self.outputs.push_back(Output::Dial { endpoint });
        }
        // When there is room again, whoever makes it calls this.
        self.timers.set(Timer::Dial, None);
    }
}
