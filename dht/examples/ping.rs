//! Two nodes on loopback: one meets the other, pings it, and asks it for the nodes near a place.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // A driver has sockets and a clock.

use std::net::UdpSocket;
use std::time::{Duration, Instant as Clock};

use downpour_base::{Instant, Machine, NodeId, Seed};
use downpour_dht::{Command, Input, Node, Output, QueryId, SavedState, Settings, SocketId};

const SOCKET: SocketId = SocketId(0);

/// A node with its socket.
struct Driver {
    node: Node,
    socket: UdpSocket,
}

impl Driver {
    fn new(now: Instant, seed: u64) -> std::io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(5)))?;
        // Loopback is no internet, and both nodes have one address.
        let settings = Settings {
            routable_only: false,
            one_node_per_address: false,
            nodes_per_network: 0,
            ..Settings::default()
        };
        let mut node = Node::new(now, Seed::from_u64(seed), settings, SavedState::default());
        node.handle_input(now, Input::Opened { socket: SOCKET, local: socket.local_addr()? });
        Ok(Self { node, socket })
    }

    /// Takes what came, and does what the node says. Returns whether a command is done.
    fn turn(&mut self, now: Instant) -> std::io::Result<bool> {
        let mut buffer = [0; 2048];
        if let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
            self.node.receive(now, SOCKET, from, &buffer[..length]);
        }
        if self.node.poll_timeout().is_some_and(|at| at <= now) {
            self.node.handle_timeout(now);
        }
        let mut done = false;
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Datagram { to, payload, .. } => drop(self.socket.send_to(&payload, to)?),
                Output::Done { query, report } => {
                    println!("command {}: {:?} after {} messages", query.0, report.nodes, report.messages);
                    done = true;
                }
                _ => {}
            }
        }
        Ok(done)
    }
}

fn main() -> std::io::Result<()> {
    let origin = Clock::now();
    let now = || Instant::from_nanos(origin.elapsed().as_nanos() as u64);
    let (mut here, mut there) = (Driver::new(now(), 1)?, Driver::new(now(), 2)?);
    let address = there.socket.local_addr()?;
    here.node.handle_input(now(), Input::Nodes(vec![address]));
    here.node.handle_input(now(), Input::Start { query: QueryId(1), command: Command::Ping(address) });
    let command = Command::FindNode(NodeId([7; 20]));
    here.node.handle_input(now(), Input::Start { query: QueryId(2), command });
    let mut done = 0;
    while done < 2 {
        done += usize::from(here.turn(now())?);
        there.turn(now())?;
        assert!(origin.elapsed() < Duration::from_secs(20), "no answer on loopback");
    }
    Ok(())
}
