//! Inventory and health of the GPUs of one server, through NVML.
//!
//! Owns the driver's library and what was seen through it. Knows nothing of Kubernetes and keeps no file: what must
//! outlive the process is handed to the caller as [`Seen`]. A driver that hangs costs one thread, never the caller:
//! see [`Inventory::read`].

mod facts;
mod health;
mod inventory;
mod merge;
mod probe;
mod worker;

pub use facts::{GpuFacts, Seen};
pub use health::{GpuReading, Health, Live};
pub use inventory::{Driver, Inventory, Reading};
