//! One connection: bytes in, events out; messages in, segments out.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use downpour_base::{Block, InfoHashV1, Instant, Machine, PeerId};

use crate::extension::PeerNumbers;
use crate::limits::{HANDSHAKE_TIMEOUT, KEEP_ALIVE_INTERVAL, MAX_MESSAGE_LENGTH, SILENCE_TIMEOUT};
use crate::message::{check_block, id};
use crate::{
    CloseReason, ExtensionHandshake, ExtensionId, HANDSHAKE_LENGTH, Handshake, Message, MessageError,
    PIECE_HEADER_LENGTH, Registry, Reserved, piece_header,
};

/// What a connection is made with.
#[derive(Clone, Debug)]
pub struct Config {
    /// What we call ourselves.
    pub peer_id: PeerId,
    /// Which extensions of the handshake we speak.
    pub reserved: Reserved,
    /// Which extensions of BEP 10 we speak; shared by all connections.
    pub registry: Arc<Registry>,
}

impl Config {
    /// Fast extension and extension protocol, with an empty registry.
    #[must_use]
    pub fn new(peer_id: PeerId) -> Self {
        Self { peer_id, reserved: Reserved::ours(), registry: Arc::default() }
    }
}

/// What a peer said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The peer's handshake. On an incoming connection, [`Connection::accept`] must answer it.
    Handshake(Handshake),
    /// A message.
    Message(Message),
    /// The header of a `piece` message; its content follows as [`Payload`](Self::Payload).
    Piece(Block),
    /// The next bytes of the block announced last, uncopied.
    Payload(Bytes),
    /// The connection is to be closed. Nothing comes after this.
    Close(CloseReason),
}

/// What goes to the network next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// These bytes.
    Bytes(Bytes),
    /// The header, then the content of the block, which the driver has.
    Block {
        /// The `piece` message up to its content.
        header: [u8; PIECE_HEADER_LENGTH],
        /// Which bytes of the torrent follow.
        block: Block,
    },
}

/// A peer connection from its first byte (BEP 3, 6, 10).
///
/// The driver puts in what the socket gave with [`handle_input`](Machine::handle_input) and drains
/// [`poll_output`](Machine::poll_output); puts messages in with [`send`](Self::send) and
/// [`send_block`](Self::send_block), and pulls [`poll_transmit`](Self::poll_transmit) while its socket takes
/// bytes. If the driver consumed payload by itself, it says so with [`skip_payload`](Self::skip_payload).
#[derive(Debug)]
pub struct Connection {
    config: Config,
    /// The torrent; on an incoming connection, `None` until accepted.
    info_hash: Option<InfoHashV1>,
    fast: bool,
    extensions: bool,
    numbers: PeerNumbers,

    stage: Stage,
    /// The beginning of a unit (handshake, head, body) whose rest has not come yet.
    carry: BytesMut,
    /// Input that waits for the incoming handshake to be accepted.
    held: VecDeque<Bytes>,
    /// Whether a message came after which no bitfield may come.
    pieces_announced: bool,
    events: VecDeque<Event>,

    out: VecDeque<Segment>,
    /// Small messages, gathered into one segment.
    small: BytesMut,

    opened: Instant,
    last_received: Instant,
    last_sent: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Handshake,
    /// An incoming handshake waits for [`Connection::accept`].
    Routing,
    /// Length prefix and, if it is not zero, id.
    Head,
    Body {
        id: u8,
        length: usize,
    },
    /// Index and begin of a `piece` message whose block has `length` bytes.
    PieceHead {
        length: u32,
    },
    Payload {
        left: u32,
    },
    Closed,
}

/// What the next unit of input turned out to be.
enum Unit {
    Bytes(Bytes),
    /// More input is needed.
    Partial,
}

impl Connection {
    /// A connection that we opened to download or seed `info_hash`.
    #[must_use]
    pub fn outgoing(now: Instant, config: Config, info_hash: InfoHashV1) -> Self {
        let mut connection = Self::incoming(now, config);
        connection.info_hash = Some(info_hash);
        connection.send_handshake(info_hash);
        connection
    }

    /// A connection that somebody opened to us. Its handshake says what for; nothing is sent before
    /// [`accept`](Self::accept).
    #[must_use]
    pub fn incoming(now: Instant, config: Config) -> Self {
        Self {
            config,
            info_hash: None,
            fast: false,
            extensions: false,
            numbers: PeerNumbers::default(),
            stage: Stage::Handshake,
            carry: BytesMut::new(),
            held: VecDeque::new(),
            pieces_announced: false,
            events: VecDeque::new(),
            out: VecDeque::new(),
            small: BytesMut::new(),
            opened: now,
            last_received: now,
            last_sent: now,
        }
    }

    /// Answers the handshake of an incoming connection. Without effect in any other state.
    pub fn accept(&mut self, info_hash: InfoHashV1) {
        if self.stage != Stage::Routing {
            return;
        }
        self.info_hash = Some(info_hash);
        self.send_handshake(info_hash);
        self.stage = Stage::Head;
        for chunk in std::mem::take(&mut self.held) {
            self.receive(&chunk);
        }
    }

    /// Whether both sides speak the Fast extension (BEP 6).
    #[must_use]
    pub fn is_fast(&self) -> bool {
        self.fast
    }

    /// Whether both sides speak the extension protocol (BEP 10).
    #[must_use]
    pub fn has_extensions(&self) -> bool {
        self.extensions
    }

    /// Whether the peer speaks `extension`.
    #[must_use]
    pub fn speaks(&self, extension: ExtensionId) -> bool {
        self.numbers.number(extension).is_some()
    }

    /// Queues a message. One that the peer does not speak (Fast or extended, when not negotiated) is dropped;
    /// returns whether it was queued.
    pub fn send(&mut self, message: Message) -> bool {
        let needs_fast = matches!(
            message,
            Message::Suggest(_)
                | Message::HaveAll
                | Message::HaveNone
                | Message::Reject(_)
                | Message::AllowedFast(_)
        );
        if self.stage == Stage::Closed || (needs_fast && !self.fast) {
            return false;
        }
        let (number, payload) = match message {
            Message::ExtensionHandshake(handshake) if self.extensions => {
                (0, Bytes::from(handshake.encode(&self.config.registry)))
            }
            Message::ExtensionHandshake(_) => return false,
            Message::Extended { extension, payload } => match self.numbers.number(extension) {
                Some(number) => (number, payload),
                None => return false,
            },
            message => {
                message.encode(&mut self.small);
                return true;
            }
        };
        self.small.put_u32(2 + payload.len() as u32);
        self.small.put_u8(id::EXTENDED);
        self.small.put_u8(number);
        self.small.put_slice(&payload);
        true
    }

    /// Queues a `piece` message, whose content the driver fills in.
    pub fn send_block(&mut self, block: Block) {
        self.flush_small();
        self.out.push_back(Segment::Block { header: piece_header(block), block });
    }

    /// The next thing to write, in order. What is handed out counts as sent at `now`.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Segment> {
        let segment = self.out.pop_front().or_else(|| {
            self.flush_small();
            self.out.pop_front()
        })?;
        self.last_sent = now;
        Some(segment)
    }

    /// Says that the driver took `count` bytes of the current block's content past this machine, at `now`.
    ///
    /// Returns `false`, and changes nothing, if the current block has fewer bytes left.
    #[must_use]
    pub fn skip_payload(&mut self, now: Instant, count: u32) -> bool {
        match self.stage {
            Stage::Payload { left } if count <= left => {
                self.stage = if count == left { Stage::Head } else { Stage::Payload { left: left - count } };
                self.last_received = now;
                true
            }
            _ => false,
        }
    }

    fn send_handshake(&mut self, info_hash: InfoHashV1) {
        let Config { reserved, peer_id, .. } = self.config;
        self.small.put_slice(&Handshake { reserved, info_hash, peer_id }.encode());
    }

    fn flush_small(&mut self) {
        if !self.small.is_empty() {
            self.out.push_back(Segment::Bytes(self.small.split().freeze()));
        }
    }

    fn close(&mut self, reason: CloseReason) {
        if self.stage != Stage::Closed {
            self.stage = Stage::Closed;
            self.carry = BytesMut::new();
            self.held.clear();
            self.events.push_back(Event::Close(reason));
        }
    }

    /// Parses a chunk to its end, or until the connection closes.
    fn receive(&mut self, chunk: &Bytes) {
        let mut at = 0;
        while at < chunk.len() {
            match self.stage {
                Stage::Closed => return,
                Stage::Routing => {
                    self.held.push_back(chunk.slice(at..));
                    // A peer may talk on before we answer, but not without end.
                    let held: usize = self.held.iter().map(Bytes::len).sum();
                    if held > MAX_MESSAGE_LENGTH as usize {
                        self.close(CloseReason::MessageTooLong { id: 0, length: held as u32 });
                    }
                    return;
                }
                Stage::Payload { left } => {
                    let taken = (chunk.len() - at).min(left as usize);
                    self.events.push_back(Event::Payload(chunk.slice(at..at + taken)));
                    at += taken;
                    let left = left - taken as u32;
                    self.stage = if left == 0 { Stage::Head } else { Stage::Payload { left } };
                }
                Stage::Handshake => {
                    let rest = &chunk[at..];
                    let seen = self.carry.len();
                    let plausible = if seen == 0 {
                        Handshake::may_begin_with(rest)
                    } else {
                        seen >= 20 || Handshake::may_begin_with(&[&self.carry[..], rest].concat())
                    };
                    if !plausible {
                        return self.close(crate::HandshakeError::Protocol.into());
                    }
                    match self.unit(chunk, &mut at, HANDSHAKE_LENGTH) {
                        Unit::Partial => return,
                        Unit::Bytes(bytes) => self.handshake(&bytes),
                    }
                }
                Stage::Head => {
                    let need = if self.peek_length(&chunk[at..]) == Some(0) { 4 } else { 5 };
                    match self.unit(chunk, &mut at, need) {
                        Unit::Partial => return,
                        Unit::Bytes(bytes) if bytes.len() == 4 => {
                            self.events.push_back(Event::Message(Message::KeepAlive));
                        }
                        Unit::Bytes(bytes) => self.head(u32_at(&bytes, 0), bytes[4]),
                    }
                }
                Stage::PieceHead { length } => match self.unit(chunk, &mut at, 8) {
                    Unit::Partial => return,
                    Unit::Bytes(bytes) => {
                        let (piece, begin) = (u32_at(&bytes, 0), u32_at(&bytes, 4));
                        self.pieces_announced = true;
                        self.stage = Stage::Payload { left: length };
                        self.events.push_back(Event::Piece(Block { piece, begin, length }));
                    }
                },
                Stage::Body { id, length } => match self.unit(chunk, &mut at, length) {
                    Unit::Partial => return,
                    Unit::Bytes(bytes) => self.body(id, &bytes),
                },
            }
        }
    }

    /// The length prefix, if all of it is there.
    fn peek_length(&self, rest: &[u8]) -> Option<u32> {
        let mut prefix = [0; 4];
        let carried = self.carry.len().min(4);
        let needed = 4 - carried;
        prefix[..carried].copy_from_slice(&self.carry[..carried]);
        prefix[carried..].copy_from_slice(rest.get(..needed)?);
        Some(u32::from_be_bytes(prefix))
    }

    /// Takes `need` bytes, from the chunk alone without copying, or completing what was carried over.
    fn unit(&mut self, chunk: &Bytes, at: &mut usize, need: usize) -> Unit {
        let available = chunk.len() - *at;
        if self.carry.is_empty() && available >= need {
            let unit = chunk.slice(*at..*at + need);
            *at += need;
            return Unit::Bytes(unit);
        }
        let taken = available.min(need - self.carry.len());
        self.carry.put_slice(&chunk[*at..*at + taken]);
        *at += taken;
        if self.carry.len() == need { Unit::Bytes(self.carry.split().freeze()) } else { Unit::Partial }
    }

    fn handshake(&mut self, bytes: &[u8]) {
        let mut whole = [0; HANDSHAKE_LENGTH];
        whole.copy_from_slice(bytes);
        let handshake = match Handshake::decode(&whole) {
            Ok(handshake) => handshake,
            Err(error) => return self.close(error.into()),
        };
        if self.info_hash.is_some_and(|ours| ours != handshake.info_hash) {
            return self.close(CloseReason::InfoHashMismatch);
        }
        if handshake.peer_id == self.config.peer_id {
            return self.close(CloseReason::SelfConnection);
        }
        self.fast = self.config.reserved.fast() && handshake.reserved.fast();
        self.extensions = self.config.reserved.extensions() && handshake.reserved.extensions();
        self.stage = if self.info_hash.is_some() { Stage::Head } else { Stage::Routing };
        self.events.push_back(Event::Handshake(handshake));
    }

    /// Decides what to do with a message by its length and id, before anything of it is held.
    fn head(&mut self, length: u32, id: u8) {
        let body = length - 1;
        let needs_fast =
            matches!(id, id::SUGGEST | id::HAVE_ALL | id::HAVE_NONE | id::REJECT | id::ALLOWED_FAST);
        if needs_fast && !self.fast {
            return self.close(CloseReason::FastNotNegotiated(id));
        }
        if id == id::EXTENDED && !self.extensions {
            return self.close(CloseReason::ExtensionsNotNegotiated);
        }
        let longest = match id {
            id::CHOKE | id::UNCHOKE | id::INTERESTED | id::NOT_INTERESTED | id::HAVE_ALL | id::HAVE_NONE => 0,
            id::HAVE | id::SUGGEST | id::ALLOWED_FAST => 4,
            id::REQUEST | id::CANCEL | id::REJECT => 12,
            id::PORT => 2,
            // Only the header is a body; the content is payload.
            id::PIECE => u32::MAX,
            _ => MAX_MESSAGE_LENGTH,
        };
        if body > longest {
            return self.close(CloseReason::MessageTooLong { id, length });
        }
        if id == id::PIECE {
            if body < 8 {
                return self.close(MessageError::Length { id, length: body as usize }.into());
            }
            if let Err(error) = check_block(Block { piece: 0, begin: 0, length: body - 8 }) {
                return self.close(error.into());
            }
            self.stage = Stage::PieceHead { length: body - 8 };
            return;
        }
        if body == 0 {
            return self.body(id, &Bytes::new());
        }
        self.stage = Stage::Body { id, length: body as usize };
    }

    fn body(&mut self, id: u8, body: &Bytes) {
        self.stage = Stage::Head;
        if id == id::EXTENDED {
            return self.extended(body);
        }
        match Message::decode(id, body) {
            Ok(Some(message)) => self.message(message),
            Ok(None) => {}
            Err(error) => self.close(error.into()),
        }
    }

    fn message(&mut self, message: Message) {
        match message {
            // A later bitfield or `have all` breaks BEP 3, but aria2 sends one in place of many `have`s.
            Message::HaveNone if self.pieces_announced => {
                return self.close(CloseReason::LateHaveNone);
            }
            // Some clients send the port or the extension handshake before the bitfield; that does no harm.
            Message::KeepAlive | Message::Port(_) => {}
            _ => self.pieces_announced = true,
        }
        self.events.push_back(Event::Message(message));
    }

    fn extended(&mut self, body: &Bytes) {
        let Some(&number) = body.first() else {
            return self.close(MessageError::Length { id: id::EXTENDED, length: 0 }.into());
        };
        let payload = body.slice(1..);
        if number != 0 {
            // A number that we never gave out is somebody's mistake and nobody's harm.
            if let Some(extension) = self.config.registry.by_number(number) {
                self.events.push_back(Event::Message(Message::Extended { extension, payload }));
            }
            return;
        }
        match ExtensionHandshake::decode(&payload, &self.config.registry, &mut self.numbers) {
            Some(handshake) => {
                self.events.push_back(Event::Message(Message::ExtensionHandshake(handshake)));
            }
            None => self.close(CloseReason::InvalidExtensionHandshake),
        }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

impl Machine for Connection {
    type Input = Bytes;
    type Output = Event;

    /// Takes what the socket gave.
    fn handle_input(&mut self, now: Instant, chunk: Bytes) {
        self.last_received = now;
        self.receive(&chunk);
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self.stage {
            Stage::Closed => {}
            Stage::Handshake | Stage::Routing if self.opened + HANDSHAKE_TIMEOUT <= now => {
                self.close(CloseReason::HandshakeTimeout);
            }
            Stage::Handshake | Stage::Routing => {}
            _ if self.last_received + SILENCE_TIMEOUT <= now => self.close(CloseReason::Silence),
            _ if self.last_sent + KEEP_ALIVE_INTERVAL <= now => {
                self.last_sent = now;
                self.send(Message::KeepAlive);
            }
            _ => {}
        }
    }

    fn poll_output(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self.stage {
            Stage::Closed => None,
            Stage::Handshake | Stage::Routing => Some(self.opened + HANDSHAKE_TIMEOUT),
            _ => Some((self.last_received + SILENCE_TIMEOUT).min(self.last_sent + KEEP_ALIVE_INTERVAL)),
        }
    }
}
