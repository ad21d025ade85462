//! What the HTTP side needs from the world, as traits: Kubernetes, the ledger, the agents, the validators.
//!
//! Handlers know only these; tests put scripted ones in their place.

pub mod agents;
pub mod fleet;
pub mod ledger;
pub mod validators;
