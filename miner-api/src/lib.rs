//! The miner API: people, nodes and validators talk to this.
//!
//! It answers the existing miner's HTTP interface from custom resources, enrols agents and sells them tokens, and keeps the link
//! to each validator: what it offers becomes Chutes, what it announces becomes wake-ups. It places nothing and stops nothing:
//! that is the operator's.

pub mod app;
pub mod chain;
pub mod config;
pub mod enrol;
#[cfg(test)]
mod fixtures;
pub mod http;
pub mod kubernetes;
pub mod ledger;
pub mod link;
pub mod metrics;
pub mod ports;
pub mod rows;
pub mod status;
