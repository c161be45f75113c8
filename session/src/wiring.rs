//! Which machine's output is whose input. The engine and the simulator both go by this.

use downpour_base::{ConnectionId, PeerEndpoint, TorrentId};
use downpour_swarm::{self as swarm, CloseReason, Event, JobId};

use crate::session::{self, RefuseReason};

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
pub fn after_session<P>(output: session::Output) -> Next<P> {
    use session::Output;
    match output {
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
    }
}
