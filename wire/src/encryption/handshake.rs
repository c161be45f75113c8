//! The encrypted handshake, both roles.

use std::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use downpour_base::{InfoHashV1, Instant, Machine, Rng, Seed};
use thiserror::Error;

use super::key::{KEY_LENGTH, PrivateKey, Secret, TorrentKey};
use super::policy::{Method, Policy};
use super::rc4::Rc4;
use crate::limits::{ENCRYPTION_TIMEOUT, MAX_HELD, MAX_INITIAL_PAYLOAD, MAX_PADDING};

/// What is sent encrypted to show that the key is right: eight zero bytes.
const VERIFICATION: [u8; 8] = [0; 8];
/// How a plain connection begins (BEP 3).
const PLAIN: &[u8; 20] = b"\x13BitTorrent protocol";
/// As much may be sent with the first encrypted message; libtorrent takes no more.
const INITIAL_PAYLOAD: usize = 68;

/// Why an encrypted handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum EncryptionError {
    /// A public key that makes the secret known to all.
    #[error("the peer's key is degenerate")]
    DegenerateKey,
    /// The place where encryption begins did not come within the longest padding.
    #[error("the peer's padding does not end")]
    NotSynchronised,
    /// The torrent is not ours.
    #[error("the peer asks for a torrent that is not here")]
    UnknownTorrent,
    /// What should decrypt to zeros does not.
    #[error("the peer's keys do not fit")]
    WrongVerification,
    /// Padding longer than [`MAX_PADDING`].
    #[error("{0} bytes of padding")]
    Padding(u16),
    /// First payload longer than [`MAX_INITIAL_PAYLOAD`].
    #[error("{0} bytes of first payload")]
    InitialPayload(u16),
    /// No method that both sides want, or one that was not offered.
    #[error("no common method of encryption (the peer's: {0:#x})")]
    NoCommonMethod(u32),
    /// The peer is plain, and the policy requires encryption.
    #[error("the connection is not encrypted")]
    Plaintext,
    /// More came than may come before the torrent is found.
    #[error("the peer sends too much")]
    TooMuch,
    /// It took longer than [`ENCRYPTION_TIMEOUT`].
    #[error("the encrypted handshake took too long")]
    TimedOut,
}

/// What a handshake asks and says.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Which torrent has this key? [`Handshake::answer`] goes on.
    Lookup(TorrentKey),
    /// The connection is not encrypted, and may go on so: these bytes came first.
    Plain(Bytes),
    /// The handshake is over.
    Established(Box<Established>),
    /// The connection is to be closed.
    Failed(EncryptionError),
}

/// An encrypted handshake's outcome.
#[derive(Debug)]
pub struct Established {
    /// The torrent.
    pub info_hash: InfoHashV1,
    /// Encrypts what is sent and decrypts what is received from now on; `None` if that is plain.
    pub ciphers: Option<Ciphers>,
    /// What came behind the handshake, decrypted: the first bytes for [`Connection`](crate::Connection).
    pub received: Bytes,
    /// How many bytes of the initiator's payload were sent inside the handshake.
    pub sent: usize,
}

/// Both directions.
#[derive(Clone, Debug)]
pub struct Ciphers {
    /// For what we send.
    pub send: Rc4,
    /// For what we receive.
    pub receive: Rc4,
}

/// An encrypted handshake ("Message Stream Encryption", also known as protocol encryption), before
/// [`Connection`](crate::Connection).
///
/// The driver puts in what the socket gives, and sends what [`poll_transmit`](Self::poll_transmit) gives, until an
/// event ends the handshake. The bytes that were left over are in it.
#[derive(Debug)]
pub struct Handshake {
    policy: Policy,
    rng: Rng,
    stage: Stage,
    carry: BytesMut,
    out: VecDeque<Bytes>,
    events: VecDeque<Event>,
    deadline: Instant,
    /// The initiator's torrent and first payload.
    ours: Option<(InfoHashV1, Bytes)>,
    /// How much of that payload went out.
    sent: usize,
}

enum Stage {
    /// Of a responder: encrypted, or plain?
    Detecting,
    /// The other's public key.
    Key(PrivateKey),
    /// The initiator searches the responder's verification.
    SearchVerification {
        session: Session,
        expected: [u8; 8],
    },
    /// The responder searches the hash of the secret, after which comes the torrent's key.
    SearchSecret(Secret),
    /// The responder reads the torrent's key.
    ReadTorrent(Secret),
    /// The driver looks for the torrent.
    Lookup(Secret),
    /// The responder reads verification, methods, padding's length.
    Offer(Session),
    /// The initiator reads the method and padding's length; the verification was found.
    Choice(Session),
    Padding {
        session: Session,
        method: Method,
        length: usize,
    },
    /// The responder reads the first payload.
    InitialPayload {
        session: Session,
        method: Method,
        length: usize,
    },
    Over,
}

impl std::fmt::Debug for Stage {
    /// Shows no secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Detecting => "Detecting",
            Self::Key(_) => "Key",
            Self::SearchVerification { .. } => "SearchVerification",
            Self::SearchSecret(_) => "SearchSecret",
            Self::ReadTorrent(_) => "ReadTorrent",
            Self::Lookup(_) => "Lookup",
            Self::Offer(_) => "Offer",
            Self::Choice(_) => "Choice",
            Self::Padding { .. } => "Padding",
            Self::InitialPayload { .. } => "InitialPayload",
            Self::Over => "Over",
        })
    }
}

struct Session {
    info_hash: InfoHashV1,
    ciphers: Ciphers,
    responding: bool,
}

/// What a step came to.
enum Step {
    /// More bytes, or an answer, are needed.
    Wait(Stage),
    On(Stage),
}

impl Handshake {
    /// Opens an encrypted connection for a torrent. `payload` is what will be said first; as much of it as all peers
    /// take goes with the handshake ([`Established::sent`]).
    #[must_use]
    pub fn initiate(now: Instant, seed: Seed, policy: Policy, info_hash: InfoHashV1, payload: &[u8]) -> Self {
        let mut handshake = Self::respond(now, seed, policy);
        let payload = Bytes::copy_from_slice(payload.get(..INITIAL_PAYLOAD).unwrap_or(payload));
        handshake.ours = Some((info_hash, payload));
        handshake.stage = Stage::Key(handshake.send_key());
        handshake
    }

    /// Answers a connection that may be encrypted or not.
    #[must_use]
    pub fn respond(now: Instant, seed: Seed, policy: Policy) -> Self {
        Self {
            policy,
            rng: Rng::new(seed),
            stage: Stage::Detecting,
            carry: BytesMut::new(),
            out: VecDeque::new(),
            events: VecDeque::new(),
            deadline: now + ENCRYPTION_TIMEOUT,
            ours: None,
            sent: 0,
        }
    }

    /// Answers [`Event::Lookup`]. Without effect at any other time.
    pub fn answer(&mut self, info_hash: Option<InfoHashV1>) {
        match (std::mem::replace(&mut self.stage, Stage::Over), info_hash) {
            (Stage::Lookup(secret), Some(info_hash)) => {
                let (receive, send) = secret.ciphers(info_hash);
                let ciphers = Ciphers { send, receive };
                self.stage = Stage::Offer(Session { info_hash, ciphers, responding: true });
                self.run();
            }
            (Stage::Lookup(_), None) => self.fail(EncryptionError::UnknownTorrent),
            (stage, _) => self.stage = stage,
        }
    }

    /// The next bytes for the peer.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        self.out.pop_front()
    }

    fn padding(&mut self) -> Vec<u8> {
        let mut padding = vec![0; self.rng.index(MAX_PADDING + 1)];
        self.rng.fill(&mut padding);
        padding
    }

    /// Sends our public key, and padding.
    fn send_key(&mut self) -> PrivateKey {
        let key = PrivateKey::new(&mut self.rng);
        let message = [&key.public()[..], &self.padding()].concat();
        self.out.push_back(message.into());
        key
    }

    fn fail(&mut self, error: EncryptionError) {
        self.stage = Stage::Over;
        self.carry = BytesMut::new();
        self.events.push_back(Event::Failed(error));
    }

    fn run(&mut self) {
        loop {
            let stage = std::mem::replace(&mut self.stage, Stage::Over);
            match self.step(stage) {
                Ok(Step::Wait(stage)) => {
                    self.stage = stage;
                    return;
                }
                Ok(Step::On(stage)) => self.stage = stage,
                Err(error) => return self.fail(error),
            }
        }
    }

    fn step(&mut self, stage: Stage) -> Result<Step, EncryptionError> {
        Ok(match stage {
            Stage::Detecting => self.detect()?,
            Stage::Key(key) => match self.take::<KEY_LENGTH>() {
                None => Step::Wait(Stage::Key(key)),
                Some(theirs) => {
                    let secret = key.agree(&theirs).ok_or(EncryptionError::DegenerateKey)?;
                    Step::On(match self.ours.take() {
                        Some((info_hash, payload)) => self.offer(&secret, info_hash, &payload),
                        None => Stage::SearchSecret(secret),
                    })
                }
            },
            Stage::SearchVerification { session, expected } => match self.search(&expected)? {
                true => Step::On(Stage::Choice(session)),
                false => Step::Wait(Stage::SearchVerification { session, expected }),
            },
            Stage::SearchSecret(secret) => match self.search(&secret.synchronisation())? {
                true => Step::On(Stage::ReadTorrent(secret)),
                false => Step::Wait(Stage::SearchSecret(secret)),
            },
            Stage::ReadTorrent(secret) => match self.take::<20>() {
                None => Step::Wait(Stage::ReadTorrent(secret)),
                Some(masked) => {
                    self.events.push_back(Event::Lookup(secret.mask(TorrentKey(masked))));
                    Step::Wait(Stage::Lookup(secret))
                }
            },
            Stage::Lookup(secret) => Step::Wait(Stage::Lookup(secret)),
            Stage::Offer(session) => self.read_offer(session)?,
            Stage::Choice(session) => self.read_choice(session)?,
            Stage::Padding { session, method, length } => self.read_padding(session, method, length)?,
            Stage::InitialPayload { session, method, length } => self.read_initial(session, method, length),
            Stage::Over => Step::Wait(Stage::Over),
        })
    }

    /// Of a responder: a plain connection begins with the protocol's name, a public key with noise.
    fn detect(&mut self) -> Result<Step, EncryptionError> {
        let alike = self.carry.iter().zip(PLAIN).take_while(|(a, b)| a == b).count();
        let plain = self.policy == Policy::Disabled || alike == PLAIN.len();
        if plain && !self.policy.takes_plain() {
            return Err(EncryptionError::Plaintext);
        }
        if plain {
            self.events.push_back(Event::Plain(self.carry.split().freeze()));
            return Ok(Step::On(Stage::Over));
        }
        if alike == self.carry.len() || self.carry.len() < KEY_LENGTH {
            return Ok(Step::Wait(Stage::Detecting));
        }
        Ok(Step::On(Stage::Key(self.send_key())))
    }

    /// The initiator's second message: which torrent, which methods, the first payload.
    fn offer(&mut self, secret: &Secret, info_hash: InfoHashV1, payload: &[u8]) -> Stage {
        let (send, receive) = secret.ciphers(info_hash);
        let mut ciphers = Ciphers { send, receive };
        let mut message = BytesMut::new();
        message.extend_from_slice(&secret.synchronisation());
        message.extend_from_slice(&secret.mask(TorrentKey::new(info_hash)).0);
        let encrypted = message.len();
        let padding = self.padding();
        message.extend_from_slice(&VERIFICATION);
        message.put_u32(self.policy.offers());
        message.put_u16(padding.len() as u16);
        message.extend_from_slice(&padding);
        message.put_u16(payload.len() as u16);
        message.extend_from_slice(payload);
        ciphers.send.apply(&mut message[encrypted..]);
        self.out.push_back(message.freeze());
        self.sent = payload.len();
        let mut expected = VERIFICATION;
        ciphers.receive.apply(&mut expected);
        Stage::SearchVerification { session: Session { info_hash, ciphers, responding: false }, expected }
    }

    fn read_offer(&mut self, mut session: Session) -> Result<Step, EncryptionError> {
        let Some([v0, v1, v2, v3, v4, v5, v6, v7, m0, m1, m2, m3, p0, p1]) = self.decrypt(&mut session)
        else {
            return Ok(Step::Wait(Stage::Offer(session)));
        };
        if [v0, v1, v2, v3, v4, v5, v6, v7] != VERIFICATION {
            return Err(EncryptionError::WrongVerification);
        }
        let offered = u32::from_be_bytes([m0, m1, m2, m3]);
        let method = self.policy.select(offered).ok_or(EncryptionError::NoCommonMethod(offered))?;
        let length = check_padding(u16::from_be_bytes([p0, p1]))?;
        Ok(Step::On(Stage::Padding { session, method, length }))
    }

    fn read_choice(&mut self, mut session: Session) -> Result<Step, EncryptionError> {
        let Some([m0, m1, m2, m3, p0, p1]) = self.decrypt(&mut session) else {
            return Ok(Step::Wait(Stage::Choice(session)));
        };
        let chosen = u32::from_be_bytes([m0, m1, m2, m3]);
        let method = [Method::Plaintext, Method::Rc4].into_iter().find(|method| method.bit() == chosen);
        let method = method.filter(|method| self.policy.offers() & method.bit() != 0);
        let method = method.ok_or(EncryptionError::NoCommonMethod(chosen))?;
        let length = check_padding(u16::from_be_bytes([p0, p1]))?;
        Ok(Step::On(Stage::Padding { session, method, length }))
    }

    fn read_padding(
        &mut self,
        mut session: Session,
        method: Method,
        length: usize,
    ) -> Result<Step, EncryptionError> {
        // Behind the initiator's padding comes the length of its first payload.
        let whole = length + if session.responding { 2 } else { 0 };
        if self.carry.len() < whole {
            return Ok(Step::Wait(Stage::Padding { session, method, length }));
        }
        let mut padding = self.carry.split_to(whole);
        session.ciphers.receive.apply(&mut padding);
        let initial = match padding.get(length..) {
            Some(&[high, low]) => u16::from_be_bytes([high, low]),
            _ => return Ok(self.establish(session, method, BytesMut::new())),
        };
        if usize::from(initial) > MAX_INITIAL_PAYLOAD {
            return Err(EncryptionError::InitialPayload(initial));
        }
        Ok(Step::On(Stage::InitialPayload { session, method, length: initial.into() }))
    }

    /// The first payload is encrypted whatever the method.
    fn read_initial(&mut self, mut session: Session, method: Method, length: usize) -> Step {
        if self.carry.len() < length {
            return Step::Wait(Stage::InitialPayload { session, method, length });
        }
        let mut initial = self.carry.split_to(length);
        session.ciphers.receive.apply(&mut initial);
        let padding = self.padding();
        let mut message = BytesMut::new();
        message.extend_from_slice(&VERIFICATION);
        message.put_u32(method.bit());
        message.put_u16(padding.len() as u16);
        message.extend_from_slice(&padding);
        session.ciphers.send.apply(&mut message);
        self.out.push_back(message.freeze());
        self.establish(session, method, initial)
    }

    fn establish(&mut self, session: Session, method: Method, mut received: BytesMut) -> Step {
        let mut rest = self.carry.split();
        let mut ciphers = (method == Method::Rc4).then_some(session.ciphers);
        if let Some(ciphers) = &mut ciphers {
            ciphers.receive.apply(&mut rest);
        }
        received.unsplit(rest);
        let (info_hash, sent, received) = (session.info_hash, self.sent, received.freeze());
        let established = Established { info_hash, ciphers, received, sent };
        self.events.push_back(Event::Established(Box::new(established)));
        Step::On(Stage::Over)
    }

    /// The next bytes, if so many are here.
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let taken = *self.carry.first_chunk::<N>()?;
        self.carry.advance(N);
        Some(taken)
    }

    fn decrypt<const N: usize>(&mut self, session: &mut Session) -> Option<[u8; N]> {
        let mut taken = self.take::<N>()?;
        session.ciphers.receive.apply(&mut taken);
        Some(taken)
    }

    /// Goes behind `mark`, which comes after padding of unknown length; `false` if it may still come.
    fn search(&mut self, mark: &[u8]) -> Result<bool, EncryptionError> {
        let within = self.carry.len().min(MAX_PADDING + mark.len());
        let found =
            self.carry.get(..within).unwrap_or_default().windows(mark.len()).position(|at| at == mark);
        match found {
            Some(at) => self.carry.advance(at + mark.len()),
            None if within == MAX_PADDING + mark.len() => return Err(EncryptionError::NotSynchronised),
            None => return Ok(false),
        }
        Ok(true)
    }
}

fn check_padding(length: u16) -> Result<usize, EncryptionError> {
    match usize::from(length) {
        length @ ..=MAX_PADDING => Ok(length),
        _ => Err(EncryptionError::Padding(length)),
    }
}

impl Machine for Handshake {
    type Input = Bytes;
    type Output = Event;

    /// Takes what the socket gave. To be called until an event ends the handshake; later bytes are not taken.
    fn handle_input(&mut self, _now: Instant, input: Bytes) {
        if matches!(self.stage, Stage::Over) {
            return;
        }
        if self.carry.len() + input.len() > MAX_HELD {
            return self.fail(EncryptionError::TooMuch);
        }
        self.carry.extend_from_slice(&input);
        self.run();
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|at| at <= now) {
            self.fail(EncryptionError::TimedOut);
        }
    }

    fn poll_output(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        (!matches!(self.stage, Stage::Over)).then_some(self.deadline)
    }
}
