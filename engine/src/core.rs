//! What all tasks of a session share, and the loop that carries outputs to where they belong.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use downpour_base::{ConnectionId, Instant, Machine, PeerEndpoint, PeerId, Rng, TorrentId};
use downpour_session::{self as machine, Effect, Next, after_session, after_swarm};
use downpour_storage::HandlePool;
use downpour_swarm::{Event, Input};
use smol::channel::Sender;
use smol::{Executor, Task};

use crate::alert::{AlertKind, Alerts};
use crate::announce::{self, Announcer};
use crate::buffers::Buffers;
use crate::clock::Clock;
use crate::config::Config;
use crate::connection::Shared;
use crate::datagram::Datagrams;
use crate::payload::BlockBytes;
use crate::pool::Pool;
use crate::recording::Recording;
use crate::store::Work;
use crate::torrent::{Active, Torrent};

pub(crate) type Todo = VecDeque<Next<BlockBytes>>;

/// The heart of a session. Locks are taken one at a time: nobody holds two.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) executor: Executor<'static>,
    pub(crate) pool: Pool,
    pub(crate) alerts: Alerts,
    pub(crate) buffers: Arc<Buffers>,
    pub(crate) handles: Arc<HandlePool>,
    pub(crate) peer_id: PeerId,
    pub(crate) listen_port: Option<u16>,
    pub(crate) datagrams: Datagrams,
    pub(crate) announcer: Announcer,
    /// Closed when a session that shuts down has told its trackers.
    pub(crate) trackers_told: Sender<()>,
    pub(crate) recording: Option<Recording>,
    pub(crate) closing: AtomicBool,
    pub(crate) session_timer: Sender<()>,
    /// Listeners.
    pub(crate) services: Mutex<Vec<Task<()>>>,
    /// What the last announces need: the session's timer and datagrams.
    pub(crate) last_services: Mutex<Vec<Task<()>>>,
    session: Mutex<machine::Session>,
    torrents: Mutex<BTreeMap<TorrentId, Arc<Torrent>>>,
    connections: Mutex<BTreeMap<ConnectionId, Arc<Shared>>>,
    rng: Mutex<Rng>,
    next_id: AtomicU64,
    /// For tasks that outlive the call that starts them.
    me: Weak<Core>,
}

/// What the caller of [`Core::new`] has made.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) pool: Pool,
    pub(crate) recording: Option<Recording>,
    pub(crate) listen_port: Option<u16>,
    pub(crate) datagrams: Datagrams,
    pub(crate) announcer: Announcer,
    pub(crate) trackers_told: Sender<()>,
    pub(crate) session_timer: Sender<()>,
    pub(crate) rng: Rng,
}

impl Core {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let Parts { config, pool, recording, listen_port, datagrams, announcer, trackers_told, .. } = parts;
        let (session_timer, mut rng) = (parts.session_timer, parts.rng);
        let clock = Clock::start();
        let mut peer_id = PeerId(*b"-dP0100-            ");
        for byte in &mut peer_id.0[8..] {
            *byte = b"0123456789abcdefghijklmnopqrstuvwxyz"[rng.index(36)];
        }
        let session = machine::Session::new(clock.now(), rng.fork(), config.settings.clone());
        Arc::new_cyclic(|me| Self {
            clock,
            executor: Executor::new(),
            pool,
            alerts: Alerts::new(),
            buffers: Arc::default(),
            handles: Arc::new(HandlePool::for_process(config.open_files)),
            peer_id,
            listen_port,
            datagrams,
            announcer,
            trackers_told,
            recording,
            closing: AtomicBool::new(false),
            session_timer,
            services: Mutex::default(),
            last_services: Mutex::default(),
            session: Mutex::new(session),
            torrents: Mutex::default(),
            connections: Mutex::default(),
            rng: Mutex::new(rng),
            next_id: AtomicU64::new(1),
            me: me.clone(),
            config,
        })
    }

    pub(crate) fn arc(&self) -> Option<Arc<Self>> {
        self.me.upgrade()
    }

    pub(crate) fn session(&self) -> MutexGuard<'_, machine::Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn torrents(&self) -> MutexGuard<'_, BTreeMap<TorrentId, Arc<Torrent>>> {
        self.torrents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn connections(&self) -> MutexGuard<'_, BTreeMap<ConnectionId, Arc<Shared>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn torrent(&self, id: TorrentId) -> Option<Arc<Torrent>> {
        self.torrents().get(&id).cloned()
    }

    pub(crate) fn new_number(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn new_seed(&self) -> downpour_base::Seed {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).fork()
    }

    /// Runs `call` on a torrent's swarm and puts what comes out of it into `todo`. `None` if it is not active.
    pub(crate) fn with_swarm<T>(
        &self,
        torrent: &Torrent,
        todo: &mut Todo,
        call: impl FnOnce(&mut Active, Instant) -> T,
    ) -> Option<T> {
        let mut guard = torrent.active();
        let active = guard.as_mut()?;
        let result = call(active, self.clock.now());
        while let Some(output) = active.swarm.poll_output() {
            todo.extend(after_swarm(torrent.id, output));
        }
        let deadline = active.swarm.poll_timeout();
        if deadline.is_some_and(|deadline| active.armed.is_none_or(|armed| deadline < armed)) {
            active.armed = deadline;
            let _ = active.timer.try_send(());
        }
        if let Some(recording) = &self.recording {
            recording.append(torrent.id, &active.swarm.take_lines());
        }
        Some(result)
    }

    /// Lets a torrent's swarm hear something, and carries out what follows.
    pub(crate) fn tell_swarm(&self, torrent: TorrentId, input: Input<BlockBytes>) {
        self.run(Todo::from([Next::Swarm(torrent, input)]));
    }

    /// Whether a connection that somebody opened to us is to be talked to.
    pub(crate) fn admit(&self, connection: ConnectionId, endpoint: PeerEndpoint) -> bool {
        let mut todo = Todo::new();
        let admitted = {
            let mut session = self.session();
            let admitted = session.admit(self.clock.now(), connection, endpoint);
            todo.extend(std::iter::from_fn(|| session.poll_output()).filter_map(after_session));
            admitted
        };
        self.run(todo);
        admitted.is_ok()
    }

    /// Lets the session hear something, and carries out what follows.
    pub(crate) fn tell_session(&self, input: machine::Input) {
        self.run(Todo::from([Next::Session(input)]));
    }

    /// Carries out everything in `todo`, and everything that follows from it.
    pub(crate) fn run(&self, mut todo: Todo) {
        while let Some(next) = todo.pop_front() {
            match next {
                Next::Session(input) => {
                    let mut session = self.session();
                    let before = session.poll_timeout();
                    session.handle_input(self.clock.now(), input);
                    while let Some(output) = session.poll_output() {
                        todo.extend(after_session(output));
                    }
                    let after = session.poll_timeout();
                    if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
                        let _ = self.session_timer.try_send(());
                    }
                }
                Next::Swarm(id, input) => {
                    if let Some(torrent) = self.torrent(id) {
                        self.with_swarm(&torrent, &mut todo, |active, now| {
                            active.swarm.handle_input(now, input)
                        });
                    }
                }
                Next::Effect(Effect::Totals(torrent)) => {
                    todo.extend(announce::totals(self, torrent).map(Next::Session));
                }
                Next::Effect(effect) => self.carry_out(effect),
            }
        }
    }

    fn carry_out(&self, effect: Effect<BlockBytes>) {
        let Some(core) = self.arc() else { return };
        match effect {
            Effect::Dial { torrent, endpoint } => {
                let dial = crate::dial::dial(Arc::clone(&core), torrent, endpoint);
                core.executor.spawn(dial).detach();
            }
            Effect::Wake(connection) => {
                if let Some(shared) = self.connections().get(&connection) {
                    shared.wake();
                }
            }
            Effect::Close(connection, reason) => self.close_connection(connection, &reason.to_string()),
            Effect::Refuse(connection, reason) => self.close_connection(connection, &reason.to_string()),
            Effect::Attach(connection, torrent) => {
                let shared = self.connections().get(&connection).cloned();
                if let (Some(shared), Some(torrent)) = (shared, self.torrent(torrent)) {
                    shared.attach(torrent);
                }
            }
            Effect::Store { torrent, job, piece, blocks, digests } => {
                let Some(torrent) = self.torrent(torrent) else { return };
                let Some(storage) = torrent.storage() else { return };
                let work = Work { job, piece, blocks, digests };
                self.pool.run(move || core.store(&torrent, &storage, work));
            }
            Effect::Checkpoint(torrent) => {
                if let Some(torrent) = self.torrent(torrent) {
                    self.pool.run(move || core.checkpoint(&torrent, false));
                }
            }
            Effect::Activate(torrent) => {
                if let Some(torrent) = self.torrent(torrent) {
                    core.executor.spawn(crate::check::activate(Arc::clone(&core), torrent)).detach();
                }
            }
            Effect::Deactivate(torrent) => {
                if let Some(torrent) = self.torrent(torrent) {
                    core.executor.spawn(crate::check::deactivate(Arc::clone(&core), torrent)).detach();
                }
            }
            Effect::Event(torrent, event) => self.event(torrent, event),
            Effect::SessionEvent(event) => self.session_event(event),
            effect => announce::carry_out(&core, effect),
        }
    }

    fn close_connection(&self, connection: ConnectionId, reason: &str) {
        if let Some(shared) = self.connections().get(&connection) {
            shared.close(reason);
        }
    }

    fn event(&self, torrent: TorrentId, event: Event) {
        let kind = match event {
            Event::PeerConnected { connection, endpoint } => {
                AlertKind::PeerConnected { connection, endpoint }
            }
            Event::PieceFinished { piece } => AlertKind::PieceFinished { piece },
            Event::HashFailed { piece, senders } => AlertKind::HashFailed { piece, senders },
            Event::PeerBanned { endpoint, reason } => AlertKind::PeerBanned { endpoint, reason },
            Event::Finished => {
                self.complete(torrent);
                AlertKind::Finished
            }
            Event::DiskError(failure) => AlertKind::DiskError(failure),
            Event::DiskHasSpace => AlertKind::DiskHasSpace,
            // The connection's task tells, with the reason.
            _ => return,
        };
        self.alerts.push(Some(torrent), kind);
    }

    /// Carries out [`machine::Input::Wake`].
    pub(crate) fn wake(&self, torrent: TorrentId) {
        self.tell_session(machine::Input::Wake { torrent });
    }

    /// Gives a torrent's files what they get besides their bytes.
    fn complete(&self, id: TorrentId) {
        let (Some(core), Some(storage)) =
            (self.arc(), self.torrent(id).and_then(|torrent| torrent.storage()))
        else {
            return;
        };
        self.pool.run(move || {
            if let Err(error) = storage.finish() {
                core.alerts.push(Some(id), AlertKind::FileError { message: error.to_string() });
            }
        });
    }

    /// Saves what is had. On a thread of the pool.
    pub(crate) fn checkpoint(&self, torrent: &Torrent, last: bool) {
        if let Err(error) = torrent.checkpoint(last) {
            self.alerts.push(Some(torrent.id), AlertKind::ResumeNotSaved { message: error.to_string() });
        }
    }

    /// Drops a torrent's swarm, once what it has is saved. On a thread of the pool.
    pub(crate) fn deactivate(&self, torrent: &Torrent) {
        self.checkpoint(torrent, true);
        let Some(active) = torrent.active().take() else { return };
        // A write that is under way ends before the files are opened again, or deleted.
        active.storage.close();
        let status = active.swarm.swarm().status(self.clock.now());
        torrent.downloaded_before.fetch_add(status.downloaded_bytes, Ordering::Relaxed);
        torrent.uploaded_before.fetch_add(status.uploaded_bytes, Ordering::Relaxed);
        *torrent.last_status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }
}
