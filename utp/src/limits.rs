//! What a remote may ask of us, and how long it may take.

use core::time::Duration;

/// Packets that may be sent and not yet acknowledged on one connection. Peers drop what lies further ahead than
/// their reorder buffer, which holds 953 packets in libtorrent and 1,024 in µTorrent.
pub const MAX_PACKETS_IN_FLIGHT: usize = 900;

/// How far ahead of the next expected packet one may be to be kept.
pub const MAX_REORDER_PACKETS: u16 = 1024;

/// Bytes of a connection's receive buffer that it has even when the endpoint's budget is used up by others: enough
/// that packets in order always get through.
pub const MIN_RECEIVE_BYTES: usize = 16 * 1024;

/// Payloads shorter than this, in bytes, are copied together, so that they do not hold their datagrams' buffers.
pub const SMALL_PAYLOAD: usize = 256;

/// An incoming connection whose address is not yet proven makes room when as many newer ones came.
pub const MAX_HALF_OPEN: usize = 1024;

/// Incoming connections that wait for [`Endpoint::accept`](crate::Endpoint::accept). When there are more, SYN
/// packets are not answered.
pub const MAX_BACKLOG: usize = 128;

/// Answers to packets of unknown connections in a second.
pub const MAX_RESETS_PER_SECOND: u32 = 100;

/// RESET packets that wait for the socket; the next ones are not sent.
pub const MAX_QUEUED_RESETS: usize = 256;

/// Bytes of a selective acknowledgement that we send: a bit for each packet of the reorder buffer.
pub const MAX_SELECTIVE_BYTES: usize = MAX_REORDER_PACKETS as usize / 8;

/// How often a SYN is sent: after 1, 2 and 4 seconds again, and given up after 8 more.
pub const MAX_SYN_TRANSMISSIONS: u32 = 4;

/// Consecutive timeouts in which the peer acknowledged nothing, though its window was open, after which it is gone: a minute at the least.
pub const MAX_TIMEOUTS: u32 = 7;

/// The same when all that the peer still has to acknowledge is that we closed.
pub const MAX_FIN_TIMEOUTS: u32 = 3;

/// How long an incoming connection may stay half open.
pub const HALF_OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a closed connection is remembered, to acknowledge once more what the peer did not hear.
pub const LINGER: Duration = Duration::from_secs(3);

/// After how long without a packet of ours one is sent, so that routers keep the way open.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(29);

/// The timeout before there is a measurement (BEP 29).
pub const INITIAL_TIMEOUT: Duration = Duration::from_secs(1);

/// The shortest timeout (BEP 29).
pub const MIN_TIMEOUT: Duration = Duration::from_millis(500);

/// The longest timeout, however often it was doubled.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(60);

/// Each how many minutes the base delay forgets (RFC 6817, BASE_HISTORY).
pub const BASE_HISTORY_MINUTES: usize = 10;

/// How many delay samples the current delay is the least of (RFC 6817, CURRENT_FILTER).
pub const CURRENT_FILTER: usize = 3;

/// By how many bytes the congestion window grows in a round trip when there is no queue at all. RFC 6817 has one
/// segment; µTorrent and libtorrent have this, and a smaller share beside them helps nobody.
pub const MAX_WINDOW_GAIN: u32 = 3000;

/// The congestion window of a new connection, in bytes (RFC 5681, section 3.1).
pub const INITIAL_WINDOW: u32 = 4380;

/// The largest packet that every path carries: 576 bytes of IPv4 without IP and UDP headers.
pub const MIN_PACKET_V4: u16 = 576 - 28;

/// The largest packet that every path carries: 1,280 bytes of IPv6 without IP and UDP headers.
pub const MIN_PACKET_V6: u16 = 1280 - 48;

/// How many probes of a size must be lost until the path does not carry it.
pub const MAX_MTU_PROBES: u8 = 3;

/// The search for the path's packet size ends when it is known to as many bytes.
pub const MTU_PRECISION: u16 = 16;
