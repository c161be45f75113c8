//! A connection between its socket and its swarm.

use bytes::Bytes;
use downpour_base::{Block, ConnectionId, InfoHashV1, Instant, Machine, PeerEndpoint};
use downpour_swarm::{Input, Recorder, Transmit};
use downpour_wire::{CloseReason, Config, Connection, Event, Handshake, Segment};

/// What a driver holds a block's bytes in while they arrive.
pub trait Payload: Default {
    /// Takes the next bytes.
    fn push(&mut self, chunk: Bytes);
}

/// A payload that is only counted: for simulations.
impl Payload for () {
    fn push(&mut self, _chunk: Bytes) {}
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Waiting for the peer's handshake.
    Handshaking,
    /// An incoming connection asks for this torrent; [`Link::accept`] answers.
    Routing(InfoHashV1),
    /// Talking.
    Established,
    /// To be closed.
    Closed(CloseReason),
}

/// One connection: frames in the task of its socket, and hands over what was said to the swarm in batches.
///
/// The driver calls [`receive`](Self::receive) with what the socket gave, then [`exchange`](Self::exchange) under the
/// swarm's lock, then writes [`poll_segment`](Self::poll_segment) until its buffer is full.
#[derive(Debug)]
pub struct Link<P> {
    id: ConnectionId,
    endpoint: PeerEndpoint,
    outgoing: bool,
    wire: Connection,
    state: LinkState,
    /// The block that is arriving, and how much of it is here.
    arriving: Option<(Block, P, u32)>,
    /// Whether the swarm has heard `Connected`.
    introduced: bool,
    /// What was said since the last exchange.
    said: Vec<Input<P>>,
    /// About how many bytes [`exchange`](Self::exchange) pulled that nobody took yet.
    pulled_bytes: usize,
    /// Whether the last exchange ended for want of room, so that the swarm may have more to say.
    cut_short: bool,
}

impl<P: Payload> Link<P> {
    /// A connection that we opened.
    #[must_use]
    pub fn outgoing(
        now: Instant,
        id: ConnectionId,
        endpoint: PeerEndpoint,
        config: Config,
        info_hash: InfoHashV1,
    ) -> Self {
        Self::new(id, endpoint, true, Connection::outgoing(now, config, info_hash))
    }

    /// A connection that somebody opened to us.
    #[must_use]
    pub fn incoming(now: Instant, id: ConnectionId, endpoint: PeerEndpoint, config: Config) -> Self {
        Self::new(id, endpoint, false, Connection::incoming(now, config))
    }

    fn new(id: ConnectionId, endpoint: PeerEndpoint, outgoing: bool, wire: Connection) -> Self {
        Self {
            id,
            endpoint,
            outgoing,
            wire,
            state: LinkState::Handshaking,
            arriving: None,
            introduced: false,
            said: Vec::new(),
            pulled_bytes: 0,
            cut_short: false,
        }
    }

    /// Under which number the swarm knows it.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// How far it is.
    #[must_use]
    pub fn state(&self) -> LinkState {
        self.state
    }

    /// Answers an incoming handshake: the torrent is here.
    pub fn accept(&mut self, info_hash: InfoHashV1) {
        if let LinkState::Routing(_) = self.state {
            self.state = LinkState::Established;
            self.wire.accept(info_hash);
            self.drain();
        }
    }

    /// Takes what the socket gave.
    pub fn receive(&mut self, now: Instant, chunk: Bytes) {
        self.wire.handle_input(now, chunk);
        self.drain();
    }

    /// Takes the content of the announced block past the parser: for drivers that move payload in their own way.
    /// Returns whether a block of that length was due.
    pub fn receive_payload(&mut self, now: Instant, length: u32, payload: P) -> bool {
        let due = matches!(self.arriving, Some((block, _, 0)) if block.length == length);
        if due
            && self.wire.skip_payload(now, length)
            && let Some((block, _, _)) = self.arriving.take()
        {
            self.said.push(Input::Block { connection: self.id, block, payload });
            return true;
        }
        false
    }

    /// Whether something was said that the swarm has not heard.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.said.is_empty()
    }

    /// Whether the swarm knows this connection: then it must hear `Disconnected` when it ends, and otherwise, if we
    /// dialled, `DialFailed`.
    #[must_use]
    pub fn is_introduced(&self) -> bool {
        self.introduced
    }

    /// Tells the swarm what was said, and pulls what it wants to say until about `room` bytes wait to be written.
    pub fn exchange(&mut self, now: Instant, swarm: &mut Recorder<P>, room: usize) {
        for input in self.said.drain(..) {
            self.introduced |= matches!(input, Input::Connected { .. });
            swarm.handle_input(now, input);
        }
        self.cut_short = false;
        while self.state == LinkState::Established {
            self.cut_short = self.pulled_bytes >= room;
            if self.cut_short {
                break;
            }
            match swarm.poll_transmit(now, self.id) {
                Some(Transmit::Message(message)) => {
                    self.pulled_bytes += 32;
                    self.wire.send(message);
                }
                Some(Transmit::Block(block)) => {
                    self.pulled_bytes += block.length as usize;
                    self.wire.send_block(block);
                }
                None => break,
            }
        }
    }

    /// The next thing to write. When there is nothing, but [`was_cut_short`](Self::was_cut_short), another exchange
    /// brings more.
    pub fn poll_segment(&mut self, now: Instant) -> Option<Segment> {
        let segment = self.wire.poll_transmit(now);
        if segment.is_none() {
            self.pulled_bytes = 0;
        }
        segment
    }

    /// Whether the last exchange ended for want of room.
    #[must_use]
    pub fn was_cut_short(&self) -> bool {
        self.cut_short
    }

    /// Does what is due: keep-alives, patience.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.wire.handle_timeout(now);
        self.drain();
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.wire.poll_timeout()
    }

    fn drain(&mut self) {
        while let Some(event) = self.wire.poll_output() {
            match event {
                Event::Handshake(handshake) => self.handshaken(handshake),
                Event::Message(message) => self.said.push(Input::Message { connection: self.id, message }),
                Event::Piece(block) => self.arriving = Some((block, P::default(), 0)),
                Event::Payload(chunk) => {
                    let Some((block, payload, received)) = &mut self.arriving else { continue };
                    *received += chunk.len() as u32;
                    payload.push(chunk);
                    if *received == block.length
                        && let Some((block, payload, _)) = self.arriving.take()
                    {
                        self.said.push(Input::Block { connection: self.id, block, payload });
                    }
                }
                Event::Close(reason) => self.state = LinkState::Closed(reason),
                _ => {}
            }
        }
    }

    fn handshaken(&mut self, handshake: Handshake) {
        self.state =
            if self.outgoing { LinkState::Established } else { LinkState::Routing(handshake.info_hash) };
        self.said.push(Input::Connected {
            connection: self.id,
            endpoint: self.endpoint,
            outgoing: self.outgoing,
            peer_id: handshake.peer_id,
            fast: self.wire.is_fast(),
            extensions: self.wire.has_extensions(),
        });
    }
}
