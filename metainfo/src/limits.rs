//! What a torrent may ask for.

/// Pieces of a torrent: 2^21, as in libtorrent.
pub const MAX_PIECES: u64 = 1 << 21;
/// Length of a piece in bytes: 512 MiB.
pub const MAX_PIECE_LENGTH: u64 = 1 << 29;
/// Files of a torrent.
pub const MAX_FILES: usize = 1 << 20;
/// Bytes of one path component, as most file systems have it.
pub const MAX_COMPONENT_BYTES: usize = 240;
/// Components of a path.
pub const MAX_COMPONENTS: usize = 64;
/// Bytes of all paths of a torrent: few bytes of a file tree can stand for long paths.
pub const MAX_PATHS_BYTES: usize = 256 << 20;
/// How often one name may occur in a folder; the copies get numbers.
pub const MAX_DUPLICATE_NAMES: u32 = 100;
/// Bytes of a file in a v2 torrent: its blocks must be fewer than 2^30 - 1, as in libtorrent.
pub const MAX_V2_FILE_LENGTH: u64 = (((1 << 30) - 1) << 14) - 1;
/// Bytes of a magnet link.
pub const MAX_MAGNET_BYTES: usize = 1 << 20;
/// Parameters of a magnet link.
pub const MAX_MAGNET_PARAMETERS: usize = 10_000;
/// Bytes of a .torrent file.
pub const MAX_TORRENT_BYTES: usize = 256 << 20;
