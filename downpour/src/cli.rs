//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use downpour_metainfo::TorrentVersion;

use crate::text::{
    parse_address, parse_rate, parse_ratio, parse_size, parse_tracker_url, parse_web_seed_url,
};

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
    /// Show what is in a .torrent file or a magnet link
    Show(Show),
    /// Run a tracker, over HTTP and UDP
    Tracker(Tracker),
    /// Check files against a .torrent file; the exit code is 0 if all of them are complete
    Verify(Verify),
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
    /// The .torrent file, or its http:// or https:// URL
    pub(crate) torrent: PathBuf,
    /// Where to put it
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub(crate) output: PathBuf,
    /// A peer to download from; may be given several times
    #[arg(long = "peer", value_name = "ADDR", value_parser = parse_address)]
    pub(crate) peers: Vec<SocketAddr>,
    /// Show the files, numbered, and exit
    #[arg(long)]
    pub(crate) list: bool,
    /// Download only these files: a number or a range of --list, a name, a folder, or a pattern with * and ?;
    /// may be given several times
    #[arg(long, value_name = "PATTERN")]
    pub(crate) files: Vec<String>,
    /// Download pieces in order, for what is watched or heard while it comes
    #[arg(long)]
    pub(crate) sequential: bool,
    /// Receive at most R bytes per second: 500K, 2M
    #[arg(long, value_name = "R", value_parser = parse_rate)]
    pub(crate) limit_down: Option<u64>,
    /// Send at most R bytes per second
    #[arg(long, value_name = "R", value_parser = parse_rate)]
    pub(crate) limit_up: Option<u64>,
    /// Seed until X times as much was sent as received, then exit: 1, 1.5
    #[arg(long, value_name = "X", value_parser = parse_ratio, conflicts_with = "exit_when_done")]
    pub(crate) seed_ratio: Option<u32>,
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
    /// The .torrent file, or its http:// or https:// URL
    pub(crate) torrent: PathBuf,
    /// The file or folder that it describes, or the folder that holds it
    pub(crate) path: PathBuf,
    /// A peer to serve; may be given several times. Others find us by our port
    #[arg(long = "peer", value_name = "ADDR", value_parser = parse_address)]
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
    /// Certificates in PEM form that web servers and trackers may use beside those of the usual authorities
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
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
    /// A tracker; may be given several times, and is tried in that order
    #[arg(short, long = "tracker", value_name = "URL", value_parser = parse_tracker_url)]
    pub(crate) trackers: Vec<String>,
    /// An HTTP or FTP server that has the files; may be given several times
    #[arg(long = "web-seed", value_name = "URL", value_parser = parse_web_seed_url)]
    pub(crate) web_seeds: Vec<String>,
    /// Peers may come from the trackers only
    #[arg(long)]
    pub(crate) private: bool,
    /// The tracker or group that it is for, which gives it an info-hash of its own
    #[arg(long, value_name = "S")]
    pub(crate) source: Option<String>,
    /// What you have to say about it
    #[arg(long, value_name = "TEXT")]
    pub(crate) comment: Option<String>,
    #[command(flatten)]
    version: Version,
    /// The length of a piece, a power of two from 16 KiB: 65536, 64K, 1M [default: by size]
    #[arg(long, value_name = "N", value_parser = parse_size)]
    pub(crate) piece_size: Option<u64>,
}

/// Version 1 unless something is said: every client and tracker knows it, it puts no pad files on the disks of old
/// clients, and this version of the program transfers no torrents of version 2 alone.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Version {
    /// For version 1 of the protocol, which every client knows (this is the default)
    #[arg(long)]
    v1: bool,
    /// For version 2 alone, which old clients, and the `get` of this program, cannot transfer yet
    #[arg(long)]
    v2: bool,
    /// For both versions; old clients may show pad files
    #[arg(long)]
    hybrid: bool,
}

impl Create {
    pub(crate) fn version(&self) -> TorrentVersion {
        match self.version {
            Version { v2: true, .. } => TorrentVersion::V2,
            Version { hybrid: true, .. } => TorrentVersion::Hybrid,
            _ => TorrentVersion::V1,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The .torrent file, its http:// or https:// URL, or a magnet link
    #[arg(value_name = "TORRENT")]
    pub(crate) torrent: PathBuf,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Tracker {
    /// Where to listen, over HTTP and UDP alike; may be given several times [default: port 6969 of all addresses]
    #[arg(long, value_name = "ADDR", value_parser = parse_address)]
    pub(crate) listen: Vec<SocketAddr>,
    /// Serve only the torrents whose info-hashes are in this file, one a line. It is read again when it changes
    #[arg(long, value_name = "FILE")]
    pub(crate) whitelist: Option<PathBuf>,
    /// How often clients are to announce, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "1800", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) interval: u32,
    /// Write what happens as lines of JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The .torrent file
    pub(crate) torrent: PathBuf,
    /// The file or folder that it describes, or the folder that holds it
    pub(crate) path: PathBuf,
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
