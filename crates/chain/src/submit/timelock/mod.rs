//! Weights that open at a time: committed to encrypted, and revealed by the chain itself.
//!
//! Subnets with `CommitRevealWeightsEnabled` take no open weights. A validator commits to an encrypted payload, and the runtime decrypts it
//! `RevealPeriodEpochs` epochs later with the signature that the public randomness beacon drand ("quicknet") has made by then. Nobody holds a
//! key, the validator as little as the others: see [`seal`].
//!
//! ```text
//! reveal_plan   which round of drand the chain will know by the reveal     -> RevealPlan
//! RevealPlan::seal   encrypts the weights to it                            -> TimelockedWeights
//! Call::CommitTimelockedWeights   sends them
//! ```
//!
//! # The encryption
//!
//! That of the crate `tle` of `ideal-lab5/timelock` at the revision which runtime and Python SDK (`bittensor-drand`) use: a key for AES-256-GCM,
//! hidden by the identity-based encryption of Boneh and Franklin on BLS12-381 ([`ibe`]), both put together by `ark-serialize` ([`envelope`]).
//! Its releases on crates.io (`timelock` 0.3) write other bytes (no lengths before V and W) and cannot be used; `tlock` is for drand's own
//! file format. The curve is arkworks', whose pairing's very bytes are hashed.
//!
//! # Three ages of the runtime
//!
//! | | call | payload | epochs |
//! |---|---|---|---|
//! | until `commit_timelocked_weights` | `commit_crv3_weights` | without hotkey | counted from block numbers; a pulse that is late loses the weights |
//! | until `SubnetEpochIndex` | `commit_timelocked_weights` | with hotkey | counted from block numbers; a late pulse is waited for |
//! | since | the same | the same | kept in storage, and an owner may move them |
//!
//! What a runtime has is told by its metadata, see [`EpochSchedule`].

mod drand;
mod envelope;
mod epoch;
mod ibe;
mod plan;

pub use drand::{Pulse, PulseError, Round};
pub use envelope::{OpenError, SealError, open, seal};
pub use epoch::EpochSchedule;
pub use plan::{RevealPlan, TimelockError, TimelockedWeights, reveal_plan};
