//! A stand-in for a Bittensor node, for tests and for trying things without the internet.
//!
//! It serves state over the JSON-RPC of a Substrate node (a WebSocket on a free local port): state recorded from the real chain, at any
//! block, and whatever a test puts on top from some block on. It makes blocks when it is told to, finalizes them some blocks later, can
//! give up blocks that are not final, change its runtime, forget old state as real nodes do, and fail in the ways of [`Faults`].
//!
//! It runs no runtime: what it answers was recorded or put in. What becomes of extrinsics is a [`Fate`], too; by itself it refuses them.

mod accounts;
mod extrinsics;
mod faults;
mod recording;
mod rpc;
mod serve;
mod world;

pub use accounts::balance;
pub use extrinsics::{Extrinsics, Fate};
pub use faults::Faults;
pub use recording::{METADATA_V14, METADATA_V15, METADATA_V16, Recording, unpack};
pub use serve::Sim;
pub use world::{Hash, World};
