//! Hashing and writing pieces, on the threads of the pool.

use std::sync::Arc;

use bytes::Bytes;
use downpour_base::Machine;
use downpour_storage::{FileStorage, Storage, sha1};
use downpour_swarm::{BlockDigest, DiskFailure, Input, JobId, StoreResult};

use crate::core::{Core, Todo};
use crate::payload::BlockBytes;
use crate::torrent::Torrent;

/// A piece to store.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) job: JobId,
    pub(crate) piece: u32,
    pub(crate) blocks: Vec<BlockBytes>,
    pub(crate) digests: bool,
}

impl Core {
    /// Hashes a piece and, if it verifies, writes it.
    pub(crate) fn store(&self, torrent: &Torrent, storage: &Arc<FileStorage>, work: Work) {
        let Work { job, piece, mut blocks, digests } = work;
        let chunks: Vec<Bytes> = blocks.iter_mut().flat_map(|block| block.chunks().iter().cloned()).collect();
        let right = torrent.metainfo.info.piece_hash(piece) == Some(sha1(&chunks));
        let written = if right { storage.write(piece, 0, &chunks) } else { Ok(()) };
        drop(chunks);
        let input = match written {
            Ok(()) => {
                let result = if right { StoreResult::Stored } else { StoreResult::HashMismatch };
                let digest = |block: &mut BlockBytes| BlockDigest(sha1(block.chunks()));
                let wanted = digests || !right;
                let digests = if wanted { blocks.iter_mut().map(digest).collect() } else { Vec::new() };
                // The memory is free before the swarm counts it as free.
                drop(blocks);
                Input::Stored { job, result, digests }
            }
            Err(error) => {
                let failure = DiskFailure { message: error.to_string(), disk_full: error.is_disk_full() };
                Input::NotStored { job, failure, blocks }
            }
        };
        let mut todo = Todo::new();
        self.with_swarm(torrent, &mut todo, |active, now| {
            // The torrent may have been stopped and started since: the new swarm has jobs of the same numbers.
            if Arc::ptr_eq(&active.storage, storage) {
                active.swarm.handle_input(now, input);
            }
        });
        self.run(todo);
    }
}
