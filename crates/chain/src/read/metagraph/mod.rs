//! The metagraph: a subnet with everything about each of its UIDs, at one block.
//!
//! Letters of the ecosystem's own metagraph object and where they are here, as numbers from 0 to 1 or in TAO and alpha by
//! [`Metagraph::column`]: S stake, R rank, I incentive, E emission, C consensus, T trust, Tv validator trust, D dividends, B bonds,
//! W weights. R and T are no longer computed by the runtime, and are no measurement.

mod fetch;
mod file;

use serde::{Deserialize, Serialize};

use super::blocks::{Block, hash_text};
use super::{AccountId, AxonInfo, Fixed, RAO_PER_TAO, ratio};

pub use file::{SCHEMA_VERSION, Store, load, save};

/// A subnet at a block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metagraph {
    /// The subnet.
    pub netuid: u16,
    /// The block.
    pub block: Block,
    /// When the block was made, in milliseconds since 1970.
    pub time_ms: Option<u64>,
    /// Hash of the chain's first block.
    #[serde(with = "hash_text")]
    pub genesis: [u8; 32],
    /// Version of the runtime that answered.
    pub spec_version: u32,
    /// Whether weights and bonds were read. Without them it is lite.
    pub full: bool,
    /// Name of the subnet.
    pub name: String,
    /// Symbol of its alpha.
    pub symbol: String,
    /// Block at which the subnet was made: it changes when a number is used again.
    pub network_registered_at: Option<u64>,
    /// Owner's hotkey.
    pub owner_hotkey: Option<AccountId>,
    /// Owner's coldkey.
    pub owner_coldkey: Option<AccountId>,
    /// Blocks between epochs, less one.
    pub tempo: Option<u16>,
    /// UIDs there can be.
    pub max_uids: Option<u16>,
    /// Rao to register now.
    pub burn: Option<u64>,
    /// Blocks of immunity after registration.
    pub immunity_period: Option<u16>,
    /// Whether one can register.
    pub registration_allowed: Option<bool>,
    /// Alpha in the pool.
    pub alpha_in: Option<u64>,
    /// Rao in the pool.
    pub tao_in: Option<u64>,
    /// Averaged price of one alpha in TAO.
    pub moving_price: Option<Fixed>,
    /// The UIDs in order.
    pub neurons: Vec<Uid>,
}

/// One UID. Amounts in rao or 10^-9 alpha, scores of 65,535.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Uid {
    /// Its number.
    pub uid: u16,
    /// The hotkey on it.
    pub hotkey: AccountId,
    /// Who owns the hotkey.
    pub coldkey: AccountId,
    /// Where it serves.
    pub axon: AxonInfo,
    /// Whether it set weights lately.
    pub active: bool,
    /// Whether it may validate.
    pub validator_permit: bool,
    /// Stake as the chain weighs it (S).
    pub total_stake: u64,
    /// Alpha staked; `None` where the runtime does not tell.
    pub alpha_stake: Option<u64>,
    /// Rao staked on the root network; `None` where the runtime does not tell.
    pub tao_stake: Option<u64>,
    /// R; no longer computed by the runtime.
    pub rank: u16,
    /// T; no longer computed by the runtime.
    pub trust: u16,
    /// C.
    pub consensus: u16,
    /// Tv.
    pub validator_trust: u16,
    /// I.
    pub incentive: u16,
    /// D.
    pub dividends: u16,
    /// Alpha for each epoch (E).
    pub emission: u64,
    /// Block of the last weights.
    pub last_update: u64,
    /// Block of registration; `None` where the runtime does not tell.
    pub registered_at: Option<u64>,
    /// W: UID and raw weight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<(u16, u16)>,
    /// B: UID and raw bond.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bonds: Vec<(u16, u16)>,
}

/// A column of numbers, one for each UID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// S, in TAO and alpha as the chain weighs them.
    Stake,
    /// R.
    Rank,
    /// I.
    Incentive,
    /// E, in alpha for each epoch.
    Emission,
    /// C.
    Consensus,
    /// T.
    Trust,
    /// Tv.
    ValidatorTrust,
    /// D.
    Dividends,
}

impl Metagraph {
    /// A UID.
    pub fn uid(&self, uid: u16) -> Option<&Uid> {
        // They are in order, and nearly always without gaps.
        self.neurons.binary_search_by_key(&uid, |neuron| neuron.uid).ok().and_then(|index| self.neurons.get(index))
    }

    /// The UID that a hotkey is on.
    pub fn of_hotkey(&self, hotkey: AccountId) -> Option<&Uid> {
        self.neurons.iter().find(|neuron| neuron.hotkey == hotkey)
    }

    /// The number of a column for each UID in order.
    #[allow(clippy::cast_precision_loss, reason = "for display and statistics; the exact numbers stand in the UIDs")]
    pub fn column(&self, column: Column) -> Vec<f64> {
        let amount = |amount: u64| amount as f64 / RAO_PER_TAO as f64;
        let value = |uid: &Uid| match column {
            Column::Stake => amount(uid.total_stake),
            Column::Emission => amount(uid.emission),
            Column::Rank => ratio(uid.rank),
            Column::Incentive => ratio(uid.incentive),
            Column::Consensus => ratio(uid.consensus),
            Column::Trust => ratio(uid.trust),
            Column::ValidatorTrust => ratio(uid.validator_trust),
            Column::Dividends => ratio(uid.dividends),
        };
        self.neurons.iter().map(value).collect()
    }

    /// Price of one alpha in TAO just now: TAO over alpha in the pool.
    #[allow(clippy::cast_precision_loss, reason = "a price is an estimate")]
    pub fn spot_price(&self) -> Option<f64> {
        self.alpha_in.zip(self.tao_in).filter(|(alpha, _)| *alpha != 0).map(|(alpha, tao)| tao as f64 / alpha as f64)
    }
}

impl Uid {
    /// Its weights as shares of their sum.
    pub fn weight_shares(&self) -> Vec<(u16, f64)> {
        let sum: f64 = self.weights.iter().map(|(_, weight)| f64::from(*weight)).sum();
        self.weights.iter().filter(|_| sum > 0.0).map(|(uid, weight)| (*uid, f64::from(*weight) / sum)).collect()
    }

    /// Whether its registration still protects it at a block. `None` where the block of registration is unknown.
    pub fn is_immune(&self, block: u64, immunity_period: u16) -> Option<bool> {
        self.registered_at.map(|registered| block.saturating_sub(registered) < u64::from(immunity_period))
    }

    /// `/ipv4/1.2.3.4:8091`, as the ecosystem writes an axon's address; `None` for one that serves nothing.
    pub fn axon_address(&self) -> Option<String> {
        let address = self.axon.address()?;
        let version = if address.is_ipv4() { 4 } else { 6 };
        Some(format!("/ipv{version}/{address}:{}", self.axon.port))
    }
}
