//! Whom to unchoke.

use core::cmp::Reverse;
use core::time::Duration;

use downpour_base::{ConnectionId, Instant, Rng, Seed};

/// How long the optimistic unchoke stays with one peer (BEP 3: "rotates every 30 seconds").
pub const OPTIMISTIC_INTERVAL: Duration = Duration::from_secs(30);
/// How long a seed serves a peer before one that waits may take its place.
pub const SEED_TURN: Duration = Duration::from_secs(30);
/// How long a connection counts as new (BEP 3: "three times as likely to start as the current optimistic unchoke").
const NEW_FOR: Duration = Duration::from_secs(60);

/// A peer that wants data from us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub connection: ConnectionId,
    /// What it sends us, in bytes per second.
    pub download_rate: u64,
    /// What we have sent it, in bytes: who got least goes first where all else is equal.
    pub uploaded: u64,
    /// Whether it owes us blocks for too long; it then gets the optimistic slot at most.
    pub snubbed: bool,
    /// When it connected.
    pub connected: Instant,
    /// Since when it is unchoked, if it is.
    pub unchoked_since: Option<Instant>,
    /// When it was last choked after having been served.
    pub served_until: Option<Instant>,
}

/// Decides who may request data. Call it every ten seconds (BEP 3), and when a slot becomes free.
#[derive(Debug)]
pub struct Choker {
    optimistic: Option<(ConnectionId, Instant)>,
    rng: Rng,
}

impl Choker {
    /// A choker whose ties and optimistic choices grow from `seed`.
    #[must_use]
    pub fn new(seed: Seed) -> Self {
        Self { optimistic: None, rng: Rng::new(seed) }
    }

    /// Who has the optimistic slot.
    #[must_use]
    pub fn optimistic(&self) -> Option<ConnectionId> {
        self.optimistic.map(|(connection, _)| connection)
    }

    /// Chooses up to `slots` of the `interested` peers; as many, if there are as many.
    pub fn choose(
        &mut self,
        now: Instant,
        slots: usize,
        seeding: bool,
        interested: &[Candidate],
    ) -> Vec<ConnectionId> {
        // A random order first, so that ties are not always won by the oldest.
        let mut shuffled = interested.to_vec();
        for at in (1..shuffled.len()).rev() {
            shuffled.swap(at, self.rng.index(at + 1));
        }
        if seeding {
            self.optimistic = None;
            return by_turns(now, slots, shuffled);
        }
        self.by_rate(now, slots, shuffled)
    }

    fn by_rate(&mut self, now: Instant, slots: usize, mut interested: Vec<Candidate>) -> Vec<ConnectionId> {
        interested.sort_by_key(|peer| (peer.snubbed, Reverse(peer.download_rate)));
        let regular = slots.saturating_sub(1);
        let mut chosen: Vec<ConnectionId> = interested
            .iter()
            .take_while(|peer| !peer.snubbed)
            .take(regular)
            .map(|peer| peer.connection)
            .collect();
        interested.retain(|peer| !chosen.contains(&peer.connection));
        if chosen.len() < slots && !interested.is_empty() {
            let kept = self.optimistic.filter(|(_, since)| *since + OPTIMISTIC_INTERVAL > now);
            let held = kept.and_then(|kept| interested.iter().position(|peer| peer.connection == kept.0));
            let at = held.unwrap_or_else(|| {
                let at = self.draw(now, &interested);
                self.optimistic = Some((interested[at].connection, now));
                at
            });
            chosen.push(interested.swap_remove(at).connection);
        }
        // Slots that too few good peers left free stay with whom they are, so that nobody flutters.
        interested.sort_by_key(|peer| peer.unchoked_since.is_none());
        let left = slots - chosen.len();
        chosen.extend(interested.into_iter().take(left).map(|peer| peer.connection));
        chosen
    }

    /// A random peer; a new one with three times the chance.
    fn draw(&mut self, now: Instant, peers: &[Candidate]) -> usize {
        let weight = |peer: &Candidate| if peer.connected + NEW_FOR > now { 3 } else { 1 };
        let mut ticket = self.rng.below(peers.iter().map(weight).sum());
        for (at, peer) in peers.iter().enumerate() {
            if ticket < weight(peer) {
                return at;
            }
            ticket -= weight(peer);
        }
        0
    }
}

/// Everybody in turn: who is in its turn stays, then who was never served, then who waits longest. Whose turn is
/// over stays only if slots are left, who got least before the others.
fn by_turns(now: Instant, slots: usize, mut interested: Vec<Candidate>) -> Vec<ConnectionId> {
    interested.sort_by_key(|peer| match (peer.unchoked_since, peer.served_until) {
        (Some(since), _) if since + SEED_TURN > now => (0, since.as_nanos(), 0),
        (None, None) => (1, peer.connected.as_nanos(), 0),
        (None, Some(until)) => (2, until.as_nanos(), peer.uploaded),
        (Some(_), _) => (3, peer.uploaded, 0),
    });
    interested.into_iter().take(slots).map(|peer| peer.connection).collect()
}
