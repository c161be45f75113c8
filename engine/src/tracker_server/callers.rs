//! Who is connected, so that nobody takes all the room.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, PoisonError};

use super::Shared;

/// Connections at one time.
const MAX_CONNECTIONS: usize = 512;
/// Connections at one time from one IPv4 address, or one /64 of IPv6.
const MAX_OF_ONE: usize = 64;

/// How many connections there are, and whose.
#[derive(Debug, Default)]
pub(super) struct Callers {
    all: usize,
    by_address: BTreeMap<IpAddr, usize>,
}

/// A place among the callers, given back when it is dropped.
pub(super) struct Place {
    shared: Arc<Shared>,
    key: IpAddr,
}

/// Who gets an IPv6 network has a /64 at least.
fn key(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

/// A place for a caller, if there is one.
pub(super) fn admit(shared: &Arc<Shared>, ip: IpAddr) -> Option<Place> {
    let key = key(ip);
    let mut callers = shared.callers.lock().unwrap_or_else(PoisonError::into_inner);
    let of_one = callers.by_address.get(&key).copied().unwrap_or_default();
    if callers.all >= MAX_CONNECTIONS || of_one >= MAX_OF_ONE {
        return None;
    }
    callers.all += 1;
    callers.by_address.insert(key, of_one + 1);
    Some(Place { shared: Arc::clone(shared), key })
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut callers = self.shared.callers.lock().unwrap_or_else(PoisonError::into_inner);
        callers.all -= 1;
        if let Some(of_one) = callers.by_address.get_mut(&self.key) {
            *of_one -= 1;
            if *of_one == 0 {
                callers.by_address.remove(&self.key);
            }
        }
    }
}
