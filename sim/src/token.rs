//! What stands for a block's bytes.

use bytes::Bytes;
use downpour_base::{Block, TorrentId};
use downpour_session::Payload;
use downpour_swarm::BlockDigest;

/// The content of a block, without the bytes: it says which block of which torrent it is, and whether it was damaged
/// on the way. So a disk can tell a right block from a wrong one, and 3 GB of payload take no memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Token {
    of: Option<(TorrentId, Block)>,
    corrupt: bool,
}

impl Token {
    pub(crate) fn new(torrent: TorrentId, block: Block, corrupt: bool) -> Self {
        Self { of: Some((torrent, block)), corrupt }
    }

    /// Whether these are the bytes of that block.
    #[must_use]
    pub fn is(&self, torrent: TorrentId, block: Block) -> bool {
        self.of == Some((torrent, block)) && !self.corrupt
    }

    /// What stands for the digest of the bytes, among blocks of one place.
    pub(crate) fn digest(&self) -> BlockDigest {
        BlockDigest([u8::from(self.corrupt); 20])
    }
}

impl Payload for Token {
    /// Bytes are not a token: what is made of them verifies nowhere.
    fn push(&mut self, _chunk: Bytes) {
        self.corrupt = true;
    }
}
