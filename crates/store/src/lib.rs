//! The Postgres ledger and GPU claims, and the Redis wake-ups.
//!
//! Owns who holds which GPU, what was decided under which leader's epoch, and what happened when for how much money.
//! It may not touch Kubernetes or a validator: callers observe those and say here what they saw. Redis only wakes; with
//! Redis gone everything goes on by polling, and losing all of it loses nothing.
//!
//! Every call has a deadline. [`Error::is_unavailable`] tells "ask again later" from an answer; a write that ran into its
//! deadline may still have happened, so every write can be repeated.

mod chutes;
mod claims;
mod connect;
mod decisions;
mod deployments;
mod epoch;
mod error;
mod events;
mod grants;
mod launches;
mod ledger;
mod nonces;
mod outbox;
mod rebuild;
mod rows;
mod sagas;
mod servers;
mod stops;
mod tenures;
mod wakeups;

pub use chutes::ListedChute;
pub use claims::{Claim, FreedBy, PodGone, ValidatorClear};
pub use connect::{Options, Store};
pub use decisions::{Decided, Decision, DecisionKind, NewDecision};
pub use deployments::{Deployment, PhaseChange};
pub use epoch::{Epoch, Leader};
pub use error::Error;
pub use events::Event;
pub use grants::{Granted, NewDeployment};
pub use launches::{AttemptState, LaunchAttempt, Refusals, Settled};
pub use ledger::{ComputeLine, CostLine, IdleGpu, IdleLine, InstanceRecord, LedgerSummary, MultiplierSegment};
pub use nonces::Freshness;
pub use outbox::{Publisher, Topic};
pub use rebuild::{ClaimDispute, LivePlacement, Rebuilt};
pub use sagas::{SagaStep, StepState};
pub use servers::{GpuFacts, KnownGpu, KnownServer, ServerFacts};
pub use tenures::{
    ChainBlock, Follow, FollowGap, FollowKey, KeptTenure, NewTenure, PruneRules, RunningTenure, TenureChanges, TenureEnd, TenureLife,
    TenureStanding,
};
pub use wakeups::{Wakeups, Woken};
