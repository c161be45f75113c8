//! Who calls, and how often: one address can neither take all places for handshakes nor make us work without end.

use core::net::{IpAddr, Ipv6Addr};
use std::collections::VecDeque;

use downpour_base::{ConnectionId, Instant, Map, MapKey, PeerEndpoint};

use crate::limits::{
    INCOMING_WINDOW, MAX_HANDSHAKES, MAX_HANDSHAKES_PER_ADDRESS, MAX_VISITORS, REFUSAL_NOTICE_INTERVAL,
};
use crate::{Event, RefuseReason};

/// What is kept of an address that calls.
#[derive(Clone, Copy, Debug, Default)]
struct Visitor {
    /// When all its calls would have been made, were they made at the rate that is allowed.
    spread_until: Instant,
    handshaking: u32,
    /// Refusals that no notice told of, and when the last notice did.
    refused: u64,
    told: Option<Instant>,
}

/// The addresses that called lately, and the connections whose handshake is awaited. Of a full list, the address that came
/// first is forgotten first; one with a handshake under way is not.
#[derive(Debug)]
pub(crate) struct Visitors {
    known: Map<IpAddr, Visitor>,
    order: VecDeque<IpAddr>,
    handshaking: Map<ConnectionId, PeerEndpoint>,
}

/// Whoever has one IPv6 address has all of its network of 2^64.
fn key(endpoint: PeerEndpoint) -> Option<IpAddr> {
    Some(match endpoint.address()?.ip().to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    })
}

impl Visitors {
    pub(crate) fn new(key: MapKey) -> Self {
        Self { known: key.map(), order: VecDeque::new(), handshaking: key.map() }
    }

    /// Somebody calls. With so many calls a minute, `per_minute` may come at once.
    pub(crate) fn admit(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        endpoint: PeerEndpoint,
        per_minute: u32,
    ) -> Result<(), RefuseReason> {
        let full = self.handshaking.len() >= MAX_HANDSHAKES;
        let Some(visitor) = self.visitor(endpoint) else { return Ok(()) };
        let spread = visitor.spread_until.max(now) + INCOMING_WINDOW / per_minute.max(1);
        if spread > now + INCOMING_WINDOW {
            return Err(RefuseReason::TooOften);
        }
        if full || visitor.handshaking >= MAX_HANDSHAKES_PER_ADDRESS {
            return Err(RefuseReason::TooManyHandshakes);
        }
        visitor.spread_until = spread;
        visitor.handshaking += 1;
        self.handshaking.insert(connection, endpoint);
        Ok(())
    }

    fn visitor(&mut self, endpoint: PeerEndpoint) -> Option<&mut Visitor> {
        let key = key(endpoint)?;
        if !self.known.contains_key(&key) {
            while self.known.len() >= MAX_VISITORS
                && let Some(oldest) = self.order.pop_front()
            {
                if self.known.get(&oldest).is_some_and(|visitor| visitor.handshaking > 0) {
                    // There are fewer of these than the list is long.
                    self.order.push_back(oldest);
                } else {
                    self.known.remove(&oldest);
                }
            }
            self.order.push_back(key);
        }
        Some(self.known.entry(key).or_default())
    }

    /// Its handshake came, or it ended without one. Returns who it is.
    pub(crate) fn arrived(&mut self, connection: ConnectionId) -> Option<PeerEndpoint> {
        let endpoint = self.handshaking.remove(&connection)?;
        if let Some(visitor) = self.visitor(endpoint) {
            visitor.handshaking = visitor.handshaking.saturating_sub(1);
        }
        Some(endpoint)
    }

    /// Somebody was refused: what to tell of it, once a while for each address.
    pub(crate) fn refused(
        &mut self,
        now: Instant,
        endpoint: PeerEndpoint,
        reason: RefuseReason,
    ) -> Option<Event> {
        let visitor = self.visitor(endpoint)?;
        visitor.refused += 1;
        if visitor.told.is_some_and(|told| told + REFUSAL_NOTICE_INTERVAL > now) {
            return None;
        }
        visitor.told = Some(now);
        let times = std::mem::take(&mut visitor.refused);
        Some(Event::ConnectionRefused { endpoint, reason, times })
    }
}

const _: () = assert!(MAX_HANDSHAKES < MAX_VISITORS && INCOMING_WINDOW.as_secs() > 0);
