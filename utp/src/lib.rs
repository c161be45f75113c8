#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod congestion;
mod connection;
mod delay;
mod endpoint;
mod interface;
pub mod limits;
mod packet;
mod path;
mod receiver;
mod round_trip;
mod sender;
mod settings;
mod table;
mod transmit;
mod wrap;

pub use endpoint::Endpoint;
pub use interface::{
    CloseReason, ConnectError, Datagram, Event, Info, Read, Statistics, StreamId, Transmit, UnknownStream,
    WriteError,
};
pub use packet::{HEADER_LENGTH, Header, Kind, Packet, PacketError, is_utp};
pub use settings::Settings;
