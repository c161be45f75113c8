//! Work on all cores.

use std::panic::resume_unwind;
use std::thread;

/// Files that are kept open while all cores read.
pub(crate) const OPEN_FILES: usize = 128;

/// Runs `work` on each core, and returns what each run gave. A panic of one is a panic here: what it did not look at must
/// not be taken for damaged.
pub(crate) fn on_all_cores<T: Send>(work: impl Fn() -> T + Sync) -> Vec<T> {
    let threads = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(&work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}
