//! What the control plane is told of the server: `status.reported` of its own GpuServer, written only when it changes.

mod compose;
mod writer;

pub use compose::{Composer, seen};
pub use writer::Reporter;
