//! The existing miner's JSON rows, built from custom resources. Pure.
//!
//! Every field its command line reads is there under its old name and type. Secrets it used to send are not: `kubeconfig` is
//! null and a chute's `code` is empty.

mod chute;
mod deployment;
mod gpu;
mod server;
mod time;

pub use deployment::deployment;
pub use server::{is_locked, server, server_id, servers};
pub use time::wire;
