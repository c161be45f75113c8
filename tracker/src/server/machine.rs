//! The machine: requests in, answers out.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::VecDeque;
use std::hash::BuildHasher as _;

use downpour_base::{Instant, Machine, MapKey, Rng, Seed, Set};

use super::interface::{Input, Output, RequestId, Settings, Statistics, SwarmStatistics};
use super::swarms::Swarms;
use crate::client::ScrapeCounts;
use crate::http::{
    AnnounceAnswer, HttpRequest, QueryError, decode_request, encode_announce, encode_failure, encode_scrape,
};
use crate::udp::{Request, Response, pack_counts, pack_peers};
use crate::{Announce, AnnounceEvent, SwarmHash};

/// A connection id is good in the minute it was given out and the two after it (BEP 15: "until two minutes after").
const EPOCH_SECONDS: u64 = 60;
const EPOCHS: u64 = 3;
/// Peers in an answer over UDP, so that it fits a packet even with IPv6 addresses.
const MAX_UDP_PEERS: usize = 74;
/// Peers that a client gets which does not say how many it wants.
const DEFAULT_WANT: u32 = 50;
const NOT_LISTED: &str = "this tracker does not serve this torrent";

/// A tracker: keeps who is in which swarm, and tells others.
///
/// A peer that does not announce for two intervals is forgotten. When there are too many peers or swarms, those that
/// were silent longest make room.
#[derive(Debug)]
pub struct Server {
    settings: Settings,
    rng: Rng,
    /// What connection ids are made with.
    secret: MapKey,
    swarms: Swarms,
    whitelist: Set<SwarmHash>,
    statistics: Statistics,
    outputs: VecDeque<Output>,
}

impl Server {
    /// A tracker without swarms.
    #[must_use]
    pub fn new(seed: Seed, settings: Settings) -> Self {
        let mut rng = Rng::new(seed);
        let secret = MapKey::new(&mut rng);
        let key = MapKey::new(&mut rng);
        Self {
            settings,
            rng,
            secret,
            swarms: Swarms::new(key),
            whitelist: key.set(),
            statistics: Statistics::default(),
            outputs: VecDeque::new(),
        }
    }

    /// What it did and holds.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics {
            swarms: self.swarms.swarm_count(),
            peers: self.swarms.peer_count(),
            seeds: self.swarms.seed_count(),
            ..self.statistics
        }
    }

    /// One swarm, if it is known.
    #[must_use]
    pub fn swarm(&self, info_hash: SwarmHash) -> Option<SwarmStatistics> {
        self.swarms.swarm(info_hash)
    }

    /// All swarms, from the one that was silent longest.
    pub fn swarms(&self) -> impl Iterator<Item = SwarmStatistics> + '_ {
        self.swarms.iter()
    }

    /// Whether a swarm is served.
    #[must_use]
    pub fn is_allowed(&self, info_hash: SwarmHash) -> bool {
        !self.settings.whitelist || self.whitelist.contains(&info_hash)
    }

    fn change_settings(&mut self, settings: Settings) {
        self.settings = settings;
        let known = self.swarms.iter().map(|swarm| swarm.info_hash);
        let unlisted: Vec<SwarmHash> = known.filter(|swarm| !self.is_allowed(*swarm)).collect();
        for swarm in unlisted {
            self.statistics.evicted += self.swarms.forget(swarm);
        }
        self.make_room();
    }

    fn make_room(&mut self) {
        self.statistics.evicted += self.swarms.evict(self.settings.max_peers, self.settings.max_swarms);
    }

    /// How long a peer is remembered.
    fn memory(&self) -> Duration {
        self.settings.interval.saturating_mul(2)
    }

    /// Takes an announce from `address`, and draws peers of the wanted families for it.
    fn announce(
        &mut self,
        now: Instant,
        announce: &Announce,
        address: SocketAddr,
        families: [bool; 2],
        limit: usize,
    ) -> (SwarmStatistics, Vec<SocketAddr>) {
        let (info_hash, seed) = (announce.info_hash, announce.left == 0);
        if announce.event == AnnounceEvent::Stopped {
            self.swarms.leave(info_hash, address);
        } else {
            if announce.event == AnnounceEvent::Completed {
                self.swarms.completed(info_hash, address);
            }
            self.swarms.announce(now, info_hash, address, seed);
            self.make_room();
        }
        let want =
            if announce.event == AnnounceEvent::Stopped { 0 } else { announce.want.unwrap_or(DEFAULT_WANT) };
        let most = want.min(self.settings.max_peers_per_answer) as usize;
        let peers = match most.min(limit) {
            0 => Vec::new(),
            most => self.swarms.draw(&mut self.rng, info_hash, address, seed, families, most),
        };
        let unknown = SwarmStatistics { info_hash, seeds: 0, leechers: 0, downloads: 0 };
        (self.swarms.swarm(info_hash).unwrap_or(unknown), peers)
    }

    fn counts(&self, info_hash: SwarmHash) -> ScrapeCounts {
        let swarm = self.swarms.swarm(info_hash).filter(|_| self.is_allowed(info_hash));
        swarm.map_or_else(ScrapeCounts::default, |swarm| ScrapeCounts {
            seeds: swarm.seeds,
            downloads: swarm.downloads,
            leechers: swarm.leechers,
        })
    }

    fn http(&mut self, now: Instant, request: RequestId, from: SocketAddr, target: &str) {
        let (status, body) = match decode_request(target) {
            Err(error) => {
                self.statistics.refused += 1;
                let status = if error == QueryError::NoSuchPage { 404 } else { 400 };
                (status, encode_failure(&error.to_string()))
            }
            Ok(HttpRequest::Announce(announce)) if !self.is_allowed(announce.info_hash) => {
                self.statistics.refused += 1;
                (200, encode_failure(NOT_LISTED))
            }
            Ok(HttpRequest::Announce(announce)) => {
                self.statistics.http_announces += 1;
                let ip = from.ip().to_canonical();
                let address = SocketAddr::new(ip, announce.port);
                let (swarm, peers) = self.announce(now, &announce, address, [true, true], usize::MAX);
                let answer = AnnounceAnswer {
                    interval: Some(self.settings.interval),
                    min_interval: Some(self.settings.min_interval),
                    seeds: Some(swarm.seeds),
                    leechers: Some(swarm.leechers),
                    external_ip: Some(ip),
                    peers,
                    ..AnnounceAnswer::default()
                };
                (200, encode_announce(&answer))
            }
            Ok(HttpRequest::Scrape(hashes)) => {
                self.statistics.http_scrapes += 1;
                let known = hashes.into_iter().filter(|hash| self.swarms.swarm(*hash).is_some());
                let counts: Vec<_> = known.map(|hash| (hash, self.counts(hash))).collect();
                (200, encode_scrape(&counts))
            }
        };
        self.outputs.push_back(Output::Http { request, status, body });
    }

    fn datagram(&mut self, now: Instant, from: SocketAddr, payload: &[u8]) {
        // A datagram without an id that we gave to this address gets no more bytes back than it has.
        let payload = match Request::decode(payload) {
            Some(Request::Connect { transaction }) => {
                self.statistics.udp_connects += 1;
                let connection = self.connection_id(from.ip(), epoch(now));
                Response::Connect { connection }.encode(transaction)
            }
            Some(
                Request::Announce { connection, transaction, .. }
                | Request::Scrape { connection, transaction, .. },
            ) if !self.is_ours(now, connection, from.ip()) => {
                self.statistics.refused += 1;
                Response::Error { message: b"wrong connection id" }.encode(transaction)
            }
            Some(Request::Announce { transaction, announce, .. }) => {
                self.udp_announce(now, from, transaction, &announce)
            }
            Some(Request::Scrape { transaction, info_hashes, .. }) => {
                self.statistics.udp_scrapes += 1;
                let hashes = info_hashes.chunks_exact(20).filter_map(|hash| hash.try_into().ok());
                let counts = pack_counts(hashes.map(|hash| self.counts(SwarmHash(hash))));
                Response::Scrape { counts: &counts }.encode(transaction)
            }
            None => {
                self.statistics.refused += 1;
                return;
            }
        };
        self.outputs.push_back(Output::Datagram { to: from, payload });
    }

    fn udp_announce(
        &mut self,
        now: Instant,
        from: SocketAddr,
        transaction: u32,
        announce: &Announce,
    ) -> Vec<u8> {
        let refusal = match announce.port {
            _ if !self.is_allowed(announce.info_hash) => Some(NOT_LISTED),
            0 => Some("port must be a number from 1 to 65535"),
            _ => None,
        };
        if let Some(reason) = refusal {
            self.statistics.refused += 1;
            return Response::Error { message: reason.as_bytes() }.encode(transaction);
        }
        self.statistics.udp_announces += 1;
        let ip = from.ip().to_canonical();
        let families = [ip.is_ipv4(), ip.is_ipv6()];
        let address = SocketAddr::new(ip, announce.port);
        let (swarm, peers) = self.announce(now, announce, address, families, MAX_UDP_PEERS);
        let interval = u32::try_from(self.settings.interval.as_secs()).unwrap_or(u32::MAX);
        let (seeds, leechers, peers) = (swarm.seeds, swarm.leechers, pack_peers(peers));
        Response::Announce { interval, leechers, seeds, peers: &peers }.encode(transaction)
    }

    /// A keyed hash of address and time, so that nothing has to be kept for those who only connect.
    fn connection_id(&self, ip: IpAddr, epoch: u64) -> u64 {
        self.secret.hash_one((ip.to_canonical(), epoch))
    }

    fn is_ours(&self, now: Instant, connection: u64, ip: IpAddr) -> bool {
        let epoch = epoch(now);
        (epoch.saturating_sub(EPOCHS - 1)..=epoch).any(|epoch| connection == self.connection_id(ip, epoch))
    }
}

fn epoch(now: Instant) -> u64 {
    now.as_nanos() / 1_000_000_000 / EPOCH_SECONDS
}

impl Machine for Server {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Http { request, from, target } => self.http(now, request, from, &target),
            Input::Datagram { from, payload } => self.datagram(now, from, &payload),
            Input::Allow(swarm) => {
                self.whitelist.insert(swarm);
            }
            Input::Disallow(swarm) => {
                self.whitelist.remove(&swarm);
                if self.settings.whitelist {
                    self.statistics.evicted += self.swarms.forget(swarm);
                }
            }
            Input::Settings(settings) => self.change_settings(settings),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        let since = now - self.memory();
        self.statistics.expired += self.swarms.expire(since);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        // A peer is dropped when more than its time is over.
        self.swarms.oldest().map(|heard_at| heard_at + self.memory() + Duration::from_nanos(1))
    }
}
