//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::text::{parse_rate, parse_size};

/// A BitTorrent client.
#[derive(Debug, Parser)]
#[command(name = "downpour", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Download a torrent, verify it, then seed it (or exit)
    Get(Get),
    /// Check what is there and serve it
    Seed(Seed),
    /// Make a .torrent file
    Create(Create),
    /// Show what is in a .torrent file
    Show(Show),
    /// See it work: a seeder and a leecher on this machine, no network needed
    Demo(Demo),
    /// Write a script that completes this program's options for a shell
    Completions(Completions),
    /// Write the manual page, in the format of man(1)
    Man,
    /// Feed a recording of `--record` through the machine again and compare
    Replay(Replay),
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The .torrent file
    pub(crate) torrent: PathBuf,
    /// Where to put it
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub(crate) output: PathBuf,
    /// A peer to download from; may be given several times
    #[arg(long = "peer", value_name = "ADDR")]
    pub(crate) peers: Vec<SocketAddr>,
    /// Show the files, numbered, and exit
    #[arg(long)]
    pub(crate) list: bool,
    /// Download pieces in order, for what is watched or heard while it comes
    #[arg(long)]
    pub(crate) sequential: bool,
    /// Receive at most R bytes per second: 500K, 2M
    #[arg(long, value_name = "R", value_parser = parse_rate)]
    pub(crate) limit_down: Option<u64>,
    /// Send at most R bytes per second
    #[arg(long, value_name = "R", value_parser = parse_rate)]
    pub(crate) limit_up: Option<u64>,
    /// Be connected to N peers at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_peers: Option<u32>,
    /// Exit when everything is downloaded, instead of seeding on
    #[arg(long)]
    pub(crate) exit_when_done: bool,
    #[command(flatten)]
    pub(crate) node: Node,
}

#[derive(Debug, Args)]
pub(crate) struct Seed {
    /// The .torrent file
    pub(crate) torrent: PathBuf,
    /// The file or folder that it describes, or the folder that holds it
    pub(crate) path: PathBuf,
    /// A peer to serve; may be given several times. Others find us by our port
    #[arg(long = "peer", value_name = "ADDR")]
    pub(crate) peers: Vec<SocketAddr>,
    #[command(flatten)]
    pub(crate) node: Node,
}

/// What every command that talks to peers takes.
#[derive(Debug, Args)]
pub(crate) struct Node {
    /// The port to take connections on; 0 for any [default: the first free one of 6881 to 6889]
    #[arg(long, value_name = "N")]
    pub(crate) port: Option<u16>,
    /// Write what happens as lines of JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
    /// Write all that happens to the torrent's machine into a file, for `replay`. It holds addresses
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The file or folder to share
    pub(crate) path: PathBuf,
    /// The .torrent file to write [default: NAME.torrent in the current folder]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The length of a piece, a power of two from 16 KiB: 65536, 64K, 1M [default: by size]
    #[arg(long, value_name = "N", value_parser = parse_size)]
    pub(crate) piece_size: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The .torrent file
    pub(crate) torrent: PathBuf,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// How much to transfer
    #[arg(long, value_name = "N", default_value = "100M", value_parser = parse_size)]
    pub(crate) size: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// For which shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The recording
    pub(crate) recording: PathBuf,
}
