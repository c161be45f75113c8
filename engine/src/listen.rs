//! Taking connections.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use downpour_base::{ConnectionId, PeerEndpoint};
use downpour_session::Link;
use smol::Async;
use socket2::{Domain, Protocol, Socket, Type};

use crate::connection;
use crate::core::Core;
use crate::error::Error;

/// Connections that the system may hold before we take them.
const BACKLOG: i32 = 256;

/// A listener on `address`; IPv6 takes IPv6 only, since IPv4 has a listener of its own.
pub(crate) fn bind(address: SocketAddr) -> Result<Async<TcpListener>, Error> {
    let bound = || -> io::Result<Async<TcpListener>> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Without this, a port stays taken for minutes after a program that used it has ended.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Async::new(socket.into())
    };
    bound().map_err(|source| Error::Listen { address, source })
}

/// Listeners on all `addresses`. Where the port is 0, those after the first take the port that the first got, if it is
/// free: peers are told one port, whatever family they use.
pub(crate) fn bind_all(addresses: &[SocketAddr]) -> Result<Vec<Async<TcpListener>>, Error> {
    let mut listeners: Vec<Async<TcpListener>> = Vec::new();
    for &address in addresses {
        let first = listeners.first().and_then(|first| first.get_ref().local_addr().ok());
        let same =
            first.filter(|_| address.port() == 0).map(|first| SocketAddr::new(address.ip(), first.port()));
        let listener = match same.map(bind) {
            Some(Ok(listener)) => listener,
            _ => bind(address)?,
        };
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Takes connections until the session closes.
pub(crate) async fn accept(core: Arc<Core>, listener: Async<TcpListener>) {
    while !core.closing.load(Ordering::Acquire) {
        match listener.accept().await {
            Ok((socket, address)) => {
                let endpoint =
                    PeerEndpoint::Tcp(SocketAddr::new(address.ip().to_canonical(), address.port()));
                let id = ConnectionId(core.new_number());
                // Who calls too often is not even talked to, nor who would take the last descriptors.
                if !core.admit(id, endpoint) {
                    continue;
                }
                let link = Link::incoming(core.clock.now(), id, endpoint, connection::wire_config(&core));
                let run = connection::run(Arc::clone(&core), socket, link, endpoint, None);
                core.executor.spawn(run).detach();
            }
            // Out of file handles, most likely: give some back, and wait for others to come back.
            Err(_) => {
                core.handles.close_unused();
                smol::Timer::after(Duration::from_millis(100)).await;
            }
        }
    }
}
