//! The routing table beside a slow twin.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use downpour_base::{Instant, NodeId};
use downpour_dht::routing::{Kept, RoutingTable};
use downpour_dht::{Contact, Settings, distance, limits};
use proptest::prelude::*;

const OWN: NodeId = NodeId([0x55; 20]);

/// Ids that crowd around our own, as they must for buckets to fill and split.
fn id() -> impl Strategy<Value = NodeId> {
    (0..160usize, any::<[u8; 20]>()).prop_map(|(shared, random)| {
        let mut id = NodeId(random);
        for bit in 0..shared {
            let mask = 0x80 >> (bit % 8);
            id.0[bit / 8] = id.0[bit / 8] & !mask | OWN.0[bit / 8] & mask;
        }
        id
    })
}

fn address(host: u32) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::from_bits(0x0900_0000 + host)), 6881)
}

#[derive(Clone, Debug)]
enum Event {
    Replied(NodeId, u32),
    Failed(usize),
    Asked(usize),
    Rebase(NodeId),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (id(), 0..4000u32).prop_map(|(id, host)| Event::Replied(id, host)),
        3 => any::<prop::sample::Index>().prop_map(|at| Event::Failed(at.index(1 << 20))),
        1 => any::<prop::sample::Index>().prop_map(|at| Event::Asked(at.index(1 << 20))),
        1 => id().prop_map(Event::Rebase),
    ]
}

fn check(table: &RoutingTable, target: &NodeId, settings: &Settings) {
    let entries: Vec<_> = table.iter().copied().collect();
    assert_eq!(entries.len(), table.len());
    let mut all: Vec<Contact> =
        entries.iter().filter(|entry| entry.failures == 0).map(|entry| entry.contact).collect();
    all.sort_by_key(|contact| distance(target, &contact.id));
    all.truncate(limits::K);
    assert_eq!(table.closest(target, limits::K), all);

    let own = table.own();
    let shared = |contact: &Contact| distance(&own, &contact.id).shared_bits();
    for (at, entry) in entries.iter().enumerate() {
        assert_ne!(entry.contact.id, own);
        for other in &entries[at + 1..] {
            assert_ne!(entry.contact.id, other.contact.id);
            assert!(
                !settings.one_node_per_address || entry.contact.address.ip() != other.contact.address.ip()
            );
        }
    }
    let deepest = entries.iter().map(|entry| shared(&entry.contact)).max().unwrap_or(0);
    for bits in 0..=deepest {
        // Buckets other than the last have K at most.
        let beyond = entries.iter().filter(|entry| shared(&entry.contact) > bits).count();
        let here = entries.iter().filter(|entry| shared(&entry.contact) == bits).count();
        assert!(here <= limits::K || beyond == 0 && here + beyond <= limits::K);
    }
}

proptest! {
    #[test]
    fn the_closest_are_those_that_sorting_all_finds(
        events in prop::collection::vec(event(), 1..300),
        target in id(),
        loose in any::<bool>(),
    ) {
        let settings = match loose {
            true => Settings { one_node_per_address: false, nodes_per_network: 0, secure_ids: false, ..Settings::default() },
            false => Settings::default(),
        };
        let mut now = Instant::ORIGIN;
        let mut table = RoutingTable::new(OWN, now);
        for event in events {
            now += Duration::from_secs(7);
            let pick = |at: usize, table: &RoutingTable| table.iter().nth(at % table.len().max(1)).map(|entry| entry.contact);
            match event {
                Event::Replied(id, host) => drop(table.replied(now, Contact { id, address: address(host) }, &settings)),
                Event::Failed(at) => if let Some(contact) = pick(at, &table) { table.failed(now, &contact, &settings) },
                Event::Asked(at) => if let Some(contact) = pick(at, &table) { assert!(table.asked(now, &contact)) },
                Event::Rebase(id) => table.rebase(id, now, &settings),
            }
        }
        check(&table, &target, &settings);
        check(&table, &OWN, &settings);
    }
}

/// A node far from us, in the first bucket; each in its own network.
fn far(number: u32) -> Contact {
    let mut id = [0xff; 20];
    id[16..].copy_from_slice(&number.to_be_bytes());
    Contact { id: NodeId(id), address: address(number << 8) }
}

/// A table whose first bucket is full, and that has nodes near us so that it is split.
fn full(settings: &Settings) -> RoutingTable {
    let mut table = RoutingTable::new(OWN, Instant::ORIGIN);
    for number in 0..8 {
        let mut near = OWN;
        near.0[19] ^= 1 + number as u8;
        table.replied(Instant::ORIGIN, Contact { id: near, address: address((900 + number) << 8) }, settings);
        assert_eq!(table.replied(Instant::ORIGIN, far(number), settings), Kept::New);
    }
    table
}

#[test]
fn a_silent_node_of_a_full_bucket_is_pinged_and_replaced_when_it_fails_twice() {
    let settings = Settings::default();
    let mut table = full(&settings);
    let now = Instant::ORIGIN + Duration::from_secs(60);
    assert_eq!(table.replied(now, far(20), &settings), Kept::Cached(None), "all are good");
    let now = Instant::ORIGIN + Duration::from_secs(16 * 60);
    (1..8).for_each(|number| assert_eq!(table.replied(now, far(number), &settings), Kept::Known));
    assert_eq!(table.replied(now, far(21), &settings), Kept::Cached(Some(far(0))));
    assert_eq!(table.most_questionable(now).map(|contact| contact.id > OWN), Some(true));
    table.failed(now, &far(0), &settings);
    assert!(table.has_address(&far(0).address), "once may be the network");
    table.failed(now, &far(0), &settings);
    assert!(!table.has_address(&far(0).address));
    assert!(table.has_address(&far(21).address), "the latest that waited");
}

#[test]
fn a_network_an_address_and_an_id_have_one_place_or_two() {
    let settings = Settings::default();
    let mut table = RoutingTable::new(OWN, Instant::ORIGIN);
    let mut replied = |contact| table.replied(Instant::ORIGIN, contact, &settings);
    let contact = |number, host| Contact { id: far(number).id, address: address(host) };
    assert_eq!(replied(contact(1, 1)), Kept::New);
    assert_eq!(replied(contact(1, 999)), Kept::Refused, "an id that answers elsewhere");
    let mut other_port = contact(2, 1);
    other_port.address.set_port(7);
    assert_eq!(replied(other_port), Kept::Refused, "one node an address");
    assert_eq!(replied(contact(3, 2)), Kept::New);
    assert_eq!(replied(contact(4, 3)), Kept::Refused, "two nodes a network");
    assert_eq!(replied(contact(5, 1)), Kept::New, "the same address under a new id: the old one is gone");
    assert_eq!(table.len(), 2);
}

#[test]
fn what_did_not_change_for_15_minutes_is_refreshed_once() {
    let settings = Settings::default();
    let mut table = full(&settings);
    let mut rng = downpour_base::Rng::new(downpour_base::Seed::from_u64(1));
    let late = Instant::ORIGIN + limits::REFRESH_AFTER;
    assert_eq!(table.refresh(Instant::ORIGIN + Duration::from_secs(60), &mut rng), None);
    let targets: Vec<NodeId> = std::iter::from_fn(|| table.refresh(late, &mut rng)).collect();
    assert!(targets.len() > 1 && targets.contains(&OWN), "{targets:?}");
    let mut bits: Vec<usize> = targets.iter().map(|target| distance(&OWN, target).shared_bits()).collect();
    bits.sort();
    bits.dedup();
    assert_eq!(bits.len(), targets.len(), "each bucket once");
}
