//! Torrents of several files in real sessions, on loopback.

mod many;
mod removal;
mod support;
mod verbs;
