//! The simulator over real HTTP and websockets.

mod admin;
mod common;
mod launches;
mod nodes;
mod signatures;
mod sockets;
mod streams;
