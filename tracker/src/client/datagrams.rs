//! UDP (BEP 15): addresses, connection ids, and sending again.

use core::net::SocketAddr;

use downpour_base::Instant;

use super::host::{Host, patience};
use super::interface::{Failure, JobId, Output, ResolveError};
use super::job::{Job, Purpose, State, Timer, Transaction};
use super::machine::Client;
use super::outcome::Announced;
use super::registry::HostId;
use crate::limits::{
    ADDRESS_LIFETIME, CONNECTION_ID_LIFETIME, MAX_ADDRESSES, MAX_PEERS, RESOLVE_TIMEOUT, UDP_TIMEOUT,
};
use crate::text::clean;
use crate::udp::{Request, Response, peers, scrape_counts, url_options};
use crate::{ResponseError, SwarmHash, TrackerUrl};

impl Client {
    /// Sends a request, or has it wait for an address and a connection id.
    pub(super) fn send_udp(&mut self, now: Instant, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        let (host_id, state, give_up_at) = (job.host, job.state, job.give_up_at);
        let Some(host) = self.registry.host_mut(host_id) else { return };
        let silent = host.silent;
        let Some(udp) = &mut host.udp else { return };
        let connection = udp.connection.filter(|(_, until)| now < *until).map(|(connection, _)| connection);
        let to = udp.addresses.first().copied();
        let Some((connection, to)) = connection.zip(to) else {
            udp.waiting.push(id);
            if let State::Sent { transaction, .. } = state {
                self.transactions.remove(&transaction);
            }
            if let Some(job) = self.jobs.get_mut(&id) {
                job.state = State::Waiting;
            }
            self.timers.set(Timer::Job(id), Some(give_up_at));
            return self.connect(now, host_id);
        };
        let (transaction, n) = match state {
            State::Sent { transaction, n, .. } => (transaction, n.saturating_add(1)),
            _ => (self.new_transaction(Transaction::Job(id)), silent),
        };
        if !matches!(state, State::Sent { .. }) {
            // The host has just given a connection id, or is known to answer.
            self.renew_patience(now, id);
        }
        let give_up_at = self.jobs.get(&id).map_or(give_up_at, |job| job.give_up_at);
        let resend_at = now + patience(n);
        if let Some(host) = self.registry.host_mut(host_id) {
            host.quiet_until = host.quiet_until.max(resend_at);
        }
        if let Some(job) = self.jobs.get_mut(&id) {
            job.state = State::Sent { transaction, n, resend_at };
        }
        self.timers.set(Timer::Job(id), Some(resend_at.min(give_up_at)));
        if let Some(payload) = self.request_datagram(id, connection, transaction) {
            self.outputs.push_back(Output::Datagram { to, payload });
        }
    }

    /// Sets how long an answer over UDP is waited for before the next tracker has its turn: twice unanswered, 15 and 30
    /// seconds; at a host that is down 15 seconds.
    pub(super) fn renew_patience(&mut self, now: Instant, id: JobId) {
        let Some(torrent) = self.jobs.get(&id).map(|job| job.torrent) else { return };
        let last_words = self.is_stopping(torrent);
        let may_wait = |job: &&mut Job| job.purpose != Purpose::Stop && !last_words;
        let Some(job) = self.jobs.get_mut(&id).filter(may_wait) else { return };
        let down = self.registry.host(job.host).is_some_and(Host::is_down);
        job.give_up_at = now + if down { UDP_TIMEOUT } else { UDP_TIMEOUT * 3 };
    }

    fn request_datagram(&self, id: JobId, connection: u64, transaction: u32) -> Option<Vec<u8>> {
        let job = self.jobs.get(&id)?;
        let (announce, _) = self.announce_of(id)?;
        if job.purpose == Purpose::Scrape {
            let info_hashes = &announce.info_hash.0;
            return Some(Request::Scrape { connection, transaction, info_hashes }.encode());
        }
        let url = self.registry.url(job.tracker)?;
        let options = url_options(TrackerUrl::parse(&url).ok()?.path_and_query);
        Some(Request::Announce { connection, transaction, announce, options: &options }.encode())
    }

    fn new_transaction(&mut self, whose: Transaction) -> u32 {
        loop {
            let transaction = self.rng.next_u32();
            if !self.transactions.contains_key(&transaction) {
                self.transactions.insert(transaction, whose);
                return transaction;
            }
        }
    }

    /// Asks for a connection id, or for the address first, unless that is under way.
    fn connect(&mut self, now: Instant, id: HostId) {
        let Some(host) = self.registry.host_mut(id) else { return };
        let (n, name, port) = (host.silent, host.name.clone(), host.port);
        let Some(udp) = &mut host.udp else { return };
        if udp.resolving.is_some() || udp.connecting.is_some() {
            return;
        }
        let to = udp.addresses.first().copied().filter(|_| now < udp.addresses_until);
        let Some(to) = to else {
            let job = self.new_job();
            self.resolving.insert(job, id);
            if let Some(udp) = self.udp(id) {
                udp.resolving = Some(job);
            }
            self.timers.set(Timer::Resolve(id), Some(now + RESOLVE_TIMEOUT));
            return self.outputs.push_back(Output::Resolve { job, host: name, port });
        };
        let transaction = self.new_transaction(Transaction::Connect(id));
        let until = now + patience(n);
        if let Some(host) = self.registry.host_mut(id) {
            host.quiet_until = until;
            if let Some(udp) = &mut host.udp {
                udp.connecting = Some((transaction, n));
            }
        }
        self.timers.set(Timer::Connect(id), Some(until));
        let payload = Request::Connect { transaction }.encode();
        self.outputs.push_back(Output::Datagram { to, payload });
    }

    fn udp(&mut self, id: HostId) -> Option<&mut super::host::Udp> {
        self.registry.host_mut(id)?.udp.as_deref_mut()
    }

    /// A connect request was not answered in time: the next address gets one, if anybody still waits.
    pub(super) fn connect_due(&mut self, now: Instant, id: HostId) {
        let Some(host) = self.registry.host_mut(id) else { return };
        let Some((transaction, n)) = host.udp.as_mut().and_then(|udp| udp.connecting.take()) else { return };
        host.unanswered(n, now - patience(n));
        self.transactions.remove(&transaction);
        let Some(udp) = self.udp(id) else { return };
        if !udp.addresses.is_empty() {
            udp.addresses.rotate_left(1);
        }
        if !udp.waiting.is_empty() {
            self.connect(now, id);
        }
    }

    pub(super) fn resolved(
        &mut self,
        now: Instant,
        job: JobId,
        result: Result<Vec<SocketAddr>, ResolveError>,
    ) {
        let Some(id) = self.resolving.remove(&job) else { return };
        let Some(udp) = self.udp(id) else { return };
        udp.resolving = None;
        self.timers.set(Timer::Resolve(id), None);
        let result = result.and_then(|mut addresses| {
            addresses.retain(|address| address.port() != 0 && !address.ip().is_unspecified());
            addresses.truncate(MAX_ADDRESSES);
            let none = || ResolveError { message: "the name has no address".to_owned() };
            if addresses.is_empty() { Err(none()) } else { Ok(addresses) }
        });
        match result {
            Ok(addresses) => {
                let Some(udp) = self.udp(id) else { return };
                udp.addresses = addresses;
                udp.addresses_until = now + ADDRESS_LIFETIME;
                if !udp.waiting.is_empty() {
                    self.connect(now, id);
                }
            }
            Err(error) => {
                if let Some(host) = self.registry.host_mut(id) {
                    host.unreachable(now, now);
                }
                self.fail_waiting(now, id, &Failure::Resolve(error));
            }
        }
    }

    pub(super) fn resolve_due(&mut self, now: Instant, id: HostId) {
        if let Some(job) = self.udp(id).and_then(|udp| udp.resolving) {
            self.outputs.push_back(Output::Cancel { job });
            let message = "the name was not resolved in time".to_owned();
            self.resolved(now, job, Err(ResolveError { message }));
        }
    }

    fn fail_waiting(&mut self, now: Instant, id: HostId, reason: &Failure) {
        let waiting = self.udp(id).map(|udp| std::mem::take(&mut udp.waiting)).unwrap_or_default();
        for job in waiting {
            self.failed(now, job, reason.clone());
        }
    }

    /// Forgets what is under way for a host that no tracker is at any more.
    pub(super) fn drop_host(&mut self, id: HostId, host: &Host) {
        for timer in [Timer::Pace(id), Timer::Connect(id), Timer::Resolve(id)] {
            self.timers.set(timer, None);
        }
        let Some(udp) = &host.udp else { return };
        if let Some((transaction, _)) = udp.connecting {
            self.transactions.remove(&transaction);
        }
        if let Some(job) = udp.resolving {
            self.resolving.remove(&job);
            self.outputs.push_back(Output::Cancel { job });
        }
    }

    /// Takes a datagram, if it answers something that was asked, and comes from whom was asked.
    pub(super) fn datagram(&mut self, now: Instant, from: SocketAddr, payload: &[u8]) {
        let Some(transaction) = Response::transaction(payload) else { return };
        let Some(whose) = self.transactions.get(&transaction).copied() else { return };
        let host_id = match whose {
            Transaction::Connect(host) => host,
            Transaction::Job(job) => match self.jobs.get(&job) {
                Some(job) => job.host,
                None => return,
            },
        };
        let Some(host) = self.registry.host_mut(host_id) else { return };
        let address = host.udp.as_ref().and_then(|udp| udp.addresses.first());
        if address.is_none_or(|address| {
            address.ip().to_canonical() != from.ip().to_canonical() || address.port() != from.port()
        }) {
            return;
        }
        host.answered(now);
        let response = Response::decode(payload);
        match whose {
            Transaction::Connect(host) => self.connected(now, host, transaction, response),
            Transaction::Job(job) => self.answered(now, job, from, response),
        }
    }

    fn connected(
        &mut self,
        now: Instant,
        id: HostId,
        transaction: u32,
        response: Result<Response<'_>, ResponseError>,
    ) {
        self.transactions.remove(&transaction);
        self.timers.set(Timer::Connect(id), None);
        let Some(udp) = self.udp(id) else { return };
        udp.connecting = None;
        match response {
            Ok(Response::Connect { connection }) => {
                udp.connection = Some((connection, now + CONNECTION_ID_LIFETIME));
                for job in std::mem::take(&mut udp.waiting) {
                    self.send_udp(now, job);
                }
            }
            Ok(Response::Error { message }) => {
                let reason = Failure::Refused(clean(message));
                self.fail_waiting(now, id, &reason);
            }
            Ok(_) => self.fail_waiting(now, id, &Failure::Response(ResponseError::WrongAction)),
            Err(error) => self.fail_waiting(now, id, &Failure::Response(error)),
        }
    }

    fn answered(
        &mut self,
        now: Instant,
        id: JobId,
        from: SocketAddr,
        response: Result<Response<'_>, ResponseError>,
    ) {
        let Some(job) = self.jobs.get(&id) else { return };
        let wants_scrape = job.purpose == Purpose::Scrape;
        let host = job.host;
        match response {
            Ok(Response::Announce { interval, leechers, seeds, peers: packed }) if !wants_scrape => {
                let answer = Announced {
                    interval: Some(core::time::Duration::from_secs(u64::from(interval))),
                    seeds: Some(seeds),
                    leechers: Some(leechers),
                    peers: peers(packed, from).take(MAX_PEERS).collect(),
                    ..Announced::default()
                };
                self.announced(now, id, answer);
            }
            Ok(Response::Scrape { counts }) if wants_scrape => match scrape_counts(counts).next() {
                Some(counts) => self.scraped(now, id, counts),
                None => self.failed(now, id, Failure::Response(ResponseError::TooShort)),
            },
            Ok(Response::Error { message }) => {
                // It may mean the connection id.
                if let Some(udp) = self.udp(host) {
                    udp.connection = None;
                }
                self.failed(now, id, Failure::Refused(clean(message)));
            }
            Ok(_) => self.failed(now, id, Failure::Response(ResponseError::WrongAction)),
            Err(error) => self.failed(now, id, Failure::Response(error)),
        }
    }

    /// Whose hash a torrent is announced under.
    pub(super) fn swarm_of(&self, id: JobId) -> Option<SwarmHash> {
        let torrent = self.torrents.get(&self.jobs.get(&id)?.torrent)?;
        Some(SwarmHash::from(torrent.info_hash))
    }
}
