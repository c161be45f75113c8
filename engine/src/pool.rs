//! Threads for what blocks: disk and hashing.

use std::io;
use std::thread;

use smol::channel::{Receiver, Sender, unbounded};

type Job = Box<dyn FnOnce() + Send>;

/// A fixed number of threads that take jobs in order. What waits is bounded by the session's memory budget.
#[derive(Debug)]
pub(crate) struct Pool {
    jobs: Sender<Job>,
}

impl Pool {
    /// Starts `threads` threads; they end when the pool is dropped and its jobs are done.
    pub(crate) fn start(threads: usize) -> io::Result<(Self, Vec<thread::JoinHandle<()>>)> {
        let (sender, receiver): (_, Receiver<Job>) = unbounded();
        let mut handles = Vec::new();
        for number in 0..threads.max(1) {
            let jobs = receiver.clone();
            let run = move || {
                while let Ok(job) = jobs.recv_blocking() {
                    job();
                }
            };
            handles.push(thread::Builder::new().name(format!("downpour-disk-{number}")).spawn(run)?);
        }
        Ok((Self { jobs: sender }, handles))
    }

    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) {
        // Fails only after `close`, when nobody waits for the outcome.
        let _ = self.jobs.try_send(Box::new(job));
    }

    /// Runs `job` on the pool, from now on, and waits for its result; `None` if the pool closed first.
    pub(crate) fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Option<T>> + Send + 'static {
        let (sender, receiver) = smol::channel::bounded(1);
        self.run(move || {
            let _ = sender.try_send(job());
        });
        async move { receiver.recv().await.ok() }
    }

    /// Takes no more jobs; the threads end after those that wait.
    pub(crate) fn close(&self) {
        self.jobs.close();
    }
}
