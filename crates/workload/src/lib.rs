//! Renders the Service, Secret and Job of one chute deployment. Pure: no client, no clock, no randomness.
//!
//! The Job is the contract with the validator and with the chute's runtime: names, labels, environment, ports and probes are
//! those of the existing miner, which `tests/golden` holds byte for byte. Where ours differs on purpose, the code says why.
//!
//! What a node allows is a [`NodeProfile`]; how everything of a deployment is called is in [`names`].

mod check;
mod job;
pub mod names;
mod ports;
mod profile;
mod secret;
mod service;
pub mod shape;

pub use check::{Refusal, check};
pub use job::{RenderContext, job};
pub use ports::node_ports;
pub use profile::{NodeProfile, OWN_NAMESPACE, TokenDelivery};
pub use secret::secret;
pub use service::service;
