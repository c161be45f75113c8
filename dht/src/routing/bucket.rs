//! One bucket: up to K nodes, and those that wait to replace them.

use downpour_base::{Instant, NodeId};

use super::{Entry, Kept, Quality};
use crate::Settings;
use crate::address::Network;
use crate::limits::{K, MAX_FAILURES};

#[derive(Clone, Debug)]
pub(super) struct Bucket {
    pub(super) entries: Vec<Entry>,
    /// The latest last. They answered once, when there was no place for them.
    pub(super) replacements: Vec<Entry>,
    /// When a node was last added, replaced or heard of.
    pub(super) changed: Instant,
}

impl Bucket {
    pub(super) fn new(now: Instant) -> Self {
        Self { entries: Vec::new(), replacements: Vec::new(), changed: now }
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= K
    }

    pub(super) fn has_bad(&self) -> bool {
        self.entries.iter().any(|entry| entry.failures >= MAX_FAILURES)
    }

    pub(super) fn find(&mut self, id: &NodeId) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.contact.id == *id)
    }

    /// Whether one more node of `network` is not too many.
    pub(super) fn has_diversity(&self, network: &Network, settings: &Settings) -> bool {
        let limit = usize::from(settings.nodes_per_network);
        let same = |entry: &&Entry| Network::of(&entry.contact.address.ip()) == *network;
        limit == 0 || self.entries.iter().filter(same).take(limit).count() < limit
    }

    /// Adds a node that is not in the bucket: to a free place, to that of a bad node, or, if its id fits its address, to that
    /// of one whose id does not. Else it waits.
    pub(super) fn add(&mut self, now: Instant, entry: Entry, settings: &Settings) -> Kept {
        self.replacements.retain(|other| other.contact.id != entry.contact.id);
        if !self.has_diversity(&Network::of(&entry.contact.address.ip()), settings) {
            return Kept::Refused;
        }
        if !self.is_full() {
            self.entries.push(entry);
            self.changed = now;
            return Kept::New;
        }
        let bad = self.entries.iter_mut().find(|other| other.failures >= MAX_FAILURES);
        if let Some(bad) = bad {
            *bad = entry;
            self.changed = now;
            return Kept::New;
        }
        let better = settings.secure_ids && entry.secure;
        let insecure = self.entries.iter_mut().filter(|other| better && !other.secure);
        if let Some(insecure) = insecure.min_by_key(|other| other.last_reply) {
            let other = core::mem::replace(insecure, entry);
            self.changed = now;
            self.wait(other);
            return Kept::New;
        }
        self.wait(entry);
        let questionable = self.entries.iter().filter(|other| other.quality(now) == Quality::Questionable);
        Kept::Cached(questionable.min_by_key(|other| other.last_reply).map(|other| other.contact))
    }

    fn wait(&mut self, entry: Entry) {
        if self.replacements.len() >= K {
            self.replacements.remove(0);
        }
        self.replacements.push(entry);
    }

    /// Gives the place of a bad node to the latest replacement that fits; `drop` says whether the node goes without one too.
    pub(super) fn replace(&mut self, now: Instant, id: &NodeId, drop: bool, settings: &Settings) {
        let Some(place) = self.entries.iter().position(|entry| entry.contact.id == *id) else { return };
        let bad = self.entries.swap_remove(place);
        while let Some(next) = self.replacements.pop() {
            if self.has_diversity(&Network::of(&next.contact.address.ip()), settings) {
                self.entries.push(next);
                self.changed = now;
                return;
            }
        }
        if !drop {
            self.entries.push(bad);
        }
    }
}
