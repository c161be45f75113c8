//! A swarm among scripted peers.

mod allowance;
mod blame;
mod disk;
mod downloading;
mod members;
mod memory;
mod pace;
mod rules;
mod sources;
mod uploading;
mod wishes;
mod world;
