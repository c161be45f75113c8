//! An iterative look-up: whom to ask next, and when the closest nodes are found (BEP 5, Kademlia).
//!
//! Three rules against liars. A node whose id does not fit its address is no result (BEP 42). One network has few
//! places among the candidates. And whose referrals fail again and again, the rest of his referrals come last, so that
//! invented nodes cost a few time-outs and not all of them.

use core::net::SocketAddr;

use downpour_base::NodeId;

use crate::address::Network;
use crate::distance::{Distance, distance};
use crate::limits::{K, MAX_ASKED, MAX_CANDIDATES, MAX_FAILED_REFERRALS, MAX_TOKEN_BYTES};
use crate::message::Contact;
use crate::{Settings, is_secure_id};

/// How far a candidate has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not asked yet.
    Fresh,
    /// Asked a moment ago.
    Asked,
    /// Asked, and slow to answer: another is asked beside it.
    Slow,
    Replied,
    Failed,
}

/// A node that may be close.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) contact: Contact,
    distance: Distance,
    state: State,
    /// Its id fits its address, or that does not matter.
    eligible: bool,
    /// Whom it was heard from; nobody if it was in the routing table, or if several named it.
    referrer: Option<SocketAddr>,
    /// Its own referrals that failed, less those that answered.
    failed_referrals: u8,
    /// How many referrals lead to it: 1 for a node of the routing table.
    pub(crate) hops: u8,
    /// The right to store there.
    pub(crate) token: Option<Box<[u8]>>,
    /// The version of the item that it has.
    pub(crate) held: Option<i64>,
}

/// The state of a look-up. It sends nothing itself.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    target: NodeId,
    /// Closest first.
    candidates: Vec<Candidate>,
    asked: usize,
}

impl Lookup {
    /// A look-up that begins with nodes of the routing table.
    pub(crate) fn new(target: NodeId, seeds: &[Contact], settings: &Settings) -> Self {
        let mut lookup = Self { target, candidates: Vec::new(), asked: 0 };
        for seed in seeds {
            lookup.offer(*seed, None, 1, settings);
        }
        lookup
    }

    pub(crate) fn target(&self) -> NodeId {
        self.target
    }

    /// Adds a node whose id is not known; it comes first.
    pub(crate) fn offer_address(&mut self, address: SocketAddr, settings: &Settings) {
        self.offer(Contact { id: self.target, address }, None, 1, settings);
    }

    /// Adds a node that somebody named, if it is new and there are not many like it.
    pub(crate) fn offer(
        &mut self,
        contact: Contact,
        referrer: Option<SocketAddr>,
        hops: u8,
        settings: &Settings,
    ) {
        if let Some(known) = self.find(&contact.address) {
            if known.referrer != referrer {
                known.referrer = None;
            }
            return;
        }
        let (ip, limit) = (contact.address.ip(), usize::from(settings.nodes_per_network));
        let network = Network::of(&ip);
        let (mut same_address, mut same_network) = (false, 0);
        for other in self.candidates.iter().filter(|other| other.state != State::Failed) {
            let address = other.contact.address.ip();
            same_address |= address == ip;
            same_network += usize::from(Network::of(&address) == network);
        }
        if settings.one_node_per_address && same_address || limit != 0 && same_network >= limit {
            return;
        }
        let candidate = Candidate {
            contact,
            distance: distance(&self.target, &contact.id),
            state: State::Fresh,
            eligible: !settings.secure_ids || is_secure_id(&contact.id, &ip),
            referrer,
            failed_referrals: 0,
            hops,
            token: None,
            held: None,
        };
        self.insert(candidate);
    }

    /// Puts a candidate in its place; when there are too many the farthest that was not asked goes.
    fn insert(&mut self, candidate: Candidate) {
        if self.candidates.len() >= MAX_CANDIDATES {
            let Some(last) = self.candidates.iter().rposition(|other| other.state == State::Fresh) else {
                return;
            };
            self.candidates.remove(last);
        }
        let place = self.candidates.partition_point(|other| other.distance <= candidate.distance);
        self.candidates.insert(place, candidate);
    }

    fn find(&mut self, address: &SocketAddr) -> Option<&mut Candidate> {
        self.candidates.iter_mut().find(|candidate| candidate.contact.address == *address)
    }

    /// Whom to ask now; nobody if enough are asked, or if all that matter are.
    pub(crate) fn next(&mut self, settings: &Settings) -> Option<Contact> {
        let asked = self.candidates.iter().filter(|candidate| candidate.state == State::Asked).count();
        if asked >= usize::from(settings.alpha.max(1)) || self.asked >= MAX_ASKED {
            return None;
        }
        let place = match self.frontier(true) {
            Frontier::Ask(place) => place,
            Frontier::Wait | Frontier::Found => return None,
            Frontier::Exhausted => match self.frontier(false) {
                Frontier::Ask(place) => place,
                _ => return None,
            },
        };
        let candidate = self.candidates.get_mut(place)?;
        candidate.state = State::Asked;
        self.asked += 1;
        Some(candidate.contact)
    }

    /// Whether nothing more can come of it.
    pub(crate) fn is_done(&self) -> bool {
        let waits = self.candidates.iter().any(|other| matches!(other.state, State::Asked | State::Slow));
        match self.frontier(true) {
            Frontier::Found => true,
            _ if self.asked >= MAX_ASKED => !waits,
            Frontier::Ask(_) | Frontier::Wait => false,
            Frontier::Exhausted => matches!(self.frontier(false), Frontier::Found | Frontier::Exhausted),
        }
    }

    /// Goes through the candidates, the closest first, until K results are found.
    fn frontier(&self, only_trusted: bool) -> Frontier {
        let (mut found, mut waits) = (0, false);
        for (place, candidate) in self.candidates.iter().enumerate() {
            match candidate.state {
                State::Replied if candidate.eligible => found += 1,
                State::Replied | State::Failed => {}
                State::Asked | State::Slow => waits |= !only_trusted || self.is_trusted(candidate),
                State::Fresh if only_trusted && !self.is_trusted(candidate) => {}
                State::Fresh => return Frontier::Ask(place),
            }
            if found == K {
                return if waits { Frontier::Wait } else { Frontier::Found };
            }
        }
        if waits { Frontier::Wait } else { Frontier::Exhausted }
    }

    fn is_trusted(&self, candidate: &Candidate) -> bool {
        let Some(referrer) = candidate.referrer else { return true };
        let mut referrers = self.candidates.iter().filter(|other| other.contact.address == referrer);
        referrers.next().is_none_or(|other| other.failed_referrals < MAX_FAILED_REFERRALS)
    }

    /// Takes an answer: who says it, what it allows us, and whom it names. `None` if nobody there was asked.
    pub(crate) fn replied(
        &mut self,
        from: Contact,
        token: Option<&[u8]>,
        nodes: &[Contact],
        settings: &Settings,
    ) -> Option<&mut Candidate> {
        let place = self.candidates.iter().position(|other| other.contact.address == from.address)?;
        let mut candidate = self.candidates.remove(place);
        if matches!(candidate.state, State::Asked | State::Slow) {
            self.judge(candidate.referrer, false);
        }
        // What others said of its id does not matter.
        candidate.contact = from;
        candidate.distance = distance(&self.target, &from.id);
        candidate.eligible = !settings.secure_ids || is_secure_id(&from.id, &from.address.ip());
        candidate.state = State::Replied;
        candidate.token = token.filter(|token| token.len() <= MAX_TOKEN_BYTES).map(Into::into);
        let hops = candidate.hops.saturating_add(1);
        self.insert(candidate);
        for node in nodes {
            self.offer(*node, Some(from.address), hops, settings);
        }
        self.find(&from.address)
    }

    /// The node takes its time.
    pub(crate) fn slow(&mut self, address: &SocketAddr) {
        if let Some(candidate) = self.find(address).filter(|candidate| candidate.state == State::Asked) {
            candidate.state = State::Slow;
        }
    }

    /// The node did not answer, or refused.
    pub(crate) fn failed(&mut self, address: &SocketAddr) {
        let Some(candidate) = self.find(address) else { return };
        if matches!(candidate.state, State::Asked | State::Slow) {
            candidate.state = State::Failed;
            let referrer = candidate.referrer;
            self.judge(referrer, true);
        }
    }

    fn judge(&mut self, referrer: Option<SocketAddr>, failed: bool) {
        let Some(referrer) = referrer.and_then(|address| self.find(&address)) else { return };
        let count = &mut referrer.failed_referrals;
        *count = if failed { count.saturating_add(1) } else { count.saturating_sub(1) };
    }

    /// The closest nodes that answered and whose ids fit their addresses.
    pub(crate) fn results(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter().filter(|other| other.state == State::Replied && other.eligible).take(K)
    }

    /// The closest of them that gave a token: where to store (BEP 33, BEP 42).
    pub(crate) fn stores(&self) -> impl Iterator<Item = &Candidate> {
        let eligible =
            |other: &&Candidate| other.state == State::Replied && other.eligible && other.token.is_some();
        self.candidates.iter().filter(eligible).take(K)
    }

    /// All that answered.
    pub(crate) fn answered(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter().filter(|other| other.state == State::Replied)
    }
}

/// What the candidates say is next.
enum Frontier {
    /// Ask this one.
    Ask(usize),
    /// All that matter are asked, and some have not answered.
    Wait,
    /// The K closest answered.
    Found,
    /// Fewer than K answered, and nobody is left.
    Exhausted,
}
