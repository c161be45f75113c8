//! Two nodes, or one and a hand that writes its datagrams.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use downpour_base::{Instant, Machine, NodeId, Seed};
use downpour_dht::message::{Body, Message, Method, Query, Response, Want};
use downpour_dht::{Input, Node, Output, SavedState, Settings, SocketId};

pub(crate) const SOCKET: SocketId = SocketId(0);

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

pub(crate) fn at(seconds: u64) -> Instant {
    Instant::ORIGIN + Duration::from_secs(seconds)
}

/// A node at `local`, open since second 100.
pub(crate) fn node(local: &str, settings: Settings) -> Node {
    let seed = Seed::from_u64(u64::from(address(local).port()));
    let mut node = Node::new(at(100), seed, settings, SavedState::default());
    node.handle_input(at(100), Input::Opened { socket: SOCKET, local: address(local) });
    outputs(&mut node);
    node
}

pub(crate) fn outputs(node: &mut Node) -> Vec<Output> {
    std::iter::from_fn(|| node.poll_output()).collect()
}

/// The datagrams among outputs.
pub(crate) fn datagrams(outputs: &[Output]) -> Vec<(SocketAddr, Vec<u8>)> {
    let datagram = |output: &Output| match output {
        Output::Datagram { to, payload, .. } => Some((*to, payload.clone())),
        _ => None,
    };
    outputs.iter().filter_map(datagram).collect()
}

/// Gives a node a datagram and returns the answer to it: the one datagram with its transaction.
pub(crate) fn ask(node: &mut Node, now: Instant, from: &str, payload: &[u8]) -> Option<Vec<u8>> {
    let from = address(from);
    let payload = Bytes::copy_from_slice(payload);
    node.handle_input(now, Input::Datagram { socket: SOCKET, from, payload });
    let sent = datagrams(&outputs(node));
    let is_answer = |(to, payload): &(SocketAddr, Vec<u8>)| {
        *to == from && Message::decode(payload).is_ok_and(|message| !matches!(message.body, Body::Query(_)))
    };
    sent.into_iter().find(is_answer).map(|(_, payload)| payload)
}

pub(crate) fn query(id: u8, method: Method<'_>) -> Vec<u8> {
    let body = Body::Query(Query { id: NodeId([id; 20]), want: Want::default(), method });
    let mut out = Vec::new();
    Message::new(b"aa", body).encode(&mut out);
    out
}

/// The response in an answer.
pub(crate) fn response(payload: &[u8]) -> Response<'_> {
    let message = Message::decode(payload).expect("a message");
    assert_eq!(message.transaction, b"aa");
    match message.body {
        Body::Response(response) => response,
        other => panic!("not a response: {other:?}"),
    }
}

/// The number of the error in an answer.
pub(crate) fn error(payload: &[u8]) -> i64 {
    match Message::decode(payload).expect("a message").body {
        Body::Error { code, .. } => code,
        other => panic!("not an error: {other:?}"),
    }
}
