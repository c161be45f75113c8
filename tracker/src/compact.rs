//! Peers as packed addresses (BEP 7, 23).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of an IPv4 address and port.
pub(crate) const V4_LENGTH: usize = 6;
/// Bytes of an IPv6 address and port.
pub(crate) const V6_LENGTH: usize = 18;

/// Writes an address as 6 or 18 bytes. IPv4 addresses in IPv6 clothing become IPv4.
pub(crate) fn write_peer(address: SocketAddr, to: &mut Vec<u8>) {
    write_ip(address.ip(), to);
    to.extend_from_slice(&address.port().to_be_bytes());
}

/// Writes an address as 4 or 16 bytes.
pub(crate) fn write_ip(ip: IpAddr, to: &mut Vec<u8>) {
    match ip.to_canonical() {
        IpAddr::V4(v4) => to.extend_from_slice(&v4.octets()),
        IpAddr::V6(v6) => to.extend_from_slice(&v6.octets()),
    }
}

/// Reads an address of 4 or 16 bytes.
pub(crate) fn read_ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|octets| Ipv4Addr::from(octets).into());
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|octets| Ipv6Addr::from(octets).into())).ok()
}

/// The addresses in `bytes`, each `length` long; what is left over at the end is not looked at. Those that nobody can
/// call are left out: port 0, the unspecified address, multicast and broadcast.
pub(crate) fn read_peers(bytes: &[u8], length: usize) -> impl Iterator<Item = SocketAddr> + '_ {
    bytes.chunks_exact(length).filter_map(move |peer| {
        let (ip, port) = peer.split_at(length - 2);
        let port = u16::from_be_bytes(port.try_into().ok()?);
        callable(SocketAddr::new(read_ip(ip)?.to_canonical(), port))
    })
}

/// The address, if somebody could be called there.
pub(crate) fn callable(address: SocketAddr) -> Option<SocketAddr> {
    let ip = address.ip();
    let nobody = ip.is_unspecified() || ip.is_multicast() || ip == Ipv4Addr::BROADCAST;
    (address.port() != 0 && !nobody).then_some(address)
}
