//! What a host does with the whole engine.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use downpour_base::{InfoHashV1, Machine, Rng, Seed, TorrentId};
use downpour_metainfo::Metainfo;
use downpour_session::{Input as SessionInput, Settings, after_session};
use downpour_storage::ResumeData;
use smol::Task;
use smol::channel::{Receiver, Sender, bounded};

use crate::alert::{Alert, AlertKind};
use crate::announce::Announcer;
use crate::config::{AddTorrent, Config, RemoveFiles, within_limits};
use crate::core::{Core, Parts, Todo};
use crate::datagram::{self, Datagrams};
use crate::error::Error;
use crate::handle::TorrentHandle;
use crate::listen;
use crate::pool::Pool;
use crate::recording::Recording;
use crate::removal;
use crate::torrent::{Saved, Torrent};
use crate::wishes::Wishes;

/// How long a shutdown waits for connections to close: 200 times this.
const CLOSING_TURN: Duration = Duration::from_millis(10);
const CLOSING_TURNS: u32 = 200;
/// With fewer file handles there is no session: some files, some peers, and what the session itself holds open.
const MIN_HANDLES: u64 = 32;
/// How long a shutdown waits for trackers.
const LAST_ANNOUNCES: Duration = Duration::from_secs(2);

/// A BitTorrent client: its own threads, any number of torrents. Several can live in one process.
///
/// Every verb may be called from any thread. What takes time has an async form, which any runtime can await, and a
/// blocking twin. Dropping a session stops it as [`shutdown_blocking`](Self::shutdown_blocking) does.
#[derive(Debug)]
pub struct Session {
    core: Arc<Core>,
    addresses: Vec<SocketAddr>,
    /// Closed when a shutdown has told the trackers.
    all_told: Receiver<()>,
    /// Dropped, it ends the network threads.
    stop: Mutex<Option<Sender<()>>>,
    network: Mutex<Vec<JoinHandle<()>>>,
    disk: Mutex<Vec<JoinHandle<()>>>,
}

impl Session {
    /// Starts a session.
    ///
    /// # Errors
    /// If it cannot listen where it should, or the system gives no threads.
    pub fn start(config: Config) -> Result<Self, Error> {
        if let Some(limit) = downpour_storage::descriptor_limit().filter(|limit| *limit < MIN_HANDLES) {
            return Err(Error::FileHandles { limit, needed: MIN_HANDLES });
        }
        let seed = match config.seed {
            Some(seed) => seed,
            None => {
                let mut bytes = [0; 32];
                getrandom::fill(&mut bytes).map_err(|error| Error::Start(error.into()))?;
                Seed(bytes)
            }
        };
        let config = Config { settings: within_limits(config.settings), ..config };
        let recording = config.record.as_deref().map(Recording::create).transpose()?;
        let listeners = listen::bind_all(&config.listen)?;
        let addresses: Vec<SocketAddr> =
            listeners.iter().filter_map(|listener| listener.get_ref().local_addr().ok()).collect();
        let threads = config.threads.max(1);
        let datagrams = Datagrams::bind(&addresses)?;
        let announcer = Announcer::new(&config.client, config.extra_root_certificates.clone())?;
        let (pool, disk) = Pool::start(threads).map_err(Error::Start)?;
        let (session_timer, timer_moved) = bounded(1);
        let listen_port = addresses.first().map(SocketAddr::port);
        let rng = Rng::new(seed);
        let (trackers_told, all_told) = bounded(1);
        let core = Core::new(Parts {
            config,
            pool,
            recording,
            listen_port,
            datagrams,
            announcer,
            trackers_told,
            session_timer,
            rng,
        });
        let port = listen_port.unwrap_or_default();
        core.tell_session(SessionInput::Identity { peer_id: core.peer_id, port });
        let (stop, stopped) = bounded(1);
        let mut network = Vec::new();
        for number in 0..threads {
            let (core, stopped): (_, Receiver<()>) = (Arc::clone(&core), stopped.clone());
            let run = move || {
                // Ends when the sender is dropped.
                let _ = smol::block_on(core.executor.run(stopped.recv()));
            };
            let thread = thread::Builder::new().name(format!("downpour-net-{number}")).spawn(run);
            network.push(thread.map_err(Error::Start)?);
        }
        let mut last = vec![core.executor.spawn(run_timer(Arc::clone(&core), timer_moved))];
        for socket in core.datagrams.sockets() {
            last.push(core.executor.spawn(datagram::receive(Arc::clone(&core), socket)));
        }
        *core.last_services.lock().unwrap_or_else(PoisonError::into_inner) = last;
        let mut services = Vec::new();
        for listener in listeners {
            services.push(core.executor.spawn(listen::accept(Arc::clone(&core), listener)));
        }
        *core.services.lock().unwrap_or_else(PoisonError::into_inner) = services;
        for address in &addresses {
            core.alerts.push(None, AlertKind::Listening { address: *address });
        }
        Ok(Self {
            core,
            addresses,
            all_told,
            stop: Mutex::new(Some(stop)),
            network: Mutex::new(network),
            disk: Mutex::new(disk),
        })
    }

    /// Where peers can reach this session.
    #[must_use]
    pub fn listen_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Adds a torrent and, unless it is to be paused, lets it run: its files are checked, then it downloads what is
    /// missing and seeds what is there. Returns at once.
    ///
    /// # Errors
    /// If it is not a torrent, or in the session already, or the resume data is not this torrent's.
    pub fn add_torrent(&self, add: AddTorrent) -> Result<TorrentHandle, Error> {
        let metainfo = Metainfo::parse(&add.torrent)?;
        let info_hash = metainfo.info.info_hash().v1().ok_or(Error::V2Only)?;
        let given = add.resume_data.as_deref().map(ResumeData::decode).transpose()?;
        if let Some(given) = &given {
            given.check(metainfo.info.info_hash(), metainfo.info.layout())?;
        }
        let id = TorrentId(self.core.new_number());
        let torrent = Arc::new(Torrent {
            id,
            info_hash,
            save_path: add.save_path,
            allocation: add.allocation,
            peers: Mutex::new(add.peers),
            web_seeds: Mutex::new(metainfo.web_seeds.clone()),
            state_folder: self.core.config.state_folder.clone(),
            active: Mutex::new(None),
            check: Default::default(),
            downloaded_before: Default::default(),
            uploaded_before: Default::default(),
            at_start: OnceLock::new(),
            last_status: Mutex::default(),
            saving: Mutex::new(Saved::given(given)),
            wishes: Mutex::new(Wishes::new(add.paused, &add.file_priorities)),
            verbs: Default::default(),
            waiting: Mutex::default(),
            recheck: Default::default(),
            metainfo,
        });
        {
            let mut torrents = self.core.torrents();
            if torrents.values().any(|other| other.info_hash == info_hash) {
                return Err(Error::Duplicate);
            }
            torrents.insert(id, Arc::clone(&torrent));
        }
        let info_hash = torrent.metainfo.info.info_hash();
        self.core.tell_session(SessionInput::Add {
            torrent: id,
            info_hash,
            trackers: torrent.metainfo.trackers.clone(),
            private: torrent.metainfo.info.is_private(),
            paused: add.paused,
            finished: false,
        });
        if !add.paused {
            self.core.tell_session(SessionInput::Wake { torrent: id });
        }
        Ok(TorrentHandle { core: Arc::clone(&self.core), torrent })
    }

    /// The torrents of this session, in the order in which they were added.
    #[must_use]
    pub fn torrents(&self) -> Vec<TorrentHandle> {
        let handle = |torrent: &Arc<Torrent>| TorrentHandle {
            core: Arc::clone(&self.core),
            torrent: Arc::clone(torrent),
        };
        self.core.torrents().values().map(handle).collect()
    }

    /// The torrent with this info-hash.
    #[must_use]
    pub fn find_torrent(&self, info_hash: InfoHashV1) -> Option<TorrentHandle> {
        self.torrents().into_iter().find(|handle| handle.torrent.info_hash == info_hash)
    }

    /// Stops a torrent and forgets it. Its files stay, and its state is saved; or all of that is deleted: its part file, those of
    /// its files that it has pieces of or wanted, under the names that they have now, and the folders of the torrent that
    /// became empty. Files that another torrent of the session has too stay, as does what cannot be the torrent's: files that
    /// are longer than the torrent says, and links to elsewhere.
    ///
    /// # Errors
    /// If the torrent is not in this session any more; if something cannot be deleted: the torrent is removed all the same, and its
    /// resume state stays, so that it can be added and deleted again.
    pub async fn remove_torrent(&self, handle: &TorrentHandle, files: RemoveFiles) -> Result<(), Error> {
        if !Arc::ptr_eq(&self.core, &handle.core) {
            return Err(Error::Gone);
        }
        removal::remove(&self.core, &handle.torrent, files).await
    }

    /// The blocking twin of [`remove_torrent`](Self::remove_torrent).
    ///
    /// # Errors
    /// As there.
    pub fn remove_torrent_blocking(&self, handle: &TorrentHandle, files: RemoveFiles) -> Result<(), Error> {
        smol::block_on(self.remove_torrent(handle, files))
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.core.session().settings().clone()
    }

    /// Changes the settings of the running session. It allows no more connections than the process has file handles for.
    pub fn apply_settings(&self, settings: Settings) {
        self.core.tell_session(SessionInput::Settings(within_limits(settings)));
    }

    /// The next alert, when there is one.
    pub async fn next_alert(&self) -> Alert {
        self.core.alerts.next().await
    }

    /// The next alert, if there is one within `timeout`.
    #[must_use]
    pub fn next_alert_blocking(&self, timeout: Duration) -> Option<Alert> {
        let late = async {
            smol::Timer::after(timeout).await;
            None
        };
        smol::block_on(smol::future::or(async { Some(self.next_alert().await) }, late))
    }

    /// The next alert, if there is one now.
    #[must_use]
    pub fn try_next_alert(&self) -> Option<Alert> {
        self.core.alerts.try_next()
    }

    /// Tells the trackers, closes all connections, saves the state of all torrents, and ends; trackers that do not
    /// answer are not waited for longer than two seconds. A second call does nothing.
    pub async fn shutdown(&self) {
        self.core.closing.store(true, Ordering::Release);
        cancel(&self.core.services).await;
        // While the rest is put in order, the trackers may answer.
        let patience = smol::Timer::after(LAST_ANNOUNCES);
        self.core.tell_session(SessionInput::Shutdown);
        for shared in self.core.connections().values() {
            shared.wake();
        }
        let torrents: Vec<Arc<Torrent>> = self.core.torrents().values().cloned().collect();
        for torrent in &torrents {
            let _verbs = torrent.end().await;
            let (core, torrent) = (Arc::clone(&self.core), Arc::clone(torrent));
            self.core.pool.call(move || core.deactivate(&torrent)).await;
        }
        // Their tasks see that the session closes, and close their sockets.
        for _ in 0..CLOSING_TURNS {
            if self.core.connections().is_empty() {
                break;
            }
            smol::Timer::after(CLOSING_TURN).await;
        }
        let late = async {
            patience.await;
        };
        let told = async {
            let _ = self.all_told.recv().await;
        };
        smol::future::or(told, late).await;
        cancel(&self.core.last_services).await;
        self.core.announcer.close();
        self.core.trackers_told.close();
        self.core.pool.close();
        torrents.iter().for_each(|torrent| torrent.tell_waiting());
        if let Some(recording) = &self.core.recording {
            recording.flush();
        }
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The blocking twin of [`shutdown`](Self::shutdown); also waits for the session's threads.
    pub fn shutdown_blocking(&self) {
        smol::block_on(self.shutdown());
        for threads in [&self.network, &self.disk] {
            let threads = std::mem::take(&mut *threads.lock().unwrap_or_else(PoisonError::into_inner));
            for thread in threads {
                // A thread that panicked has said so.
                let _ = thread.join();
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shutdown_blocking();
    }
}

async fn cancel(tasks: &Mutex<Vec<Task<()>>>) {
    let tasks = std::mem::take(&mut *tasks.lock().unwrap_or_else(PoisonError::into_inner));
    for task in tasks {
        task.cancel().await;
    }
}

/// Calls the session when it is due.
async fn run_timer(core: Arc<Core>, moved: Receiver<()>) {
    loop {
        let deadline = core.session().poll_timeout();
        if core.clock.wait(deadline, &moved).await.is_err() {
            return;
        }
        let mut todo = Todo::new();
        {
            let mut session = core.session();
            session.handle_timeout(core.clock.now());
            while let Some(output) = session.poll_output() {
                todo.extend(after_session(output));
            }
        }
        core.run(todo);
    }
}
