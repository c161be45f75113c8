//! The encrypted handshake: both roles against each other, and against peers that break the rules.

use bytes::Bytes;
use downpour_base::{InfoHashV1, Instant, Machine as _, Rng, Seed};
use downpour_wire::encryption::{EncryptionError, Established, Event, Handshake, Method, Policy, TorrentKey};
use downpour_wire::limits::{ENCRYPTION_TIMEOUT, MAX_PADDING};
use proptest::prelude::*;

const NOW: Instant = Instant::ORIGIN;
const TORRENT: InfoHashV1 = InfoHashV1([7; 20]);
const HELLO: &[u8] = b"\x13BitTorrent protocol and the rest of a handshake of 68 bytes, and then more";

/// How a handshake ended.
#[derive(Debug)]
enum End {
    Established(Box<Established>),
    Plain(Bytes),
    Failed(EncryptionError),
}

struct Side {
    handshake: Handshake,
    end: Option<End>,
    /// What this side sent and the other has not got.
    pending: Vec<u8>,
    received: usize,
}

impl Side {
    fn new(handshake: Handshake) -> Self {
        Self { handshake, end: None, pending: Vec::new(), received: 0 }
    }

    fn drain(&mut self) {
        while let Some(event) = self.handshake.poll_output() {
            assert!(self.end.is_none(), "{event:?} after the end");
            match event {
                Event::Lookup(key) => {
                    self.handshake.answer((key == TorrentKey::new(TORRENT)).then_some(TORRENT));
                }
                Event::Plain(bytes) => self.end = Some(End::Plain(bytes)),
                Event::Established(established) => self.end = Some(End::Established(established)),
                Event::Failed(error) => self.end = Some(End::Failed(error)),
                other => panic!("{other:?}"),
            }
        }
        while let Some(bytes) = self.handshake.poll_transmit() {
            self.pending.extend_from_slice(&bytes);
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.received += bytes.len();
        self.handshake.handle_input(NOW, Bytes::copy_from_slice(bytes));
        self.drain();
    }
}

fn pair(seed: u64, policies: [Policy; 2], torrent: InfoHashV1) -> [Side; 2] {
    let a = Handshake::initiate(NOW, Seed::from_u64(seed), policies[0], torrent, HELLO);
    let b = Handshake::respond(NOW, Seed::from_u64(!seed), policies[1]);
    [a, b].map(Side::new)
}

/// Carries bytes between both in pieces of the size that `cut` says, until both have ended or nobody speaks.
fn run(sides: &mut [Side; 2], mut cut: impl FnMut() -> usize) {
    sides.iter_mut().for_each(Side::drain);
    loop {
        let before = [sides[0].received, sides[1].received];
        for from in [0, 1] {
            let [a, b] = sides;
            let (source, target) = if from == 0 { (a, b) } else { (b, a) };
            if target.end.is_none() && !source.pending.is_empty() {
                let length = cut().clamp(1, source.pending.len());
                let bytes: Vec<u8> = source.pending.drain(..length).collect();
                target.receive(&bytes);
            }
        }
        if before == [sides[0].received, sides[1].received] {
            return;
        }
    }
}

/// Checks that both agree and that what follows is understood; returns the method.
fn talk(mut sides: [Side; 2]) -> Method {
    let left = sides.each_ref().map(|side| side.pending.clone());
    let [Some(End::Established(mut a)), Some(End::Established(mut b))] =
        sides.each_mut().map(|s| s.end.take())
    else {
        panic!("not established")
    };
    assert_eq!((a.info_hash, b.info_hash), (TORRENT, TORRENT));
    assert_eq!(a.sent, 68);
    // What was not carried over yet belongs to the stream behind the handshake.
    let mut heard = b.received.to_vec();
    let mut rest = left[0].clone();
    if let Some(ciphers) = &mut b.ciphers {
        ciphers.receive.apply(&mut rest);
    }
    heard.extend_from_slice(&rest);
    assert_eq!(heard, HELLO[..68]);
    let mut there = HELLO[68..].to_vec();
    let mut back = b"an answer".to_vec();
    if let (Some(a), Some(b)) = (&mut a.ciphers, &mut b.ciphers) {
        a.send.apply(&mut there);
        assert_ne!(there, HELLO[68..]);
        b.receive.apply(&mut there);
        b.send.apply(&mut back);
        a.receive.apply(&mut back);
    }
    assert_eq!((there, back), (HELLO[68..].to_vec(), b"an answer".to_vec()));
    assert_eq!(a.ciphers.is_some(), b.ciphers.is_some());
    if a.ciphers.is_some() { Method::Rc4 } else { Method::Plaintext }
}

#[test]
fn the_policies_find_a_method() {
    use Policy::{Allowed, Preferred, Required};
    for (policies, expected) in [
        ([Allowed, Allowed], Method::Plaintext),
        ([Preferred, Allowed], Method::Plaintext),
        ([Required, Allowed], Method::Rc4),
        ([Allowed, Preferred], Method::Rc4),
        ([Preferred, Preferred], Method::Rc4),
        ([Required, Preferred], Method::Rc4),
        ([Allowed, Required], Method::Rc4),
        ([Preferred, Required], Method::Rc4),
        ([Required, Required], Method::Rc4),
    ] {
        let mut sides = pair(1, policies, TORRENT);
        run(&mut sides, || usize::MAX);
        assert_eq!(talk(sides), expected, "{policies:?}");
    }
}

#[test]
fn byte_by_byte_is_enough() {
    for seed in 0..8 {
        let mut sides = pair(seed, [Policy::Required; 2], TORRENT);
        run(&mut sides, || 1);
        assert_eq!(talk(sides), Method::Rc4);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_fragmentation_will_do(seed in any::<u64>(), most in 1usize..700, plain in any::<bool>()) {
        let policy = if plain { Policy::Allowed } else { Policy::Required };
        let mut sides = pair(seed, [policy; 2], TORRENT);
        let mut rng = Rng::new(Seed::from_u64(seed));
        run(&mut sides, || 1 + rng.index(most));
        prop_assert_eq!(talk(sides), if plain { Method::Plaintext } else { Method::Rc4 });
    }

    #[test]
    fn a_bent_byte_is_a_failure_or_a_lookup_in_vain(seed in any::<u64>(), at in 0usize..1800, bits in 1u8..=255) {
        let mut sides = pair(seed, [Policy::Required; 2], TORRENT);
        sides[0].drain();
        let key = std::mem::take(&mut sides[0].pending);
        let [a, b] = &mut sides;
        b.receive(&key);
        a.receive(&std::mem::take(&mut b.pending));
        let mut offer = std::mem::take(&mut a.pending);
        let at = at % offer.len();
        offer[at] ^= bits;
        b.receive(&offer);
        // Padding and payload may be bent unseen, all else shows: by an error, or by silence until the time is up.
        if let Some(End::Established(established)) = &b.end {
            prop_assert!(at >= 40 + 8, "byte {at} of {}", offer.len());
            prop_assert_eq!(established.info_hash, TORRENT);
        }
    }

    #[test]
    fn noise_never_establishes(seed in any::<u64>(), length in 0usize..3000, cut in 1usize..400) {
        let mut noise = vec![0; length];
        Rng::new(Seed::from_u64(seed)).fill(&mut noise);
        for mut side in pair(seed, [Policy::Allowed; 2], TORRENT) {
            side.drain();
            noise.chunks(cut).for_each(|chunk| side.receive(chunk));
            prop_assert!(!matches!(side.end, Some(End::Established(_) | End::Plain(_))));
            // 96 bytes of key, and as much padding as may be, are the longest that anybody listens.
            if length >= 96 + MAX_PADDING + 20 {
                prop_assert!(matches!(side.end, Some(End::Failed(EncryptionError::NotSynchronised))));
            }
        }
    }
}

#[test]
fn plain_connections_are_told_apart() {
    for (policy, cut) in [(Policy::Allowed, 1), (Policy::Preferred, 5), (Policy::Disabled, 100)] {
        let mut side = Side::new(Handshake::respond(NOW, Seed::from_u64(1), policy));
        let mut taken = 0;
        for chunk in HELLO.chunks(cut) {
            side.receive(chunk);
            taken += chunk.len();
            if side.end.is_some() {
                break;
            }
        }
        let Some(End::Plain(bytes)) = side.end else { panic!("{policy:?}") };
        assert_eq!(bytes, HELLO[..taken]);
        assert!(side.pending.is_empty(), "nothing was sent");
    }
    let mut side = Side::new(Handshake::respond(NOW, Seed::from_u64(1), Policy::Required));
    side.receive(HELLO);
    assert!(matches!(side.end, Some(End::Failed(EncryptionError::Plaintext))));
}

#[test]
fn unknown_torrents_and_weak_keys_are_refused() {
    let mut sides = pair(1, [Policy::Allowed; 2], InfoHashV1([8; 20]));
    run(&mut sides, || usize::MAX);
    assert!(matches!(sides[1].end, Some(End::Failed(EncryptionError::UnknownTorrent))));

    for mut side in pair(2, [Policy::Allowed; 2], TORRENT) {
        side.receive(&[0; 96]);
        assert!(matches!(side.end, Some(End::Failed(EncryptionError::DegenerateKey))));
    }
}

#[test]
fn methods_that_were_not_offered_are_refused() {
    // An initiator with RC4 only, whose offer is answered by one that chose plaintext: the first four bytes of the
    // answer behind the verification are bent from 2 to 1.
    let mut sides = pair(3, [Policy::Required, Policy::Required], TORRENT);
    let [a, b] = &mut sides;
    a.drain();
    b.receive(&std::mem::take(&mut a.pending));
    let key = std::mem::take(&mut b.pending);
    a.receive(&key);
    b.receive(&std::mem::take(&mut a.pending));
    let mut answer = std::mem::take(&mut b.pending);
    answer[11] ^= 2 ^ 1;
    a.receive(&answer);
    assert!(matches!(a.end, Some(End::Failed(EncryptionError::NoCommonMethod(1)))), "{:?}", a.end);
}

#[test]
fn wrong_lengths_are_named() {
    // The offer is encrypted with a stream, so bits that are bent arrive bent: verification 8, methods 4, padding 2.
    for (at, expected) in [(40, "keys do not fit"), (52, "bytes of padding")] {
        let mut sides = pair(4, [Policy::Allowed; 2], TORRENT);
        let [a, b] = &mut sides;
        a.drain();
        b.receive(&std::mem::take(&mut a.pending));
        a.receive(&std::mem::take(&mut b.pending));
        let mut offer = std::mem::take(&mut a.pending);
        offer[at] ^= 0xf0;
        b.receive(&offer);
        let Some(End::Failed(error)) = &b.end else { panic!("{:?}", b.end) };
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn patience_ends() {
    for mut side in pair(5, [Policy::Allowed; 2], TORRENT) {
        assert_eq!(side.handshake.poll_timeout(), Some(NOW + ENCRYPTION_TIMEOUT));
        side.handshake.handle_timeout(NOW);
        side.drain();
        assert!(side.end.is_none(), "too early");
        side.handshake.handle_timeout(NOW + ENCRYPTION_TIMEOUT);
        side.drain();
        assert!(matches!(side.end, Some(End::Failed(EncryptionError::TimedOut))));
        assert_eq!(side.handshake.poll_timeout(), None);
        side.receive(HELLO);
    }
}

/// A real connection behind the handshake.
#[test]
fn the_peer_protocol_goes_on_behind_it() {
    use downpour_base::PeerId;
    use downpour_wire::{Config, Connection, Event as Said, Segment};
    let mut caller = Connection::outgoing(NOW, Config::new(PeerId([1; 20])), TORRENT);
    let Some(Segment::Bytes(hello)) = caller.poll_transmit(NOW) else { panic!("a handshake") };
    let a = Handshake::initiate(NOW, Seed::from_u64(1), Policy::Preferred, TORRENT, &hello);
    let b = Handshake::respond(NOW, Seed::from_u64(2), Policy::Preferred);
    let mut sides = [a, b].map(Side::new);
    run(&mut sides, || 100);
    let Some(End::Established(established)) = &sides[1].end else { panic!("{:?}", sides[1].end) };
    let mut callee = Connection::incoming(NOW, Config::new(PeerId([2; 20])));
    callee.handle_input(NOW, established.received.clone());
    assert!(matches!(callee.poll_output(), Some(Said::Handshake(shaken)) if shaken.info_hash == TORRENT));
}
