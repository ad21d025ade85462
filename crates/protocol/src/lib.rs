//! What goes over the wire between a miner and a validator: signatures, messages, the GPU catalogue.
//!
//! Pure: no I/O, no clock, no Kubernetes. Callers hand in the time and the bytes; this crate says what they mean.
//! Decoding is tolerant (unknown fields are ignored, optional fields may be absent), identifiers are not: a malformed
//! id never becomes a value, so nothing further in has to check it again.

pub mod auth;
pub mod catalogue;
pub mod device;
pub mod dto;
pub mod event;
pub mod ids;
pub mod key;
pub mod sign;
pub mod time;
pub mod version;
