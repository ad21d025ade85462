//! The whole control plane, started as real programs against real parts.
//!
//! [`fleet::Fleet`] serves the demo, the end-to-end tests and the benchmarks alike. Only two things are doubles: the validator
//! (`tests/validator-sim`) and the GPUs (`crates/fake-nvml`, and a chute that computes nothing, `tests/fake-chute`).

#![allow(clippy::disallowed_methods, reason = "launchers are threads of their own; nothing here runs on an async runtime")]

pub mod blind;
pub mod fleet;
pub mod hunt;
pub mod kill;
pub mod leaks;
pub mod pods;
pub mod quiet;
pub mod sagas;
pub mod stage;
pub mod story;
pub mod validator;
pub mod wait;
