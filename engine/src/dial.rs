//! Opening connections.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use downpour_base::{ConnectionId, PeerEndpoint, TorrentId};
use downpour_session::Link;
use downpour_swarm::Input;
use smol::Async;

use crate::alert::AlertKind;
use crate::connection;
use crate::core::Core;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Carries out [`downpour_session::Effect::Dial`].
pub(crate) async fn dial(core: Arc<Core>, id: TorrentId, endpoint: PeerEndpoint) {
    let connected = async {
        match endpoint {
            PeerEndpoint::Tcp(address) => Async::<TcpStream>::connect(address).await,
            _ => Err(std::io::ErrorKind::Unsupported.into()),
        }
    };
    let timeout = async {
        smol::Timer::after(CONNECT_TIMEOUT).await;
        Err(std::io::ErrorKind::TimedOut.into())
    };
    let socket = smol::future::or(connected, timeout).await;
    let (socket, torrent) = match (socket, core.torrent(id)) {
        (Ok(socket), Some(torrent)) => (socket, torrent),
        (Err(error), Some(_)) => {
            core.alerts.push(Some(id), AlertKind::PeerUnreachable { endpoint, reason: error.to_string() });
            return core.tell_swarm(id, Input::DialFailed { endpoint });
        }
        (_, None) => return,
    };
    let connection = ConnectionId(core.new_number());
    let link = Link::outgoing(
        core.clock.now(),
        connection,
        endpoint,
        connection::wire_config(&core),
        torrent.info_hash,
    );
    connection::run(core, socket, link, endpoint, Some(torrent)).await;
}
