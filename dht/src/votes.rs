//! What our external address is, by what most others say (BEP 42).

use core::net::IpAddr;
use std::collections::VecDeque;

use crate::address::Network;
use crate::limits::{MAX_VOTES, MIN_VOTES};

/// The last words of different networks.
#[derive(Default)]
pub(crate) struct Votes {
    votes: VecDeque<(Network, IpAddr)>,
    elected: Option<IpAddr>,
}

impl Votes {
    /// The address that most believe in.
    pub(crate) fn elected(&self) -> Option<IpAddr> {
        self.elected
    }

    /// Takes an address as known, as if it had been elected.
    pub(crate) fn assume(&mut self, address: IpAddr) {
        self.elected = Some(address);
    }

    /// Counts a vote; a network has one. Returns the address if it is newly elected.
    pub(crate) fn vote(&mut self, voter: &IpAddr, address: IpAddr) -> Option<IpAddr> {
        let voter = Network::of(voter);
        self.votes.retain(|(network, _)| *network != voter);
        if self.votes.len() >= MAX_VOTES {
            self.votes.pop_front();
        }
        self.votes.push_back((voter, address));
        let count = self.votes.iter().filter(|(_, other)| *other == address).count();
        let wins = count >= MIN_VOTES && 2 * count > self.votes.len() && self.elected != Some(address);
        wins.then(|| {
            self.elected = Some(address);
            address
        })
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;

    fn ip(a: u8, b: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(a, 1, b, 1))
    }

    #[test]
    fn it_takes_a_majority_of_different_networks() {
        let mut votes = Votes::default();
        let (truth, lie) = (ip(8, 8), ip(9, 9));
        for _ in 0..50 {
            assert_eq!(votes.vote(&ip(1, 1), lie), None, "one network has one vote");
        }
        for voter in 2..6 {
            assert_eq!(votes.vote(&ip(1, voter), truth), None);
        }
        assert_eq!(votes.vote(&ip(1, 6), truth), Some(truth));
        assert_eq!(votes.vote(&ip(1, 7), truth), None, "it is known");
        for voter in 20..25 {
            assert_eq!(votes.vote(&ip(1, voter), lie), None, "half is no majority");
        }
    }

    #[test]
    fn a_new_address_wins_in_time() {
        let mut votes = Votes::default();
        let (old, new) = (ip(8, 8), ip(9, 9));
        for voter in 0..100 {
            let _ = votes.vote(&ip(1, voter), old);
        }
        let won = (100..200).position(|voter| votes.vote(&ip(1, voter), new).is_some());
        assert_eq!(won, Some(MAX_VOTES / 2));
    }
}
