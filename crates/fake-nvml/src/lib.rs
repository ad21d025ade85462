//! A `libnvidia-ml.so` that serves simulated GPUs from a file; tests and demo only.
//!
//! It exports the part of NVML that an inventory needs, under NVML's own names. A function that is not here is a
//! missing symbol, which is also what an old driver looks like.
//!
//! The profile is the JSON file named by `FAKE_NVML_PROFILE`, else `profile.json` beside the library itself. It is read
//! again whenever it changes, so that a test can lose a GPU while a program runs. `FAKE_NVML_SEED` overrides the seed
//! that the UUIDs grow from, so that two servers with one profile have different GPUs.
//!
//! # Safety
//!
//! All exported functions have NVML's contract: pointers are null or valid for the type NVML documents, buffers have
//! the length given with them, handles come from this library. Null pointers and unknown handles are answered with
//! `INVALID_ARGUMENT`.

pub mod device;
pub mod health;
mod out;
mod place;
pub mod profile;
mod source;
pub mod system;

pub use place::built_library;
