//! What a node remembers between two runs: its ids and some good nodes.

use core::net::IpAddr;

use downpour_base::NodeId;
use downpour_bencode::{DecodeOptions, Dict, Encoder, Limits, Value};
use thiserror::Error;

use crate::Family;
use crate::limits::{MAX_SAVED_NODES, MAX_SOCKETS, MAX_STATE_BYTES};
use crate::message::{Contact, Nodes, compact_address, push_node};

/// The state of a node, for [`Node::new`](crate::Node::new) of the next run. It holds addresses of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedState {
    /// A part for each socket, in the order in which they were opened. A socket takes the first unused part of its family.
    pub sockets: Vec<SavedSocket>,
}

/// The state of one socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedSocket {
    /// Its family.
    pub family: Family,
    /// The node's id.
    pub id: NodeId,
    /// The external address that the id fits.
    pub external: Option<IpAddr>,
    /// Good nodes.
    pub nodes: Vec<Contact>,
}

/// Why bytes are no saved state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StateError {
    /// More than [`MAX_STATE_BYTES`].
    #[error("a saved state of {0} bytes, of which there may be {MAX_STATE_BYTES}")]
    TooLong(usize),
    /// Not bencode.
    #[error("the saved state is damaged: {0}")]
    Bencode(#[from] downpour_bencode::DecodeError),
    /// A field is missing or wrong.
    #[error("the saved state is damaged at \"{0}\"")]
    Field(&'static str),
}

impl SavedState {
    /// The state in bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        Encoder::new(&mut out).dict(|root| {
            root.entry(b"sockets").list(|list| {
                for socket in self.sockets.iter().take(MAX_SOCKETS) {
                    list.item().dict(|dict| {
                        if let Some(external) = socket.external {
                            match external {
                                IpAddr::V4(v4) => dict.entry(b"external").bytes(v4.octets()),
                                IpAddr::V6(v6) => dict.entry(b"external").bytes(v6.octets()),
                            }
                        }
                        dict.entry(b"id").bytes(socket.id.0);
                        let mut nodes = Vec::new();
                        let same = |node: &&Contact| Family::of(&node.address.ip()) == socket.family;
                        let kept = socket.nodes.iter().filter(same).take(MAX_SAVED_NODES);
                        kept.for_each(|node| push_node(node, &mut nodes));
                        let key: &[u8] = if socket.family == Family::V4 { b"nodes" } else { b"nodes6" };
                        dict.entry(key).bytes(nodes);
                    });
                }
            });
        });
        out
    }

    /// Reads the state.
    ///
    /// # Errors
    /// If the bytes are too many, no bencode, or miss a field.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        if bytes.len() > MAX_STATE_BYTES {
            return Err(StateError::TooLong(bytes.len()));
        }
        let document = DecodeOptions::strict(Limits { depth: 4, tokens: 1000 }).decode(bytes)?;
        let root = document.root().as_dict().ok_or(StateError::Field("the root"))?;
        let list = root.get(b"sockets").and_then(Value::as_list).ok_or(StateError::Field("sockets"))?;
        let sockets = list
            .iter()
            .take(MAX_SOCKETS)
            .map(|socket| read_socket(socket.as_dict().ok_or(StateError::Field("sockets"))?));
        Ok(Self { sockets: sockets.collect::<Result<_, _>>()? })
    }
}

fn read_socket(socket: Dict<'_, '_>) -> Result<SavedSocket, StateError> {
    let bytes = |key: &[u8]| socket.get(key).and_then(Value::as_bytes);
    let id = bytes(b"id").and_then(|id| id.try_into().ok()).ok_or(StateError::Field("id"))?;
    let (family, nodes) = match (bytes(b"nodes"), bytes(b"nodes6")) {
        (Some(nodes), None) => (Family::V4, nodes),
        (None, Some(nodes)) => (Family::V6, nodes),
        _ => return Err(StateError::Field("nodes")),
    };
    if nodes.len() % Nodes::size(family) != 0 {
        return Err(StateError::Field("nodes"));
    }
    let external = match bytes(b"external") {
        None => None,
        // An address without its port.
        Some(ip) => {
            let address = compact_address(&[ip, &[0, 0]].concat()).ok_or(StateError::Field("external"))?;
            Some(address.ip()).filter(|ip| Family::of(ip) == family)
        }
    };
    let nodes = Nodes::new(family, nodes).iter().take(MAX_SAVED_NODES).collect();
    Ok(SavedSocket { family, id: NodeId(id), external, nodes })
}
