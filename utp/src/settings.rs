//! What the host may choose.

use core::time::Duration;

/// The settings of an endpoint. All may change while it runs; buffers that are fuller than they may be drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether others may connect to us.
    pub accept_incoming: bool,
    /// Connections there may be, those half open included.
    pub max_connections: usize,
    /// Bytes that a connection holds until they are read. A peer sends no more than this in a round trip.
    pub receive_buffer_bytes: usize,
    /// Bytes that all connections together hold; each has [`MIN_RECEIVE_BYTES`](crate::limits::MIN_RECEIVE_BYTES)
    /// besides.
    pub receive_budget_bytes: usize,
    /// Bytes that a connection takes before they are sent.
    pub send_buffer_bytes: usize,
    /// The queueing delay that sending aims at; RFC 6817 allows 100 ms at most.
    pub target_delay: Duration,
    /// The largest IP packet of the network at hand, in bytes. What the path carries is found out below it.
    pub link_mtu: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            accept_incoming: true,
            max_connections: 4000,
            receive_buffer_bytes: 1 << 20,
            receive_budget_bytes: 64 << 20,
            send_buffer_bytes: 256 << 10,
            target_delay: Duration::from_millis(100),
            link_mtu: 1500,
        }
    }
}
