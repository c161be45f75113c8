//! Torrents of several files in real sessions, on loopback.

mod many;
mod support;
mod verbs;
