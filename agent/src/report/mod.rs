//! What the control plane is told of the server: `status.reported` of its own GpuServer, written only when it changes.

mod compose;
#[cfg(test)]
mod fixture;
mod writer;

pub use compose::{Composer, seen};
pub use writer::Reporter;
