//! What one torrent and one peer may take.

use core::time::Duration;

/// Requests that a peer may have waiting with us; what we say as `reqq` (BEP 10).
pub const MAX_UPLOAD_QUEUE: usize = 500;
/// Requests that we have waiting with one peer at most: 8 MiB of blocks.
pub const MAX_REQUESTS: u32 = 512;
/// Requests that a peer may leave unanswered, those included that others were asked for meanwhile; one with more is asked
/// for nothing until it answers.
pub const MAX_UNANSWERED: usize = 2 * MAX_REQUESTS as usize;
/// Requests that we have waiting with a peer that did not say how many it takes (BEP 10: "The default in
/// libtorrent is 250").
pub const DEFAULT_REQUEST_QUEUE: u32 = 250;
/// Requests of a peer, sent while we choke it, after which it is closed (BEP 6: "excessive number of requests").
pub const MAX_CHOKED_REQUESTS: u32 = 2000;
/// Blocks that came though they were not asked for, after which a peer without Fast extension is closed.
pub const MAX_UNREQUESTED: u32 = 1000;
/// Piece messages that a peer may send before the torrent's metadata is known.
pub const MAX_EARLY_HAVES: usize = 4096;
/// Peers that are remembered.
pub const MAX_CANDIDATES: usize = 4000;
/// Connection attempts at the same time.
pub const MAX_DIALS: usize = 16;
/// Pieces that a peer may offer us while it chokes us (BEP 6).
pub const MAX_ALLOWED_FAST: usize = 32;
/// Pieces that we offer a starting peer while we choke it (BEP 6: "currently set to 10").
pub const ALLOWED_FAST: usize = 10;
/// How often it is decided whom to choke (BEP 3).
pub const RECHOKE_INTERVAL: Duration = Duration::from_secs(10);
/// After how long without a block that was asked for a peer is snubbed, and its blocks are asked from others.
pub const SNUB_TIMEOUT: Duration = Duration::from_secs(30);
/// How long one request may stay unanswered while others are: then it is lost, and asked again.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
/// Messages that may wait for a peer that does not read; one with more is closed.
pub const MAX_QUEUED_MESSAGES: usize = 8192;
/// How long no request is sent to an unchoking peer that rejected one.
pub const REJECT_PAUSE: Duration = Duration::from_secs(2);
/// How long a stored piece may stay unrecorded: what a crash can cost.
pub const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5);
/// Blocks of bad copies whose digests and senders are remembered until there is a good copy: 1.5 MiB.
pub const MAX_SUSPECT_BLOCKS: usize = 65_536;
/// Bad copies that are remembered of one piece.
pub const MAX_BAD_COPIES: usize = 4;
/// Addresses that are banned at the same time; more push the oldest out.
pub const MAX_BANS: usize = 10_000;
/// Addresses of our own that are remembered.
pub const MAX_OWN_ADDRESSES: usize = 16;
/// Peers whose totals are remembered after they left; more push out who left the longest ago.
pub const MAX_REMEMBERED: usize = 2000;
/// How soon it is tried again whether a full disk has space.
pub const FIRST_DISK_PROBE: Duration = Duration::from_secs(10);
/// How often it is tried at last: each wait is twice the one before.
pub const LAST_DISK_PROBE: Duration = Duration::from_secs(60);
/// After how long a peer that neither gives nor wants anything loses its place to one that waits.
pub const IDLE_GRACE: Duration = Duration::from_secs(60);
/// How often a nearly full torrent lets some peers go, when others are known (libtorrent's `peer_turnover_interval`).
pub const TURNOVER_INTERVAL: Duration = Duration::from_secs(300);
/// How many of a hundred it lets go, one at least (libtorrent's `peer_turnover`).
pub const TURNOVER_PERCENT: usize = 4;
/// From how many of a hundred connections on it is nearly full (libtorrent's `peer_turnover_cutoff`).
pub const TURNOVER_CUTOFF_PERCENT: usize = 90;
/// How long payload is counted before it is said whether a torrent is slow.
pub const PACE_INTERVAL: Duration = Duration::from_secs(15);
/// Bytes per second, both ways together, below which a torrent is slow (libtorrent's `inactive_down_rate`).
pub const SLOW_RATE: u64 = 2048;
