//! Fair, bounded and work-conserving.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use downpour_base::{ConnectionId, Instant, Seed};
use downpour_picker::{Candidate, Choker, OPTIMISTIC_INTERVAL};
use proptest::prelude::*;

fn candidate(id: u64, download_rate: u64) -> Candidate {
    Candidate {
        connection: ConnectionId(id),
        download_rate,
        uploaded: 0,
        snubbed: false,
        connected: Instant::ORIGIN,
        unchoked_since: None,
        served_until: None,
    }
}

/// Runs the choker every ten seconds and returns how often each peer was unchoked.
fn serve(
    choker: &mut Choker,
    peers: &mut [Candidate],
    slots: usize,
    seeding: bool,
    rounds: u64,
) -> BTreeMap<u64, u64> {
    let mut served = BTreeMap::new();
    for round in 0..rounds {
        let now = Instant::ORIGIN + Duration::from_secs(1000 + 10 * round);
        let chosen = choker.choose(now, slots, seeding, peers);
        for peer in peers.iter_mut() {
            let unchoke = chosen.contains(&peer.connection);
            match (unchoke, peer.unchoked_since) {
                (true, None) => peer.unchoked_since = Some(now),
                (false, Some(_)) => (peer.unchoked_since, peer.served_until) = (None, Some(now)),
                _ => {}
            }
            peer.uploaded += u64::from(unchoke);
            *served.entry(peer.connection.0).or_default() += u64::from(unchoke);
        }
    }
    served
}

proptest! {
    #[test]
    fn slots_are_all_used_and_never_exceeded(
        rates in prop::collection::vec((0u64..1000, any::<bool>()), 0..30), slots in 0usize..12, seeding: bool, seed: u64,
    ) {
        let peers: Vec<Candidate> = (0..).zip(&rates)
            .map(|(id, (rate, snubbed))| Candidate { snubbed: *snubbed, ..candidate(id, *rate) }).collect();
        let mut choker = Choker::new(Seed::from_u64(seed));
        let chosen = choker.choose(Instant::ORIGIN, slots, seeding, &peers);
        let unique: BTreeSet<_> = chosen.iter().collect();
        prop_assert_eq!(unique.len(), chosen.len());
        prop_assert_eq!(chosen.len(), slots.min(peers.len()));
        if !seeding && slots > 1 {
            // The naive twin: the regular slots go to the best that are not snubbed.
            let mut good: Vec<u64> = peers.iter().filter(|peer| !peer.snubbed).map(|peer| peer.download_rate).collect();
            good.sort_unstable_by(|a, b| b.cmp(a));
            let regular = good.len().min(slots - 1);
            let mut got: Vec<u64> = peers.iter().filter(|peer| chosen.contains(&peer.connection) && !peer.snubbed)
                .map(|peer| peer.download_rate).collect();
            got.sort_unstable_by(|a, b| b.cmp(a));
            prop_assert_eq!(&got[..regular], &good[..regular]);
        }
    }

    #[test]
    fn a_seed_serves_everybody_alike(peers in 2u64..20, slots in 1usize..6, seed: u64) {
        let mut candidates: Vec<Candidate> = (0..peers).map(|id| candidate(id, id * 100)).collect();
        let served = serve(&mut Choker::new(Seed::from_u64(seed)), &mut candidates, slots, true, 60 * peers);
        let (least, most) = (served.values().min().unwrap(), served.values().max().unwrap());
        prop_assert!(most - least <= 6, "{:?}", served);
    }
}

#[test]
fn the_optimistic_slot_finds_everybody_in_time() {
    // Peers 0 to 2 give most and keep their slots; all the others must get the fourth at some time.
    let mut peers: Vec<Candidate> = (0..10).map(|id| candidate(id, if id < 3 { 1000 } else { 0 })).collect();
    let served = serve(&mut Choker::new(Seed::from_u64(5)), &mut peers, 4, false, 600);
    assert!((0..3).all(|id| served[&id] == 600), "{served:?}");
    assert!((3..10).all(|id| served[&id] > 30), "{served:?}");
}

#[test]
fn the_optimistic_slot_stays_for_30_seconds() {
    let peers: Vec<Candidate> = (0..10).map(|id| candidate(id, 0)).collect();
    let mut choker = Choker::new(Seed::from_u64(5));
    let start = Instant::ORIGIN + Duration::from_secs(1000);
    choker.choose(start, 1, false, &peers);
    let first = choker.optimistic();
    choker.choose(start + OPTIMISTIC_INTERVAL - Duration::from_nanos(1), 1, false, &peers);
    assert_eq!(choker.optimistic(), first);
    let moved = (0..20).any(|round| {
        choker.choose(start + OPTIMISTIC_INTERVAL * (2 + round), 1, false, &peers);
        choker.optimistic() != first
    });
    assert!(moved);
}

#[test]
fn a_snubbed_peer_loses_its_regular_slot() {
    let mut peers: Vec<Candidate> = (0..3).map(|id| candidate(id, 100 - id)).collect();
    peers[0].snubbed = true;
    let mut choker = Choker::new(Seed::from_u64(1));
    let chosen = choker.choose(Instant::ORIGIN, 2, false, &peers);
    assert!(chosen.contains(&ConnectionId(1)), "the best that is not snubbed");
}
