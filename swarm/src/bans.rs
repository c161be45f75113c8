//! Whom never to talk to again.

use core::net::IpAddr;
use std::collections::VecDeque;

use downpour_base::{MapKey, PeerEndpoint, Set};

use crate::limits::{MAX_BANS, MAX_OWN_ADDRESSES};

/// Banned addresses, and those that turned out to be our own. Both lists are bounded; the oldest ban goes first.
#[derive(Debug)]
pub(crate) struct Bans {
    /// Address and port; port 0 stands for all.
    banned: Set<(IpAddr, u16)>,
    order: VecDeque<(IpAddr, u16)>,
    own: VecDeque<PeerEndpoint>,
}

impl Bans {
    pub(crate) fn new(key: MapKey) -> Self {
        Self { banned: key.set(), order: VecDeque::new(), own: VecDeque::new() }
    }

    /// Never again, on whatever port; but on this machine, many peers share an address.
    pub(crate) fn ban(&mut self, endpoint: PeerEndpoint) {
        let Some(address) = endpoint.address() else { return };
        let port = if address.ip().is_loopback() { address.port() } else { 0 };
        if self.banned.insert((address.ip(), port)) {
            self.order.push_back((address.ip(), port));
        }
        if self.order.len() > MAX_BANS
            && let Some(oldest) = self.order.pop_front()
        {
            self.banned.remove(&oldest);
        }
    }

    pub(crate) fn is_banned(&self, endpoint: PeerEndpoint) -> bool {
        let ports = |address: core::net::SocketAddr| [0, address.port()].map(|port| (address.ip(), port));
        endpoint.address().is_some_and(|address| ports(address).iter().any(|key| self.banned.contains(key)))
    }

    /// At `endpoint` we reach ourselves.
    pub(crate) fn add_own(&mut self, endpoint: PeerEndpoint) {
        if !self.is_own(endpoint) {
            self.own.push_back(endpoint);
        }
        if self.own.len() > MAX_OWN_ADDRESSES {
            self.own.pop_front();
        }
    }

    pub(crate) fn is_own(&self, endpoint: PeerEndpoint) -> bool {
        self.own.contains(&endpoint)
    }
}
