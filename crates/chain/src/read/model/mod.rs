//! What a fleet operator reads from the chain.
//!
//! Amounts are whole *rao* (TAO) or the same fraction of a subnet's alpha, 10^-9 each; TAO and alpha are never added. Scores are shares
//! of 65,535. Blocks are numbers, about 12 s each.

mod account;
mod dynamic;
mod metagraph;
mod neuron;
mod subnet;
mod wide;

pub use account::{AccountData, AccountInfo, DelegateInfo};
pub use dynamic::DynamicInfo;
pub use metagraph::{SelectiveMetagraph, SubnetState};
pub use neuron::{AxonInfo, Neuron, PrometheusInfo};
pub use subnet::{Hyperparameters, SubnetIdentity, SubnetInfo};

/// Rao in one TAO, and the smallest parts in one alpha.
pub const RAO_PER_TAO: u64 = 1_000_000_000;

/// A score of the chain as a number from 0 to 1.
pub fn ratio(score: u16) -> f64 {
    f64::from(score) / f64::from(u16::MAX)
}
