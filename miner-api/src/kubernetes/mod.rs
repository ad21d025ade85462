//! The control cluster: the watches the API reads from, and its few writes.

mod access;
mod chutes;
mod fleet;
mod operator;
mod watches;

pub use access::{Access, connect};
pub use fleet::KubeFleet;

/// Under which name our writes are known.
pub const MANAGER: &str = "gepetto-miner-api";
