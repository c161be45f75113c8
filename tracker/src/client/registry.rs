//! Tracker URLs and hosts, each once however many torrents have them.

use std::sync::Arc;

use downpour_base::{Map, MapKey};

use super::host::Host;
use crate::{Scheme, TrackerUrl, UrlError};

/// A tracker URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TrackerId(pub(super) u32);

/// A host and port that is asked over HTTP or UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct HostId(pub(super) u32);

#[derive(Debug)]
struct Tracker {
    url: Arc<str>,
    host: HostId,
    users: u32,
}

type HostKey = (bool, String, u16);

#[derive(Debug)]
pub(super) struct Registry {
    by_url: Map<Arc<str>, TrackerId>,
    trackers: Map<TrackerId, Tracker>,
    by_host: Map<HostKey, HostId>,
    hosts: Map<HostId, Host>,
    next: u32,
}

impl Registry {
    pub(super) fn new(key: MapKey) -> Self {
        Self { by_url: key.map(), trackers: key.map(), by_host: key.map(), hosts: key.map(), next: 0 }
    }

    /// The tracker with this URL, which has one user more now.
    pub(super) fn acquire(&mut self, url: &str) -> Result<TrackerId, UrlError> {
        if let Some(id) = self.by_url.get(url) {
            if let Some(tracker) = self.trackers.get_mut(id) {
                tracker.users += 1;
            }
            return Ok(*id);
        }
        let parts = TrackerUrl::parse(url)?;
        let key = (parts.scheme == Scheme::Udp, parts.host.to_ascii_lowercase(), parts.port);
        let host = match self.by_host.get(&key) {
            Some(host) => *host,
            None => {
                let host = HostId(self.number());
                self.hosts.insert(host, Host::new(&parts));
                self.by_host.insert(key, host);
                host
            }
        };
        if let Some(host) = self.hosts.get_mut(&host) {
            host.urls += 1;
        }
        let id = TrackerId(self.number());
        let url: Arc<str> = url.into();
        self.by_url.insert(Arc::clone(&url), id);
        self.trackers.insert(id, Tracker { url, host, users: 1 });
        Ok(id)
    }

    /// One user less. A host that nobody needs any more is given back.
    pub(super) fn release(&mut self, id: TrackerId) -> Option<(HostId, Host)> {
        let tracker = self.trackers.get_mut(&id)?;
        tracker.users -= 1;
        if tracker.users > 0 {
            return None;
        }
        let tracker = self.trackers.remove(&id)?;
        self.by_url.remove(&tracker.url);
        let host = self.hosts.get_mut(&tracker.host)?;
        host.urls -= 1;
        if host.urls > 0 {
            return None;
        }
        let host = self.hosts.remove(&tracker.host)?;
        self.by_host.remove(&(host.udp.is_some(), host.name.to_ascii_lowercase(), host.port));
        Some((tracker.host, host))
    }

    pub(super) fn find(&self, url: &str) -> Option<TrackerId> {
        self.by_url.get(url).copied()
    }

    pub(super) fn url(&self, id: TrackerId) -> Option<Arc<str>> {
        self.trackers.get(&id).map(|tracker| Arc::clone(&tracker.url))
    }

    pub(super) fn host_of(&self, id: TrackerId) -> Option<HostId> {
        self.trackers.get(&id).map(|tracker| tracker.host)
    }

    pub(super) fn host(&self, id: HostId) -> Option<&Host> {
        self.hosts.get(&id)
    }

    pub(super) fn host_mut(&mut self, id: HostId) -> Option<&mut Host> {
        self.hosts.get_mut(&id)
    }

    fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }
}
