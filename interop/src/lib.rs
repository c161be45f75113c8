//! What the tests with foreign clients stand on: a folder for each test, content with sums, and processes that say
//! in lines of JSON how they are doing and that end with the test.

#![forbid(unsafe_code)]

mod content;
mod creation;
mod lab;
mod process;

pub use content::{make_file, make_tree, sums};
pub use lab::{Lab, full};
pub use process::{Process, Signal};
