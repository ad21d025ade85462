//! Money: what ran, at which rate, what it cost, what stood idle. Append-only; closing an interval is the only update.

mod compute;
mod costs;
mod idle;
mod multipliers;
mod summary;

pub use compute::InstanceRecord;
pub use idle::IdleGpu;
pub use multipliers::MultiplierSegment;
pub use summary::{ComputeLine, CostLine, IdleLine, LedgerSummary};
