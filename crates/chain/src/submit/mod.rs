//! Extrinsics to a Bittensor node: register, serve an axon, set weights, transfer.
//!
//! Owns what is signed and sent. Stands on [`crate::read`]: calls, signed extensions and errors are encoded and decoded by the metadata of
//! the runtime that runs now, by name, so an argument that a runtime adds or renames is an error here and never a wrong transaction.
//!
//! # From a call to an outcome
//!
//! ```text
//! Account::prepare   reads nonce, genesis, versions; signs          -> Prepared
//! Prepared::fee      what the node says it costs
//! Prepared::dry_run  what the runtime would say to these very bytes
//! Prepared::submit   sends them, follows finalized blocks           -> Outcome, from the block's events
//! ```
//!
//! An [`Account`] has one extrinsic at a time: [`Prepared`] borrows it, so two with the same nonce cannot be made.
//!
//! Nothing is sent twice. Every extrinsic is mortal ([`Mortality`]): when its last block is final and it was in none, it never will be, and
//! [`SubmitError::Expired`] says that trying again is safe. Where a connection is lost before the answer, other nodes are handed the same
//! bytes, and only their yes counts: one that refuses them says nothing of the first. Blocks are searched for the bytes rather than the
//! node asked to watch: that survives the node. When they cannot be read for too long, [`SubmitError::Unknown`] says so, and its [`Trace`]
//! looks again, also in a later run.
//!
//! Across runs and programs the nonce is what keeps a payment from being made twice. So a transfer whose nonce somebody used is not
//! signed again, as other calls are, and [`Prepared::waiting`] tells of extrinsics that were sent before and are in no block yet.
//!
//! Weights that the chain itself reveals ([`Call::CommitTimelockedWeights`]) are encrypted to a time; [`reveal_plan`] says to which.

mod account;
mod call;
mod era;
mod error;
mod extension;
mod extrinsic;
mod guard;
mod mechanism;
mod outcome;
mod registration;
mod timelock;
mod trace;
mod trial;
mod undescribed;
mod weights;

pub use account::{Account, Prepared};
pub use call::{Axon, AxonError, Call};
pub use era::Mortality;
pub use error::SubmitError;
pub use extension::Signing;
pub use extrinsic::Extrinsic;
pub use guard::{CHUTES_NETUID, Warning, warnings, warnings_of_hidden};
pub use mechanism::{Mechanism, MechanismError};
pub use outcome::{DispatchFailure, Outcome};
pub use registration::{Place, Registered, RegistrationQuote, Victim, quote, registered};
pub use timelock::{
    EpochSchedule, OpenError, Pulse, PulseError, RevealPlan, Round, SealError, TimelockError, TimelockedWeights, open, reveal_plan, seal,
};
pub use trace::{Found, Trace};
pub use trial::{DryRun, Refusal};
pub use weights::{Weights, WeightsError};
