//! Writing messages. The keys of a message are known, so they are written in their order and nothing is allocated but
//! the datagram; the general encoder keeps and sorts every key.

use downpour_base::NodeId;

use super::compact::push_address;
use super::{Body, Message, Method, MutablePut, Query, Response, Want};

pub(super) fn encode(message: &Message<'_>, out: &mut Vec<u8>) {
    let mut out = Writer(out);
    out.open();
    match &message.body {
        Body::Query(query) => {
            out.key("a");
            arguments(query, &mut out);
        }
        Body::Error { code, text } => {
            out.key("e");
            out.0.push(b'l');
            out.int(*code);
            out.bytes(text);
            out.close();
        }
        Body::Response(_) => {}
    }
    if let Some(address) = &message.ip {
        out.key("ip");
        out.length(if address.is_ipv4() { 6 } else { 18 });
        push_address(address, out.0);
    }
    let kind = match &message.body {
        Body::Query(query) => {
            out.entry("q", name(&query.method));
            b"q"
        }
        Body::Response(response) => {
            out.key("r");
            values(response, &mut out);
            b"r"
        }
        Body::Error { .. } => b"e",
    };
    out.flag("ro", message.read_only);
    out.entry("t", message.transaction);
    if let Some(version) = message.version {
        out.entry("v", version);
    }
    out.entry("y", kind);
    out.close();
}

fn name<'a>(method: &Method<'a>) -> &'a [u8] {
    match method {
        Method::Ping => b"ping",
        Method::FindNode { .. } => b"find_node",
        Method::GetPeers { .. } => b"get_peers",
        Method::AnnouncePeer { .. } => b"announce_peer",
        Method::Get { .. } => b"get",
        Method::Put { .. } => b"put",
        Method::SampleInfohashes { .. } => b"sample_infohashes",
        Method::Unknown { name, .. } => name,
    }
}

fn arguments(query: &Query<'_>, out: &mut Writer<'_>) {
    let id = &query.id;
    out.open();
    match &query.method {
        Method::Ping => out.id("id", id),
        Method::FindNode { target } | Method::SampleInfohashes { target } => {
            out.id("id", id);
            out.id("target", target);
        }
        Method::GetPeers { info_hash, noseed, scrape } => {
            out.id("id", id);
            out.id("info_hash", info_hash);
            out.flag("noseed", *noseed);
            out.flag("scrape", *scrape);
        }
        Method::AnnouncePeer { info_hash, port, implied_port, token, seed } => {
            out.id("id", id);
            out.flag("implied_port", *implied_port);
            out.id("info_hash", info_hash);
            out.number("port", i64::from(*port));
            out.flag("seed", *seed);
            out.entry("token", token);
        }
        Method::Get { target, seq } => {
            out.id("id", id);
            if let Some(seq) = seq {
                out.number("seq", *seq);
            }
            out.id("target", target);
        }
        Method::Put { token, value, mutable } => put(id, token, value, mutable.as_ref(), out),
        Method::Unknown { target, .. } => {
            out.id("id", id);
            if let Some(target) = target {
                out.id("target", target);
            }
        }
    }
    wanted(query.want, out);
    out.close();
}

fn put(id: &NodeId, token: &[u8], value: &[u8], mutable: Option<&MutablePut<'_>>, out: &mut Writer<'_>) {
    if let Some(cas) = mutable.and_then(|item| item.cas) {
        out.number("cas", cas);
    }
    out.id("id", id);
    if let Some(item) = mutable {
        out.entry("k", &item.key);
        if !item.salt.is_empty() {
            out.entry("salt", item.salt);
        }
        out.number("seq", item.seq);
        out.entry("sig", &item.signature);
    }
    out.entry("token", token);
    out.raw("v", value);
}

fn wanted(want: Want, out: &mut Writer<'_>) {
    if want == Want::default() {
        return;
    }
    out.key("want");
    out.0.push(b'l');
    if want.n4 {
        out.bytes(b"n4");
    }
    if want.n6 {
        out.bytes(b"n6");
    }
    out.close();
}

fn values(response: &Response<'_>, out: &mut Writer<'_>) {
    let optional = |key: &str, bytes: Option<&[u8]>, out: &mut Writer<'_>| {
        if let Some(bytes) = bytes {
            out.entry(key, bytes);
        }
    };
    out.open();
    optional("BFpe", response.peers.map(<[u8; 256]>::as_slice), out);
    optional("BFsd", response.seeds.map(<[u8; 256]>::as_slice), out);
    out.id("id", &response.id);
    if let Some(samples) = &response.samples {
        out.number("interval", i64::from(samples.interval));
    }
    optional("k", response.key.as_ref().map(<[u8; 32]>::as_slice), out);
    optional("nodes", response.nodes.map(|nodes| nodes.as_bytes()), out);
    optional("nodes6", response.nodes6.map(|nodes| nodes.as_bytes()), out);
    if let Some(samples) = &response.samples {
        out.number("num", i64::try_from(samples.total).unwrap_or(i64::MAX));
        out.entry("samples", samples.info_hashes);
    }
    if let Some(seq) = response.seq {
        out.number("seq", seq);
    }
    optional("sig", response.signature.as_ref().map(<[u8; 64]>::as_slice), out);
    optional("token", response.token, out);
    if let Some(value) = response.value {
        out.raw("v", value);
    }
    if let Some(values) = &response.values {
        out.key("values");
        out.0.push(b'l');
        out.0.extend_from_slice(values.items());
        out.close();
    }
    out.close();
}

/// Writes the parts of bencode.
struct Writer<'b>(&'b mut Vec<u8>);

impl Writer<'_> {
    fn open(&mut self) {
        self.0.push(b'd');
    }

    fn close(&mut self) {
        self.0.push(b'e');
    }

    /// A string's length and its colon.
    fn length(&mut self, length: usize) {
        self.decimal(length as u64);
        self.0.push(b':');
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    fn key(&mut self, key: &str) {
        self.bytes(key.as_bytes());
    }

    fn entry(&mut self, key: &str, value: &[u8]) {
        self.key(key);
        self.bytes(value);
    }

    fn id(&mut self, key: &str, id: &NodeId) {
        self.entry(key, &id.0);
    }

    fn raw(&mut self, key: &str, encoded: &[u8]) {
        self.key(key);
        self.0.extend_from_slice(encoded);
    }

    fn number(&mut self, key: &str, value: i64) {
        self.key(key);
        self.int(value);
    }

    fn flag(&mut self, key: &str, set: bool) {
        if set {
            self.number(key, 1);
        }
    }

    fn int(&mut self, value: i64) {
        self.0.push(b'i');
        if value < 0 {
            self.0.push(b'-');
        }
        self.decimal(value.unsigned_abs());
        self.close();
    }

    fn decimal(&mut self, mut value: u64) {
        let mut digits = [0; 20];
        let mut start = digits.len();
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (value % 10) as u8;
            value /= 10;
            start -= 1;
            if value == 0 {
                break;
            }
        }
        self.0.extend_from_slice(digits.get(start..).unwrap_or_default());
    }
}
