//! A network with a host for each client: a bridge, and behind it network namespaces with one address each.

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::process::Command;

/// A network within the namespaces of [`isolated`](crate::isolated). The test itself has the address 10.44.255.254.
#[derive(Debug)]
pub struct Network {
    hosts: Cell<u16>,
}

/// A place for one client.
#[derive(Clone, Debug)]
pub struct Host {
    name: String,
    address: Ipv4Addr,
}

impl Network {
    /// Makes the network.
    ///
    /// # Panics
    /// If the system does not let it.
    #[must_use]
    pub fn new() -> Self {
        // The names of network namespaces are files here; this mount hides it from everybody else.
        std::fs::create_dir_all("/run/netns").expect("a folder for the names of namespaces");
        run("mount -t tmpfs none /run/netns");
        run("ip link add br0 type bridge");
        run("ip addr add 10.44.255.254/16 dev br0");
        run("ip link set br0 up");
        Self { hosts: Cell::new(0) }
    }

    /// A new host with an address of its own.
    ///
    /// # Panics
    /// If the system does not let it.
    #[must_use]
    pub fn host(&self) -> Host {
        let number = self.hosts.get() + 1;
        self.hosts.set(number);
        let address = Ipv4Addr::new(10, 44, (number >> 8) as u8, number as u8);
        let name = format!("h{number}");
        run(&format!("ip netns add {name}"));
        run(&format!("ip link add v{number} type veth peer name eth0 netns {name}"));
        run(&format!("ip link set v{number} master br0 up"));
        run(&format!("ip -n {name} addr add {address}/16 dev eth0"));
        run(&format!("ip -n {name} link set eth0 up"));
        run(&format!("ip -n {name} link set lo up"));
        Host { name, address }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// Its address.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// `command`, on this host.
    #[must_use]
    pub fn run(&self, command: &Command) -> Command {
        let mut here = Command::new("ip");
        here.args(["netns", "exec", &self.name]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => here.env(name, value),
                None => here.env_remove(name),
            };
        }
        here
    }
}

/// Runs a command of the system; the words have no spaces.
///
/// # Panics
/// If it fails.
pub fn run(line: &str) {
    let mut words = line.split_whitespace();
    let status = Command::new(words.next().expect("a command")).args(words).status();
    assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "{line}: {status:?}");
}
