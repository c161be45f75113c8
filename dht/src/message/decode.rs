//! Reading messages.

use downpour_base::NodeId;
use downpour_bencode::{DecodeOptions, Dict, Limits, Value};

use super::{
    Body, Fault, Message, MessageError, Method, MutablePut, Nodes, Query, Response, Samples, Values, Want,
    compact_address,
};
use crate::Family;
use crate::limits::{MAX_DEPTH, MAX_INCOMING_BYTES, MAX_TOKENS, MAX_TRANSACTION_BYTES};

pub(super) fn decode(datagram: &[u8]) -> Result<Message<'_>, MessageError<'_>> {
    if datagram.len() > MAX_INCOMING_BYTES {
        return Err(MessageError { query: None, fault: Fault::TooLong(datagram.len()) });
    }
    let limits = Limits { depth: MAX_DEPTH, tokens: MAX_TOKENS };
    // What follows the message is passed over: some nodes append bytes.
    let document = DecodeOptions::lenient(limits)
        .decode_prefix(datagram)
        .map_err(|error| MessageError { query: None, fault: error.into() })?;
    let mut query = None;
    message(document.root(), &mut query).map_err(|fault| MessageError { query, fault })
}

/// Reads the message; `query` is told its transaction once it is known to be a query.
fn message<'a>(root: Value<'_, 'a>, query: &mut Option<&'a [u8]>) -> Result<Message<'a>, Fault> {
    let root = root.as_dict().ok_or(Fault::NotADictionary)?;
    let transaction = bytes(root, "t")?;
    if transaction.len() > MAX_TRANSACTION_BYTES {
        return Err(Fault::Wrong("t", "a short string"));
    }
    let body = match bytes(root, "y")? {
        b"q" => {
            *query = Some(transaction);
            Body::Query(read_query(root)?)
        }
        b"r" => Body::Response(read_response(root)?),
        b"e" => read_error(root)?,
        _ => return Err(Fault::Wrong("y", "one of q, r and e")),
    };
    let version = root.get(b"v").and_then(Value::as_bytes);
    let ip = root.get(b"ip").and_then(Value::as_bytes).and_then(compact_address);
    let read_only = flag(root, "ro");
    Ok(Message { transaction, version, ip, read_only, body })
}

fn read_query<'a>(root: Dict<'_, 'a>) -> Result<Query<'a>, Fault> {
    let name = bytes(root, "q")?;
    let arguments = dict(root, "a")?;
    let method = match name {
        b"ping" => Method::Ping,
        b"find_node" => Method::FindNode { target: id(arguments, "target")? },
        b"get_peers" => Method::GetPeers {
            info_hash: id(arguments, "info_hash")?,
            noseed: flag(arguments, "noseed"),
            scrape: flag(arguments, "scrape"),
        },
        b"announce_peer" => announce(arguments)?,
        b"get" => Method::Get { target: id(arguments, "target")?, seq: optional_int(arguments, "seq")? },
        b"put" => put(arguments)?,
        b"sample_infohashes" => Method::SampleInfohashes { target: id(arguments, "target")? },
        _ => Method::Unknown {
            name,
            target: id(arguments, "target").or_else(|_| id(arguments, "info_hash")).ok(),
        },
    };
    Ok(Query { id: id(arguments, "id")?, want: want(arguments), method })
}

fn announce<'a>(arguments: Dict<'_, 'a>) -> Result<Method<'a>, Fault> {
    let implied_port = flag(arguments, "implied_port");
    let port = match optional_int(arguments, "port")? {
        Some(port) => u16::try_from(port).map_err(|_| Fault::Wrong("port", "a port"))?,
        None if implied_port => 0,
        None => return Err(Fault::Missing("port")),
    };
    let token = bytes(arguments, "token")?;
    let (info_hash, seed) = (id(arguments, "info_hash")?, flag(arguments, "seed"));
    Ok(Method::AnnouncePeer { info_hash, port, implied_port, token, seed })
}

fn put<'a>(arguments: Dict<'_, 'a>) -> Result<Method<'a>, Fault> {
    let value = arguments.get(b"v").ok_or(Fault::Missing("v"))?.raw();
    let mutable = match arguments.get(b"k") {
        None => None,
        Some(_) => Some(MutablePut {
            key: array(arguments, "k", "32 bytes")?,
            seq: optional_int(arguments, "seq")?.ok_or(Fault::Missing("seq"))?,
            signature: array(arguments, "sig", "64 bytes")?,
            salt: optional_bytes(arguments, "salt")?.unwrap_or_default(),
            cas: optional_int(arguments, "cas")?,
        }),
    };
    Ok(Method::Put { token: bytes(arguments, "token")?, value, mutable })
}

fn want(arguments: Dict<'_, '_>) -> Want {
    let mut want = Want::default();
    for family in arguments.get(b"want").and_then(Value::as_list).into_iter().flatten() {
        match family.as_bytes() {
            Some(b"n4") => want.n4 = true,
            Some(b"n6") => want.n6 = true,
            // BEP 32: "must be silently ignored".
            _ => {}
        }
    }
    want
}

fn read_response<'a>(root: Dict<'_, 'a>) -> Result<Response<'a>, Fault> {
    let values = dict(root, "r")?;
    let mut response = Response::new(id(values, "id")?);
    response.nodes = optional_bytes(values, "nodes")?.map(|bytes| Nodes::new(Family::V4, bytes));
    response.nodes6 = optional_bytes(values, "nodes6")?.map(|bytes| Nodes::new(Family::V6, bytes));
    response.token = optional_bytes(values, "token")?;
    response.values = match values.get(b"values") {
        Some(list) => Some(read_values(list)?),
        None => None,
    };
    response.seeds = optional_array(values, "BFsd", "256 bytes")?;
    response.peers = optional_array(values, "BFpe", "256 bytes")?;
    response.value = values.get(b"v").map(Value::raw);
    response.key = optional_array(values, "k", "32 bytes")?.copied();
    response.signature = optional_array(values, "sig", "64 bytes")?.copied();
    response.seq = optional_int(values, "seq")?;
    response.samples = optional_bytes(values, "samples")?.map(|info_hashes| Samples {
        info_hashes,
        interval: unsigned(values, "interval").and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(0),
        total: unsigned(values, "num").unwrap_or(0),
    });
    Ok(response)
}

fn read_values<'a>(list: Value<'_, 'a>) -> Result<Values<'a>, Fault> {
    let fault = Fault::Wrong("values", "a list of strings");
    if !list.as_list().ok_or(fault)?.iter().all(|peer| peer.as_bytes().is_some()) {
        return Err(fault);
    }
    let raw = list.raw();
    // Without the `l` and the `e`.
    Ok(Values::from_items(raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default()))
}

fn read_error<'a>(root: Dict<'_, 'a>) -> Result<Body<'a>, Fault> {
    let fault = Fault::Wrong("e", "a number and a text");
    let mut items = root.get(b"e").ok_or(Fault::Missing("e"))?.as_list().ok_or(fault)?.iter();
    let code = items.next().and_then(Value::as_int).ok_or(fault)?;
    // Some nodes leave the text out.
    Ok(Body::Error { code, text: items.next().and_then(Value::as_bytes).unwrap_or_default() })
}

fn dict<'d, 'a>(of: Dict<'d, 'a>, key: &'static str) -> Result<Dict<'d, 'a>, Fault> {
    of.get(key.as_bytes()).ok_or(Fault::Missing(key))?.as_dict().ok_or(Fault::Wrong(key, "a dictionary"))
}

fn optional_bytes<'a>(of: Dict<'_, 'a>, key: &'static str) -> Result<Option<&'a [u8]>, Fault> {
    of.get(key.as_bytes()).map(|value| value.as_bytes().ok_or(Fault::Wrong(key, "a string"))).transpose()
}

fn bytes<'a>(of: Dict<'_, 'a>, key: &'static str) -> Result<&'a [u8], Fault> {
    optional_bytes(of, key)?.ok_or(Fault::Missing(key))
}

fn optional_array<'a, const N: usize>(
    of: Dict<'_, 'a>,
    key: &'static str,
    what: &'static str,
) -> Result<Option<&'a [u8; N]>, Fault> {
    optional_bytes(of, key)?.map(|bytes| bytes.try_into().map_err(|_| Fault::Wrong(key, what))).transpose()
}

fn array<const N: usize>(of: Dict<'_, '_>, key: &'static str, what: &'static str) -> Result<[u8; N], Fault> {
    optional_array(of, key, what)?.copied().ok_or(Fault::Missing(key))
}

fn id(of: Dict<'_, '_>, key: &'static str) -> Result<NodeId, Fault> {
    array(of, key, "20 bytes").map(NodeId)
}

fn optional_int(of: Dict<'_, '_>, key: &'static str) -> Result<Option<i64>, Fault> {
    of.get(key.as_bytes())
        .map(|value| value.as_int().ok_or(Fault::Wrong(key, "a 64-bit integer")))
        .transpose()
}

fn unsigned(of: Dict<'_, '_>, key: &'static str) -> Option<u64> {
    u64::try_from(of.get(key.as_bytes())?.as_int()?).ok()
}

/// A flag that is set by anything but 0. (A flag that is no number is none.)
fn flag(of: Dict<'_, '_>, key: &'static str) -> bool {
    of.get(key.as_bytes()).and_then(Value::as_int).is_some_and(|value| value != 0)
}
