//! A bounded number of open files for any number of torrents.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Resource, getrlimit};

use crate::StorageError;

/// Keeps the files open that were used last. Share one among all torrents of a session.
///
/// A file that is in use by a call stays open until that call is over, so the number of threads that read or
/// write comes on top of the limit.
#[derive(Debug)]
pub struct HandlePool {
    limit: usize,
    next_owner: AtomicU64,
    open: Mutex<Open>,
}

/// Torrent and file.
pub(crate) type Key = (u64, usize);

#[derive(Debug, Default)]
struct Open {
    files: BTreeMap<Key, Entry>,
    /// From the least recently used on.
    by_use: BTreeMap<u64, Key>,
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    file: Arc<File>,
    writable: bool,
    used: u64,
}

impl HandlePool {
    /// A pool that keeps up to `limit` files open, at least one.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), next_owner: AtomicU64::new(0), open: Mutex::default() }
    }

    /// As [`new`](Self::new), but takes no more than a quarter of the file handles that the process may have: sockets,
    /// which come out of the same number, need most of them.
    #[must_use]
    pub fn for_process(limit: usize) -> Self {
        let quarter =
            descriptor_limit().map_or(usize::MAX, |all| usize::try_from(all / 4).unwrap_or(usize::MAX));
        Self::new(limit.min(quarter))
    }

    /// How many files the pool keeps open at most.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Runs `open`, which opens a file or something else that takes a file handle. If there are too few handles, it closes
    /// the files that nobody uses now, and tries once more.
    ///
    /// # Errors
    /// Those of `open`.
    pub fn with_room<T>(&self, open: impl Fn() -> Result<T, StorageError>) -> Result<T, StorageError> {
        match open() {
            Err(error) if error.is_out_of_handles() => {
                self.close_unused();
                open()
            }
            result => result,
        }
    }

    /// Closes all files that no call uses now: somebody else needs handles more.
    pub fn close_unused(&self) {
        let mut pool = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let unused = |(key, entry): (&Key, &Entry)| (Arc::strong_count(&entry.file) == 1).then_some(*key);
        let keys: Vec<Key> = pool.files.iter().filter_map(unused).collect();
        keys.into_iter().for_each(|key| pool.remove(key));
    }

    /// A number under which one torrent's files are known.
    pub(crate) fn register(&self) -> u64 {
        self.next_owner.fetch_add(1, Ordering::Relaxed)
    }

    /// The open file `key`, opened by `open` if it is not, or not for writing as is needed now.
    pub(crate) fn get(
        &self,
        key: Key,
        writable: bool,
        open: impl Fn() -> Result<File, StorageError>,
    ) -> Result<Arc<File>, StorageError> {
        {
            let mut pool = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(file) = pool.using(key, writable) {
                return Ok(file);
            }
        }
        // Opened outside the lock: a slow disk must not stop the others.
        let file = Arc::new(self.with_room(open)?);
        let mut pool = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        pool.remove(key);
        while pool.files.len() >= self.limit {
            let Some(oldest) = pool.by_use.first_key_value().map(|entry| *entry.1) else { break };
            pool.remove(oldest);
        }
        pool.clock += 1;
        let used = pool.clock;
        pool.files.insert(key, Entry { file: Arc::clone(&file), writable, used });
        pool.by_use.insert(used, key);
        Ok(file)
    }

    /// The file `key` if it is open: never waits for a disk.
    pub(crate) fn get_open(&self, key: Key) -> Option<Arc<File>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).using(key, false)
    }

    /// Closes one file: its path means something else from now on.
    pub(crate) fn forget(&self, key: Key) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Closes all files of one torrent.
    pub(crate) fn release(&self, owner: u64) {
        let mut pool = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<Key> =
            pool.files.range((owner, 0)..=(owner, usize::MAX)).map(|entry| *entry.0).collect();
        keys.into_iter().for_each(|key| pool.remove(key));
    }
}

impl Open {
    /// The file `key`, which is used now, if it is open as is needed.
    fn using(&mut self, key: Key, writable: bool) -> Option<Arc<File>> {
        let entry = self.files.get_mut(&key).filter(|entry| entry.writable || !writable)?;
        self.by_use.remove(&entry.used);
        self.clock += 1;
        entry.used = self.clock;
        self.by_use.insert(entry.used, key);
        Some(Arc::clone(&entry.file))
    }

    fn remove(&mut self, key: Key) {
        if let Some(entry) = self.files.remove(&key) {
            self.by_use.remove(&entry.used);
        }
    }
}

/// How many file handles this process may have (`ulimit -n`), sockets included; `None` for no limit.
#[must_use]
pub fn descriptor_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}
