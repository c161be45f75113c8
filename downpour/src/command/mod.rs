//! One file a command.

pub(crate) mod completions;
pub(crate) mod create;
pub(crate) mod demo;
pub(crate) mod get;
mod load;
pub(crate) mod man;
pub(crate) mod replay;
pub(crate) mod seed;
pub(crate) mod show;
pub(crate) mod tracker;
pub(crate) mod verify;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use downpour_engine::{Config, Session, Settings};
use downpour_metainfo::Metainfo;

use crate::cli::Node;
use crate::failure::Failure;
use crate::text::printable;

impl Node {
    /// The certificates that the user trusts beside the usual ones.
    fn trusted(&self) -> Result<Vec<u8>, Failure> {
        let Some(path) = &self.cacert else { return Ok(Vec::new()) };
        std::fs::read(path).map_err(|error| Failure::io(path, "cannot read the certificates", &error))
    }
}

/// The folder that the torrent's file or folder is in: `path` is that, or the content itself.
fn content_folder(path: &Path, metainfo: &Metainfo) -> Result<PathBuf, Failure> {
    let path = get::absolute(path)?;
    if !path.exists() {
        return Err(Failure::of(&path, "no such file or folder (check the path)"));
    }
    let name = metainfo.info.name();
    let inside = path.join(name).exists();
    match path.parent() {
        Some(parent) if !inside && path.ends_with(name) => Ok(parent.to_owned()),
        _ if path.is_dir() => Ok(path),
        _ => Err(Failure::of(
            &path,
            format!("is a file of another name than the torrent's, `{}`", printable(name)),
        )),
    }
}

/// Starts a session as the command line wants it. Without a port it takes the first free one of 6881 to 6889, which
/// is where people open their routers (BEP 3), or else any.
fn start(node: &Node, settings: Settings) -> Result<Session, Failure> {
    let config = Config {
        state_folder: state_folder(),
        record: node.record.clone(),
        extra_root_certificates: node.trusted()?,
        settings,
        ..Config::default()
    };
    let with = |port: u16| {
        let listen: Vec<SocketAddr> = vec![([0, 0, 0, 0], port).into(), ([0u16; 8], port).into()];
        let session = Session::start(Config { listen, ..config.clone() });
        session.or_else(|error| without_v6(&error, port, &config).unwrap_or(Err(error)))
    };
    if let Some(port) = node.port {
        return Ok(with(port)?);
    }
    match (6881..=6889).find_map(|port| with(port).ok()) {
        Some(session) => Ok(session),
        None => Ok(with(0)?),
    }
}

/// A machine without IPv6 can still do IPv4.
fn without_v6(
    error: &downpour_engine::Error,
    port: u16,
    config: &Config,
) -> Option<Result<Session, downpour_engine::Error>> {
    let no_v6 = matches!(error, downpour_engine::Error::Listen { address, source }
        if address.is_ipv6() && source.kind() != std::io::ErrorKind::AddrInUse);
    let listen = vec![([0, 0, 0, 0], port).into()];
    no_v6.then(|| Session::start(Config { listen, ..config.clone() }))
}

/// Where resume state is kept, after the XDG base directory specification.
fn state_folder() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")))?;
    Some(base.join("downpour"))
}
