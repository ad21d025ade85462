//! Makes ChuteDeployments real on one server and reports what it sees there.
//!
//! Runs in the agent and, for servers with a remote driver, in the operator. Each pass over a deployment reads like this:
//! [`observe`] what stands on the node, [`decide`] (pure) what it means and what to do next, execute that one step, and again
//! until nothing is to be done; then report, if anything changed. All that must survive a restart is in the two clusters: names
//! follow from the deployment's id, and the report names the UIDs that were seen.
//!
//! It never creates a second Job for a deployment (its launch token is good for one), and deletes nothing unless the
//! deployment is to stop. The Service goes only when the operator releases it.

mod config;
pub mod decide;
mod execute;
mod memory;
mod neighbours;
pub mod observe;
mod orphans;
mod realizer;
mod report;

pub use config::{Deadlines, GpuHealthMap, RealizeConfig};
pub use neighbours::{GpuProcessMap, GpuProcesses};
pub use orphans::Orphan;
pub use realizer::Realizer;
pub use report::reason;
