//! A tracker with sockets: drives [`downpour_tracker::server::Server`].

mod callers;
mod page;
mod web;

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use downpour_base::{Machine, Seed};
use downpour_tracker::SwarmHash;
use downpour_tracker::server::{Input, Output, RequestId, Server, Settings, Statistics};
use smol::channel::{Receiver, Sender, bounded};
use smol::{Async, Executor};

use crate::clock::Clock;
use crate::error::Error;
use crate::{datagram, listen};
use callers::Callers;

/// Ports that are tried to find one that is free for both protocols, where any will do.
const PORT_TRIES: u32 = 16;

/// What a tracker is started with.
#[derive(Clone, Debug)]
pub struct TrackerConfig {
    /// Where to listen, over HTTP and UDP alike. Port 0 takes any that both have free.
    pub listen: Vec<SocketAddr>,
    /// What clients are told, and how much is remembered.
    pub settings: Settings,
    /// The only swarms that are served; `None` for all.
    pub whitelist: Option<BTreeSet<SwarmHash>>,
}

impl Default for TrackerConfig {
    fn default() -> Self {
        Self {
            listen: vec![([0, 0, 0, 0], 6969).into(), ([0u16; 8], 6969).into()],
            settings: Settings::default(),
            whitelist: None,
        }
    }
}

/// A tracker over HTTP (`/announce`, `/scrape`, BEP 3, 7, 23, 48) and UDP (BEP 15), with its figures on `/stats`, as JSON
/// on `/stats?json`. It has a thread of its own; dropping it stops it.
///
/// A request that is slow or long is cut off, and no address may have more than a few connections, so that nobody keeps
/// others out.
#[derive(Debug)]
pub struct TrackerServer {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    /// Dropped, it ends the thread.
    stop: Mutex<Option<Sender<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the tasks share.
#[derive(Debug)]
struct Shared {
    clock: Clock,
    server: Mutex<Server>,
    /// Tells the timer that the server is due earlier.
    moved: Sender<()>,
    callers: Mutex<Callers>,
    requests: AtomicU64,
    /// The settings in force, and the swarms on the whitelist.
    policy: Mutex<(Settings, BTreeSet<SwarmHash>)>,
}

impl TrackerServer {
    /// Starts a tracker.
    ///
    /// # Errors
    /// If it cannot listen where it should, or the system gives no thread.
    pub fn start(config: TrackerConfig) -> Result<Self, Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| Error::Start(error.into()))?;
        let sockets = bind_all(&config.listen)?;
        let addresses =
            sockets.iter().filter_map(|(listener, _)| listener.get_ref().local_addr().ok()).collect();
        let clock = Clock::start();
        let (moved, timer_moved) = bounded(1);
        let shared = Arc::new(Shared {
            clock,
            server: Mutex::new(Server::new(Seed(bytes), config.settings.clone())),
            moved,
            callers: Mutex::default(),
            requests: AtomicU64::new(0),
            policy: Mutex::new((config.settings, BTreeSet::new())),
        });
        shared.set_whitelist(config.whitelist);
        let executor = Arc::new(Executor::new());
        for (listener, socket) in sockets {
            let accept = web::accept(Arc::clone(&shared), listener, Arc::downgrade(&executor));
            executor.spawn(accept).detach();
            executor.spawn(answer_datagrams(Arc::clone(&shared), socket)).detach();
        }
        executor.spawn(run_timer(Arc::clone(&shared), timer_moved)).detach();
        let (stop, stopped): (_, Receiver<()>) = bounded(1);
        let run = move || {
            // Ends when the sender is dropped; all tasks go with the executor.
            let _ = smol::block_on(executor.run(stopped.recv()));
        };
        let thread = thread::Builder::new().name("downpour-tracker".to_owned()).spawn(run);
        let thread = Mutex::new(Some(thread.map_err(Error::Start)?));
        Ok(Self { shared, addresses, stop: Mutex::new(Some(stop)), thread })
    }

    /// Where it listens, over both protocols.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What it did and holds.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.shared.server().statistics()
    }

    /// Serves these swarms only; `None` for all. Swarms that are no longer listed are forgotten.
    pub fn set_whitelist(&self, whitelist: Option<BTreeSet<SwarmHash>>) {
        self.shared.set_whitelist(whitelist);
    }

    /// Stops it and waits for its thread. A second call does nothing.
    pub fn shutdown_blocking(&self) {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Drop for TrackerServer {
    fn drop(&mut self) {
        self.shutdown_blocking();
    }
}

impl Shared {
    fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the server hear something; what comes out belongs to it.
    fn tell(&self, input: Input) -> Vec<Output> {
        let mut server = self.server();
        let before = server.poll_timeout();
        server.handle_input(self.clock.now(), input);
        let outputs = std::iter::from_fn(|| server.poll_output()).collect();
        let after = server.poll_timeout();
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            let _ = self.moved.try_send(());
        }
        outputs
    }

    /// Answers a request: status code and body.
    fn answer(&self, from: SocketAddr, target: String) -> Option<(u16, Vec<u8>)> {
        let request = RequestId(self.requests.fetch_add(1, Ordering::Relaxed));
        self.tell(Input::Http { request, from, target }).into_iter().find_map(|output| match output {
            Output::Http { status, body, .. } => Some((status, body)),
            _ => None,
        })
    }

    fn set_whitelist(&self, new: Option<BTreeSet<SwarmHash>>) {
        let (settings, old, new) = {
            let mut policy = self.policy.lock().unwrap_or_else(PoisonError::into_inner);
            policy.0.whitelist = new.is_some();
            let new = new.unwrap_or_default();
            let old = std::mem::replace(&mut policy.1, new.clone());
            (policy.0.clone(), old, new)
        };
        for hash in new.difference(&old) {
            self.tell(Input::Allow(*hash));
        }
        self.tell(Input::Settings(settings));
        for hash in old.difference(&new) {
            self.tell(Input::Disallow(*hash));
        }
    }
}

type Sockets = (Async<TcpListener>, Async<UdpSocket>);

/// Sockets of both kinds on all `addresses`. Where the port is 0, those after the first take the port of the first.
fn bind_all(addresses: &[SocketAddr]) -> Result<Vec<Sockets>, Error> {
    let mut sockets: Vec<Sockets> = Vec::new();
    for &address in addresses {
        let first = sockets.first().and_then(|(first, _)| first.get_ref().local_addr().ok());
        let same = first.filter(|_| address.port() == 0);
        let same = same.map(|first| bind(SocketAddr::new(address.ip(), first.port())));
        sockets.push(match same {
            Some(Ok(both)) => both,
            _ => bind(address)?,
        });
    }
    Ok(sockets)
}

fn bind(address: SocketAddr) -> Result<Sockets, Error> {
    let mut tries = if address.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        let listener = listen::bind(address)?;
        let there = listener.get_ref().local_addr().unwrap_or(address);
        tries -= 1;
        match datagram::bind(there) {
            Ok(socket) => return Ok((listener, socket)),
            Err(error) if tries > 0 && error.kind() == io::ErrorKind::AddrInUse => {}
            Err(source) => return Err(Error::Listen { address: there, source }),
        }
    }
}

async fn answer_datagrams(shared: Arc<Shared>, socket: Async<UdpSocket>) {
    let mut buffer = vec![0; datagram::MAX_DATAGRAM];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            // About an answer that nobody took, on some systems.
            smol::Timer::after(datagram::PAUSE).await;
            continue;
        };
        for output in shared.tell(Input::Datagram { from, payload: buffer[..length].to_vec() }) {
            if let Output::Datagram { to, payload } = output {
                // Where there is no room, the client asks again.
                let _ = socket.get_ref().send_to(&payload, to);
            }
        }
    }
}

async fn run_timer(shared: Arc<Shared>, moved: Receiver<()>) {
    loop {
        let deadline = shared.server().poll_timeout();
        if shared.clock.wait(deadline, &moved).await.is_err() {
            return;
        }
        let now = shared.clock.now();
        let mut server = shared.server();
        server.handle_timeout(now);
        // Nobody waits for anything that comes of time alone.
        while server.poll_output().is_some() {}
    }
}
