//! The simulator over real HTTP and websockets.

mod admin;
mod agreement;
mod common;
mod jobs;
mod launches;
mod nodes;
mod signatures;
mod sockets;
mod streams;
