//! What every handler shares.

use crate::{
    chain::Known,
    enrol::EnrolSettings,
    http::{rate::Rates, replays::Replays},
    metrics::Metrics,
    ports::{agents::Agents, fleet::Fleet, ledger::Ledger, validators::Validators},
};
use jiff::Timestamp;
use protocol::ids::Ss58;
use std::sync::Arc;

/// The time, which tests stop.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The system's.
    System,
    /// Always this.
    Fixed(Timestamp),
}

impl Clock {
    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Fixed(at) => *at,
        }
    }

    /// Now, in Unix seconds.
    #[must_use]
    pub fn unix_seconds(&self) -> i64 {
        self.now().as_second()
    }
}

/// What every handler shares. The hotkey's secret is not here: only the parts that sign hold it.
pub struct App {
    /// The miner's address.
    pub hotkey: Ss58,
    /// The time.
    pub clock: Clock,
    /// The control cluster.
    pub fleet: Arc<dyn Fleet>,
    /// Postgres.
    pub ledger: Arc<dyn Ledger>,
    /// The agents.
    pub agents: Arc<dyn Agents>,
    /// The validators.
    pub validators: Arc<dyn Validators>,
    /// Signatures of people seen.
    pub replays: Replays,
    /// Signatures of nodes seen.
    pub node_replays: Replays,
    /// How often each server may ask for a token.
    pub rates: Rates,
    /// What an enrolled agent is told.
    pub enrol: EnrolSettings,
    /// The hotkey on the chain, if that is watched.
    pub chain: Known,
    /// Counters.
    pub metrics: Metrics,
}

impl App {
    /// The miner's address.
    #[must_use]
    pub fn hotkey(&self) -> &Ss58 {
        &self.hotkey
    }
}
