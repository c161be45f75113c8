//! Which machine's output is whose input. The engine and the simulator both go by this.

use core::net::SocketAddr;
use core::time::Duration;

use downpour_base::{ConnectionId, PeerEndpoint, TorrentId};
use downpour_swarm::{self as swarm, CloseReason, Event, JobId};
use downpour_tracker::client;

use crate::interface::{self as session, RefuseReason};

/// What follows from an output.
#[derive(Debug)]
pub enum Next<P> {
    /// The session is to hear this.
    Session(session::Input),
    /// A torrent's swarm is to hear this.
    Swarm(TorrentId, swarm::Input<P>),
    /// The driver has to do something that no machine can.
    Effect(Effect<P>),
}

/// What only a driver can do.
#[derive(Debug)]
pub enum Effect<P> {
    /// Open a connection for a torrent. Answer: the link's first words, or `DialFailed` to the swarm.
    Dial {
        /// For whom.
        torrent: TorrentId,
        /// Where to.
        endpoint: PeerEndpoint,
    },
    /// Exchange with the swarm, and write.
    Wake(ConnectionId),
    /// Close a connection, as its torrent wants it.
    Close(ConnectionId, CloseReason),
    /// Close an incoming connection that no torrent takes.
    Refuse(ConnectionId, RefuseReason),
    /// Accept an incoming connection's handshake, for a torrent.
    Attach(ConnectionId, TorrentId),
    /// Hash and write a piece. Answer: `Stored` or `NotStored` to the swarm.
    Store {
        /// Of which torrent.
        torrent: TorrentId,
        /// To name in the answer.
        job: JobId,
        /// Which piece.
        piece: u32,
        /// Its blocks in order.
        blocks: Vec<P>,
        /// Whether the digests of its blocks are wanted even if it verifies.
        digests: bool,
    },
    /// Sync a torrent's data and save its resume state.
    Checkpoint(TorrentId),
    /// Load a torrent and make its swarm. Answer: `Activated` or `Deactivated` to the session.
    Activate(TorrentId),
    /// Drop a torrent's swarm.
    Deactivate(TorrentId),
    /// Tell the user.
    Event(TorrentId, Event),
    /// Ask with `GET`, follow redirects, unpack gzip, read no more than `downpour_tracker::limits::MAX_RESPONSE_BYTES`.
    /// Answer: `HttpDone` to the session.
    Http {
        /// To name in the answer.
        job: client::JobId,
        /// `http` or `https`.
        url: String,
        /// After how long the answer is no longer wanted.
        timeout: Duration,
    },
    /// Look up a name. Answer: `Resolved` to the session.
    Resolve {
        /// To name in the answer.
        job: client::JobId,
        /// The name.
        host: String,
        /// The port that belongs into the addresses.
        port: u16,
    },
    /// Nobody waits for the answer of this `Http` or `Resolve` any more.
    Cancel(client::JobId),
    /// Send a datagram. What comes back goes to the session as `Datagram`.
    Datagram {
        /// Where to.
        to: SocketAddr,
        /// What.
        payload: Vec<u8>,
    },
    /// Say how a torrent stands. Answer: `Totals` to the session, at once.
    Totals(TorrentId),
    /// Tell the user what happened with a tracker.
    Tracker(client::Event),
    /// The session is shut down: the trackers are told.
    ShutDown,
    /// Tell the user of what concerns the session.
    SessionEvent(crate::Event),
}

/// Where an output of a torrent's swarm goes.
#[must_use]
pub fn after_swarm<P>(torrent: TorrentId, output: swarm::Output<P>) -> Option<Next<P>> {
    use swarm::Output;
    Some(match output {
        Output::Dial { endpoint } => Next::Effect(Effect::Dial { torrent, endpoint }),
        Output::Wake { connection } => Next::Effect(Effect::Wake(connection)),
        Output::Close { connection, reason } => Next::Effect(Effect::Close(connection, reason)),
        Output::Store { job, piece, blocks, digests } => {
            Next::Effect(Effect::Store { torrent, job, piece, blocks, digests })
        }
        Output::Checkpoint => Next::Effect(Effect::Checkpoint(torrent)),
        Output::Event(event) => Next::Effect(Effect::Event(torrent, event)),
        Output::SeedRatioReached => Next::Session(session::Input::SeedRatioReached { torrent }),
        Output::Starved { direction } => Next::Session(session::Input::Starved { torrent, direction }),
        Output::Demand(demand) => Next::Session(session::Input::Demand { torrent, demand }),
        _ => return None,
    })
}

/// Where an output of the session goes.
#[must_use]
pub fn after_session<P>(output: session::Output) -> Option<Next<P>> {
    use session::Output;
    Some(match output {
        Output::Activate { torrent } => Next::Effect(Effect::Activate(torrent)),
        Output::Deactivate { torrent } => Next::Effect(Effect::Deactivate(torrent)),
        Output::Attach { connection, torrent } => Next::Effect(Effect::Attach(connection, torrent)),
        Output::Refuse { connection, reason } => Next::Effect(Effect::Refuse(connection, reason)),
        Output::SeedRatio { torrent, per_mille } => Next::Swarm(torrent, swarm::Input::SeedRatio(per_mille)),
        Output::ExternalAddress { torrent, address } => {
            Next::Swarm(torrent, swarm::Input::ExternalAddress(address))
        }
        Output::Event(event) => Next::Effect(Effect::SessionEvent(event)),
        Output::Budget { torrent, budget } => Next::Swarm(torrent, swarm::Input::Budget(budget)),
        Output::Allowance { torrent, direction, allowance } => {
            Next::Swarm(torrent, swarm::Input::Allowance { direction, allowance })
        }
        Output::Peers { torrent, endpoints } => {
            Next::Swarm(torrent, swarm::Input::Peers { endpoints, source: swarm::PeerSource::Tracker })
        }
        Output::Tracker(output) => after_tracker(output)?,
        Output::ShutDown => Next::Effect(Effect::ShutDown),
    })
}

fn after_tracker<P>(output: client::Output) -> Option<Next<P>> {
    use client::Output;
    Some(Next::Effect(match output {
        // BEP 24. It may lie: then peers are called in another order (BEP 40).
        Output::ExternalAddress { ip } => return Some(Next::Session(session::Input::ExternalAddress(ip))),
        Output::Http { job, url, timeout } => Effect::Http { job, url, timeout },
        Output::Resolve { job, host, port } => Effect::Resolve { job, host, port },
        Output::Cancel { job } => Effect::Cancel(job),
        Output::Datagram { to, payload } => Effect::Datagram { to, payload },
        Output::Totals { torrent } => Effect::Totals(torrent),
        Output::Event(event) => Effect::Tracker(event),
        _ => return None,
    }))
}
