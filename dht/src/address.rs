//! Addresses: families, networks, and which ones the internet can reach.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One of the two independent DHTs (BEP 32).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// The DHT over IPv4.
    V4,
    /// The DHT over IPv6.
    V6,
}

impl Family {
    /// The DHT that an address belongs to.
    #[must_use]
    pub fn of(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// The part of an address that one owner can be taken to hold: an IPv4 /24 or an IPv6 /64, for diversity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Network(u64, Family);

impl Network {
    pub(crate) fn of(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self(u64::from(v4.to_bits() >> 8), Family::V4),
            IpAddr::V6(v6) => Self((v6.to_bits() >> 64) as u64, Family::V6),
        }
    }
}

/// Who is counted as one source by rate limits and quotas: an IPv4 address, or an IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Source {
    V4(u32),
    /// In bytes, so that the key of large maps is not padded to eight.
    V6([u8; 8]),
}

impl Source {
    pub(crate) fn of(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::V4(v4.to_bits()),
            IpAddr::V6(v6) => Self::V6(((v6.to_bits() >> 64) as u64).to_be_bytes()),
        }
    }
}

/// Whether a local network may use the address, so that BEP 42 exempts it.
pub(crate) fn is_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local() || v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// Whether a node can be asked there at all: a port, and one host behind the address.
pub(crate) fn is_usable(address: &SocketAddr) -> bool {
    let ip = address.ip();
    let host = match ip {
        IpAddr::V4(v4) => !v4.is_broadcast() && v4.octets()[0] != 0,
        // A mapped address would be the same host under a second name.
        IpAddr::V6(v6) => v6.to_ipv4_mapped().is_none(),
    };
    address.port() != 0 && host && !ip.is_multicast() && !ip.is_unspecified()
}

/// Whether the address can be that of a host on the internet.
pub(crate) fn is_routable(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_routable_v4(*v4),
        IpAddr::V6(v6) => is_routable_v6(*v6),
    }
}

fn is_routable_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && b & 0xc0 == 64;
    let protocol = (a, b, c) == (192, 0, 0);
    let benchmarking = a == 198 && b & 0xfe == 18;
    let special = a == 0 || a >= 224 || shared || protocol || benchmarking || address.is_documentation();
    !(special || address.is_private() || address.is_link_local() || address.is_loopback())
}

fn is_routable_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let documentation = (a, b) == (0x2001, 0x0db8);
    // Global unicast, the only block that is given out.
    a & 0xe000 == 0x2000 && !documentation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_internet_is_told_from_special_networks() {
        for routable in ["8.8.8.8", "100.128.0.1", "172.32.0.1", "2a00:1450::1", "2001:470::1"] {
            assert!(is_routable(&routable.parse().unwrap()), "{routable}");
        }
        for special in [
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "172.16.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "fe80::1",
            "fd00::1",
            "2001:db8::1",
            "ff02::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(!is_routable(&special.parse().unwrap()), "{special}");
        }
    }

    #[test]
    fn networks_are_slash_24_and_slash_64() {
        let network = |text: &str| Network::of(&text.parse().unwrap());
        assert_eq!(network("1.2.3.4"), network("1.2.3.250"));
        assert_ne!(network("1.2.3.4"), network("1.2.4.4"));
        assert_eq!(network("2a00:1:2:3::1"), network("2a00:1:2:3:ffff::9"));
        assert_ne!(network("2a00:1:2:3::1"), network("2a00:1:2:4::1"));
    }
}
