//! The agent of one GPU server.
//!
//! It realizes the deployments assigned to its server, counts its GPUs and watches their health, and reports. It holds a key
//! of its own, never the miner's. It decides nothing: without the control cluster it keeps everything running as it is.

pub mod control;
pub mod enrolment;
pub mod http;
pub mod identity;
pub mod inventory;
pub mod metrics;
pub mod node;
pub mod options;
pub mod report;
pub mod run;
pub mod session;
pub mod state;
pub mod token;

/// The field manager of everything the agent writes.
pub const MANAGER: &str = "gepetto-agent";
