//! The sockets for datagrams: one for each address that the session listens on, on the same port if it is free.
//!
//! All that speaks in datagrams shares them, so that a peer or router sees one port; what comes in is routed here.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use downpour_session::Input;
use smol::Async;
use socket2::{Domain, Protocol, Socket, Type};

use crate::core::Core;
use crate::error::Error;

/// The longest datagram that UDP can carry.
pub(crate) const MAX_DATAGRAM: usize = 65_535;

/// How long to wait after an error.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);

/// Sockets of a session.
#[derive(Debug, Default)]
pub(crate) struct Datagrams(Vec<Arc<Async<UdpSocket>>>);

/// A socket on `address`; IPv6 takes IPv6 only, since IPv4 has a socket of its own.
pub(crate) fn bind(address: SocketAddr) -> io::Result<Async<UdpSocket>> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    Async::new(socket.into())
}

impl Datagrams {
    /// Sockets beside the listeners on `addresses`, on their ports, or on others where those are taken: then peers
    /// cannot be told of them, but what we ask for ourselves is still answered.
    pub(crate) fn bind(addresses: &[SocketAddr]) -> Result<Self, Error> {
        let beside = |&address: &SocketAddr| {
            let bound = bind(address).or_else(|_| bind(SocketAddr::new(address.ip(), 0)));
            bound.map(Arc::new).map_err(|source| Error::Listen { address, source })
        };
        addresses.iter().map(beside).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn sockets(&self) -> impl Iterator<Item = Arc<Async<UdpSocket>>> + '_ {
        self.0.iter().cloned()
    }

    /// Sends, or drops the datagram where the system has no room or no way: the sender's protocol tries again.
    pub(crate) fn send(&self, to: SocketAddr, payload: &[u8]) {
        let fits = |socket: &&Arc<Async<UdpSocket>>| {
            socket.get_ref().local_addr().is_ok_and(|local| local.is_ipv4() == to.is_ipv4())
        };
        // A socket that is bound to one network cannot reach every other.
        let _sent = self.0.iter().filter(fits).any(|socket| socket.get_ref().send_to(payload, to).is_ok());
    }
}

/// Takes what comes in until the session ends.
pub(crate) async fn receive(core: Arc<Core>, socket: Arc<Async<UdpSocket>>) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            // About a datagram that nobody took, on some systems; its sender times out.
            smol::Timer::after(PAUSE).await;
            continue;
        };
        core.tell_session(Input::Datagram { from, payload: buffer[..length].to_vec() });
    }
}
