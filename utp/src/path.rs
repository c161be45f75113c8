//! How large a packet the path carries.

use core::net::SocketAddr;

use crate::limits::{MAX_MTU_PROBES, MIN_PACKET_V4, MIN_PACKET_V6, MTU_PRECISION};

/// The search for the largest packet, between what surely passes and what the link allows (in the way of RFC 8899).
///
/// A probe is a data packet that is made longer with an extension that nobody knows. If it is lost, its payload is
/// sent again without: so nothing is ever sent that is larger than what is known to pass, and all packets can forbid
/// fragmentation.
#[derive(Debug)]
pub(crate) struct PathMtu {
    floor: u16,
    ceiling: u16,
    under_way: bool,
    tried: bool,
    lost: u8,
}

impl PathMtu {
    /// `link_mtu` is the size of an IP packet.
    pub(crate) fn new(remote: SocketAddr, link_mtu: u16) -> Self {
        let (headers, floor) = match remote {
            SocketAddr::V4(_) => (28, MIN_PACKET_V4),
            SocketAddr::V6(_) => (48, MIN_PACKET_V6),
        };
        let ceiling = link_mtu.saturating_sub(headers).max(floor);
        Self { floor, ceiling, under_way: false, tried: false, lost: 0 }
    }

    /// The size of ordinary packets: header, extensions and payload.
    pub(crate) fn packet(&self) -> u16 {
        self.floor
    }

    /// The size of the next probe, if one is due: first of all the largest, which mostly passes.
    pub(crate) fn probe(&self) -> Option<u16> {
        if self.under_way || self.ceiling - self.floor < MTU_PRECISION {
            return None;
        }
        Some(if self.tried { self.floor + (self.ceiling - self.floor).div_ceil(2) } else { self.ceiling })
    }

    pub(crate) fn probe_sent(&mut self) {
        self.under_way = true;
    }

    pub(crate) fn probe_acknowledged(&mut self, size: u16) {
        self.under_way = false;
        self.tried = true;
        self.lost = 0;
        self.floor = self.floor.max(size.min(self.ceiling));
    }

    pub(crate) fn probe_lost(&mut self, size: u16) {
        self.under_way = false;
        self.lost += 1;
        if self.lost >= MAX_MTU_PROBES {
            self.refused(size);
        }
    }

    /// `size` surely does not pass.
    pub(crate) fn refused(&mut self, size: u16) {
        self.tried = true;
        self.lost = 0;
        self.ceiling = self.ceiling.min(size.saturating_sub(1)).max(self.floor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches on a path that carries `limit` bytes; returns the size found, and how many probes it took.
    fn search(link_mtu: u16, limit: u16) -> (u16, u32) {
        let mut path = PathMtu::new(([127, 0, 0, 1], 1).into(), link_mtu);
        let mut probes = 0;
        while let Some(size) = path.probe() {
            probes += 1;
            path.probe_sent();
            assert_eq!(path.probe(), None, "one at a time");
            if size <= limit { path.probe_acknowledged(size) } else { path.probe_lost(size) }
        }
        (path.packet(), probes)
    }

    #[test]
    fn the_search_ends_near_the_limit() {
        assert_eq!(search(1500, 1472), (1472, 1));
        for limit in MIN_PACKET_V4..1472 {
            let (found, probes) = search(1500, limit);
            assert!(found <= limit && found + MTU_PRECISION >= limit, "{found} of {limit}");
            assert!(probes < 40, "{probes}");
        }
        assert_eq!(search(100, 1472).0, MIN_PACKET_V4);
        assert_eq!(search(65_535, 65_507).0, 65_507);
    }
}
