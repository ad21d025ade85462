//! The rules, one function each: nothing if there is no objection, else the reason.

mod chute;
mod pair;
mod server;
mod sources;
mod target;

pub use chute::chute;
pub use pair::{backoff, below_min_gain, model, tee, until};
pub use server::{gpu, server};
pub use sources::{may_launch, may_stop};
pub use target::room;
