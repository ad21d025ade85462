//! The strategy: a snapshot of the fleet goes in, a plan comes out.
//!
//! Nothing here reads a clock, draws a random number or does I/O; time is a field of the snapshot. The same snapshot and policy
//! always give the same plan, so every decision can be replayed from what was recorded.

mod plan;
mod planner;
pub mod policy;
pub mod reason;
pub mod rules;
mod score;
pub mod snapshot;
mod stops;

pub use plan::{Action, IdleGpu, Launch, Plan, Stop};
pub use planner::plan;
pub use policy::Policy;
pub use reason::Reason;
pub use snapshot::Snapshot;
