//! What the tests with foreign clients stand on: a folder for each test, content with sums, and processes that say
//! in lines of JSON how they are doing and that end with the test.

#![forbid(unsafe_code)]

mod aria2;
mod client;
mod content;
mod creation;
mod daemon;
mod http;
mod isolated;
mod lab;
mod libtorrent;
mod network;
mod ours;
mod process;
mod rogue;
mod rogue_tracker;
mod tools;
mod trace;
mod tracker;
mod transmission;

pub use client::{Client, ClientKind, Job, Progress, start, wait_for_all};
pub use content::{make_file, make_tree, sums};
pub use isolated::isolated;
pub use lab::{Lab, full};
pub use network::{Host, Network, run};
pub use process::{Process, Signal};
pub use rogue::{Rogue, Target, call_again_and_again};
pub use rogue_tracker::{RogueTracker, RunningTracker};
pub use tools::{Tool, is_root, need};
pub use trace::{Action, Call, calls, traced};
pub use tracker::{Protocol, TRACKERS, Tracker, TrackerKind, announce_url};
