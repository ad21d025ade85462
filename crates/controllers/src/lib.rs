//! The operator's controllers, one folder per kind, with the snapshot, the executor and the sagas.
//!
//! Everything here runs in the one leader. Decisions are rows under its epoch before they are anything else; what is seen
//! carries its age; statuses are written on change only.

pub mod chute;
pub mod chute_deployment;
mod context;
mod error;
pub mod executor;
pub mod gepetto_policy;
pub mod gpu_server;
pub mod leader;
pub mod ledger;
mod metrics;
mod patch;
pub mod remote;
pub mod sign;
pub mod snapshot;
mod timing;
pub mod validator;
pub mod validator_view;

pub use context::{Context, MANAGER, Outlook, Watches};
pub use error::{Error, Result};
pub use metrics::Metrics;
pub use timing::Timing;

/// The namespace of the operator's Lease and of everything that is not a server's own.
pub use crd::FLEET_NAMESPACE;
/// The operator's Lease.
pub use crd::leases::LEADER as LEADER_LEASE;
