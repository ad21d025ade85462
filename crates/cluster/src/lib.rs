//! How every program here talks to Kubernetes: watches, writes, backoff, leadership, events.
//!
//! Owns the rules that must hold on every call: a time limit, no hidden retries, one watch constructor, preconditions on every
//! deletion. Knows no resource of ours and decides nothing about them.

pub mod apply;
pub mod backoff;
pub mod call;
pub mod client;
pub mod controller;
pub mod error;
pub mod events;
pub mod heartbeat;
pub mod kubeconfig;
pub mod leader;
pub mod metrics;
pub mod quantity;
pub mod supervise;
pub mod watch;

#[cfg(test)]
mod testing;

pub use error::Error;

/// The result of a call to an API server.
pub type Result<T, E = Error> = std::result::Result<T, E>;
