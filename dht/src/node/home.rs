//! What the node is on one socket.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use downpour_base::{Instant, NodeId};

use super::search::SearchId;
use crate::limits::{BOOTSTRAP_RETRY, MAX_FAILURES, MAX_SAVED_NODES};
use crate::message::Contact;
use crate::routing::RoutingTable;
use crate::votes::Votes;
use crate::{Family, SavedSocket, SocketId};

/// One socket: an id, a routing table, and what others say of our address.
pub(super) struct Home {
    pub(super) socket: SocketId,
    pub(super) family: Family,
    pub(super) port: u16,
    pub(super) table: RoutingTable,
    pub(super) votes: Votes,
    /// When the id was changed last, if it was.
    pub(super) renamed: Option<Instant>,
    /// A first look-up ended with nodes in the table.
    pub(super) joined: bool,
    /// The look-up for our own id, if it runs.
    pub(super) joining: Option<SearchId>,
    /// The look-up that refreshes a bucket, if it runs.
    pub(super) refreshing: Option<SearchId>,
    /// When to ask for bootstrap names next, and how long to wait then.
    pub(super) bootstrap_at: Instant,
    pub(super) bootstrap_wait: Duration,
    /// Nodes of the last run, until they were tried.
    pub(super) remembered: Vec<Contact>,
    /// Who is being pinged to see whether he answers.
    pub(super) probes: Vec<SocketAddr>,
}

impl Home {
    pub(super) fn new(now: Instant, socket: SocketId, local: SocketAddr, id: NodeId) -> Self {
        Self {
            socket,
            family: Family::of(&local.ip()),
            port: local.port(),
            table: RoutingTable::new(id, now),
            votes: Votes::default(),
            renamed: None,
            joined: false,
            joining: None,
            refreshing: None,
            bootstrap_at: now,
            bootstrap_wait: BOOTSTRAP_RETRY,
            remembered: Vec::new(),
            probes: Vec::new(),
        }
    }

    /// The address that others see.
    pub(super) fn external(&self) -> Option<IpAddr> {
        self.votes.elected()
    }

    /// What to remember for the next run. The closest nodes last, so they are what a full list leaves out.
    pub(super) fn saved(&self) -> SavedSocket {
        let kept = self.table.iter().filter(|entry| entry.failures < MAX_FAILURES).map(|entry| entry.contact);
        let mut nodes: Vec<Contact> = kept.take(MAX_SAVED_NODES).collect();
        if nodes.is_empty() {
            // Never got in: what was remembered is still the best there is.
            nodes.clone_from(&self.remembered);
        }
        SavedSocket { family: self.family, id: self.table.own(), external: self.external(), nodes }
    }
}
