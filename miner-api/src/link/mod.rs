//! The link to each validator: its chute list becomes Chutes, its events become wake-ups.
//!
//! Lists are the truth, events only hints. Nothing is ever withdrawn on a blind spot: see [`shelf`].

mod conditions;
mod driver;
mod render;
pub mod shelf;
mod supervisor;
mod topics;
mod validators;

pub use driver::LinkOptions;
pub use supervisor::Supervisor;
pub use validators::LinkedValidators;
