//! What a torrent may ask for.

/// Pieces of a torrent: 2^21, as in libtorrent.
pub const MAX_PIECES: u64 = 1 << 21;
/// Length of a piece in bytes: 512 MiB.
pub const MAX_PIECE_LENGTH: u64 = 1 << 29;
/// Files of a torrent.
pub const MAX_FILES: usize = 1 << 20;
/// Bytes of one path component, as most file systems have it.
pub const MAX_COMPONENT_BYTES: usize = 240;
/// Components of a path; more are joined into the last one's folder.
pub const MAX_COMPONENTS: usize = 64;
/// Bytes of a .torrent file.
pub const MAX_TORRENT_BYTES: usize = 256 << 20;
