//! The nodes that are kept (BEP 5, "Routing Table"): many near our own id, few far away.

mod bucket;

use core::net::SocketAddr;

use downpour_base::{Instant, NodeId, Rng};

use crate::address::Network;
use crate::distance::{distance, random_id_near};
use crate::limits::{K, MAX_FAILURES, REFRESH_AFTER};
use crate::message::Contact;
use crate::{Settings, is_secure_id};
use bucket::Bucket;

/// What is known of a kept node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who and where.
    pub contact: Contact,
    /// When it last answered us. A node that never did is not kept.
    pub last_reply: Instant,
    /// When it last asked us something.
    pub last_query: Option<Instant>,
    /// Queries in a row that it left unanswered.
    pub failures: u8,
    /// Its id fits its address (BEP 42).
    pub secure: bool,
}

/// How fresh a node is (BEP 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// Answered or asked within 15 minutes.
    Good,
    /// Silent for longer.
    Questionable,
    /// Left several queries in a row unanswered.
    Bad,
}

impl Entry {
    /// How fresh the node is.
    #[must_use]
    pub fn quality(&self, now: Instant) -> Quality {
        let seen = self.last_query.map_or(self.last_reply, |query| query.max(self.last_reply));
        if self.failures >= MAX_FAILURES {
            Quality::Bad
        } else if now.saturating_duration_since(seen) < crate::limits::GOOD_FOR {
            Quality::Good
        } else {
            Quality::Questionable
        }
    }
}

/// What became of a node that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is new in the table.
    New,
    /// It was in the table.
    Known,
    /// Its bucket is full, so it waits as a replacement. If a node of the bucket was silent for long, here it is: it
    /// should be pinged, and makes room if it does not answer.
    Cached(Option<Contact>),
    /// It is not kept: its id is ours or another node's, or there are enough of its address or network.
    Refused,
}

/// A routing table: buckets that each cover a part of the ids. Bucket `i` has the nodes that share `i` leading bits with
/// our id, the last one those that share more; it alone is split when full.
#[derive(Clone, Debug)]
pub struct RoutingTable {
    own: NodeId,
    buckets: Vec<Bucket>,
}

impl RoutingTable {
    /// An empty table around our own id.
    #[must_use]
    pub fn new(own: NodeId, now: Instant) -> Self {
        Self { own, buckets: vec![Bucket::new(now)] }
    }

    /// Our own id.
    #[must_use]
    pub fn own(&self) -> NodeId {
        self.own
    }

    /// All nodes, but for replacements; those of one bucket together, the farthest bucket first.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.buckets.iter().flat_map(|bucket| bucket.entries.iter())
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.entries.len()).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buckets.iter().all(|bucket| bucket.entries.is_empty())
    }

    fn index(&self, id: &NodeId) -> usize {
        distance(&self.own, id).shared_bits().min(self.buckets.len() - 1)
    }

    fn bucket(&mut self, id: &NodeId) -> &mut Bucket {
        let index = self.index(id);
        // There is one bucket at least, and `index` is that of one.
        &mut self.buckets[index]
    }

    /// A node answered us: keeps it if there is a place.
    pub fn replied(&mut self, now: Instant, contact: Contact, settings: &Settings) -> Kept {
        if contact.id == self.own {
            return Kept::Refused;
        }
        if let Some(entry) = self.bucket(&contact.id).find(&contact.id) {
            if entry.contact.address != contact.address {
                if entry.failures == 0 {
                    return Kept::Refused;
                }
                entry.contact = contact;
                entry.secure = is_secure_id(&contact.id, &contact.address.ip());
            }
            (entry.last_reply, entry.failures) = (now, 0);
            self.bucket(&contact.id).changed = now;
            return Kept::Known;
        }
        self.evict_renamed(&contact);
        let same_address = |entry: &Entry| entry.contact.address.ip() == contact.address.ip();
        let mut waiting = self.buckets.iter().flat_map(|bucket| bucket.replacements.iter());
        let waits = waiting.any(|entry| same_address(entry) && entry.contact.id != contact.id);
        if settings.one_node_per_address && (waits || self.iter().any(same_address)) {
            return Kept::Refused;
        }
        let secure = is_secure_id(&contact.id, &contact.address.ip());
        let entry = Entry { contact, last_reply: now, last_query: None, failures: 0, secure };
        loop {
            let last = self.buckets.len() - 1;
            let index = self.index(&contact.id);
            let bucket = &mut self.buckets[index];
            if bucket.is_full() && index == last && last < 159 {
                self.split(now);
                continue;
            }
            return bucket.add(now, entry, settings);
        }
    }

    /// A node that now has another id is two-faced or new at that address: the old entry goes (BEP 45).
    fn evict_renamed(&mut self, contact: &Contact) {
        for bucket in &mut self.buckets {
            bucket.entries.retain(|entry| entry.contact.address != contact.address);
            bucket.replacements.retain(|entry| entry.contact.address != contact.address);
        }
    }

    /// Replaces the last bucket by two.
    fn split(&mut self, now: Instant) {
        let bits = self.buckets.len();
        let Some(last) = self.buckets.last_mut() else { return };
        let own = self.own;
        let closer = |entry: &Entry| distance(&own, &entry.contact.id).shared_bits() >= bits;
        let mut new = Bucket::new(now);
        new.changed = last.changed;
        (new.entries, last.entries) = last.entries.drain(..).partition(closer);
        (new.replacements, last.replacements) = last.replacements.drain(..).partition(closer);
        self.buckets.push(new);
    }

    /// A node asked us something. Returns whether it is in the table.
    pub fn asked(&mut self, now: Instant, contact: &Contact) -> bool {
        match self.bucket(&contact.id).find(&contact.id) {
            Some(entry) if entry.contact.address == contact.address => {
                entry.last_query = Some(now);
                true
            }
            _ => false,
        }
    }

    /// Whether a node that is not in the table could get a place if it answered.
    #[must_use]
    pub fn has_place(&self, contact: &Contact, settings: &Settings) -> bool {
        let index = self.index(&contact.id);
        let bucket = &self.buckets[index];
        let ip = contact.address.ip();
        let taken = |entry: &Entry| settings.one_node_per_address && entry.contact.address.ip() == ip;
        contact.id != self.own
            && (!bucket.is_full() || index == self.buckets.len() - 1 || bucket.has_bad())
            && bucket.has_diversity(&Network::of(&ip), settings)
            && !self.iter().any(taken)
    }

    /// A node left a query unanswered. When it has done so [`MAX_FAILURES`] times, a replacement takes its place; without
    /// one it goes if enough others answer, for then it is not our own network that is down.
    pub fn failed(&mut self, now: Instant, contact: &Contact, settings: &Settings) {
        let answering = self.iter().filter(|entry| entry.failures == 0).take(K).count();
        let bucket = self.bucket(&contact.id);
        let Some(entry) = bucket.find(&contact.id).filter(|entry| entry.contact == *contact) else { return };
        entry.failures = entry.failures.saturating_add(1);
        if entry.failures >= MAX_FAILURES {
            bucket.replace(now, &contact.id, answering == K, settings);
        }
    }

    /// The `count` nodes closest to a place, closest first, of those that left no query unanswered.
    #[must_use]
    pub fn closest(&self, target: &NodeId, count: usize) -> Vec<Contact> {
        self.closest_where(target, count, |entry| entry.failures == 0)
    }

    /// The same of those for which `wanted` is true.
    pub fn closest_where(
        &self,
        target: &NodeId,
        count: usize,
        wanted: impl Fn(&Entry) -> bool,
    ) -> Vec<Contact> {
        let mut found: Vec<Contact> = Vec::with_capacity(count + K);
        let take = |found: &mut Vec<Contact>, bucket: &Bucket| {
            found.extend(bucket.entries.iter().filter(|entry| wanted(entry)).map(|entry| entry.contact));
        };
        // The target's own bucket is closest. All buckets nearer to us are equally far from it in their first bit that
        // differs; those farther from us follow one by one.
        let index = self.index(target);
        take(&mut found, &self.buckets[index]);
        if found.len() < count {
            self.buckets[index + 1..].iter().for_each(|bucket| take(&mut found, bucket));
        }
        for bucket in self.buckets[..index].iter().rev() {
            if found.len() >= count {
                break;
            }
            take(&mut found, bucket);
        }
        found.sort_unstable_by_key(|contact| distance(target, &contact.id));
        found.truncate(count);
        found
    }

    /// An id to look for, if a bucket did not change for 15 minutes (BEP 5). It then counts as changed.
    pub fn refresh(&mut self, now: Instant, rng: &mut Rng) -> Option<NodeId> {
        let last = self.buckets.len() - 1;
        let (index, bucket) = self.buckets.iter_mut().enumerate().min_by_key(|(_, bucket)| bucket.changed)?;
        if now.saturating_duration_since(bucket.changed) < REFRESH_AFTER {
            return None;
        }
        bucket.changed = now;
        Some(if index == last { self.own } else { random_id_near(&self.own, index, rng) })
    }

    /// The node that was silent for longest, if any is not good any more.
    #[must_use]
    pub fn most_questionable(&self, now: Instant) -> Option<Contact> {
        let stale = self.iter().filter(|entry| entry.quality(now) != Quality::Good);
        stale.min_by_key(|entry| entry.last_reply).map(|entry| entry.contact)
    }

    /// Another id of ours: all nodes find their new places.
    pub fn rebase(&mut self, own: NodeId, now: Instant, settings: &Settings) {
        let old = core::mem::replace(self, Self::new(own, now));
        for bucket in old.buckets {
            for entry in bucket.entries.into_iter().chain(bucket.replacements) {
                let kept = self.replied(now, entry.contact, settings) != Kept::Refused;
                if let Some(new) = self.bucket(&entry.contact.id).find(&entry.contact.id).filter(|_| kept) {
                    *new = entry;
                }
            }
        }
    }

    /// Whether a node at this address is in the table.
    #[must_use]
    pub fn has_address(&self, address: &SocketAddr) -> bool {
        self.iter().any(|entry| entry.contact.address == *address)
    }
}
