//! A whole subnet in one answer: lists with an item for each UID.

use scale_info::{MetaType, Registry, TypeInfo};

use crate::read::scale::{ScaleError, Text, decode, record};
use crate::read::{AccountId, Fixed};

use super::neuron::AxonInfo;
use super::subnet::SubnetIdentity;

record! {
    /// `get_subnet_state`: scores and stake of every UID.
    pub struct SubnetState {
        /// The subnet.
        pub netuid: u16,
        /// Hotkeys.
        pub hotkeys: Vec<AccountId>,
        /// Coldkeys.
        pub coldkeys: Vec<AccountId>,
        /// Whether each set weights lately.
        pub active: Vec<bool>,
        /// Whether each may validate.
        pub validator_permit: Vec<bool>,
        /// Blocks of the last weights.
        pub last_update: Vec<u64>,
        /// Alpha for each epoch.
        pub emission: Vec<u64>,
        /// Of 65,535.
        pub dividends: Vec<u16>,
        /// Of 65,535.
        pub incentives: Vec<u16>,
        /// Of 65,535.
        pub consensus: Vec<u16>,
        /// Blocks of registration.
        pub block_at_registration: Vec<u64>,
        /// Alpha staked.
        pub alpha_stake: Vec<u64>,
        /// Rao staked on the root network.
        pub tao_stake: Vec<u64>,
        /// Stake as the chain weighs it.
        pub total_stake: Vec<u64>,
    }
}

record! {
    /// `get_selective_metagraph`: what was asked for, by number; the rest is `None`.
    pub struct SelectiveMetagraph {
        /// The subnet.
        pub netuid: u16,
        /// Name (1).
        pub name: Option<Text> = None,
        /// Symbol of its alpha (2).
        pub symbol: Option<Text> = None,
        /// What its owner says of it (3).
        pub identity: Option<Option<SubnetIdentity>> = None,
        /// Block at which the subnet was made (4).
        pub network_registered_at: Option<u64> = None,
        /// Owner's hotkey (5).
        pub owner_hotkey: Option<AccountId> = None,
        /// Owner's coldkey (6).
        pub owner_coldkey: Option<AccountId> = None,
        /// The block of the answer (7).
        pub block: Option<u64> = None,
        /// Blocks between epochs, less one (8).
        pub tempo: Option<u16> = None,
        /// Block of the last epoch (9).
        pub last_step: Option<u64> = None,
        /// Blocks since (10).
        pub blocks_since_last_step: Option<u64> = None,
        /// Alpha in the pool (12).
        pub alpha_in: Option<u64> = None,
        /// Alpha outside the pool (13).
        pub alpha_out: Option<u64> = None,
        /// Rao in the pool (14).
        pub tao_in: Option<u64> = None,
        /// Alpha that each block adds outside the pool (15).
        pub alpha_out_emission: Option<u64> = None,
        /// Averaged price of one alpha in TAO (21).
        pub moving_price: Option<Fixed> = None,
        /// UIDs in use (30).
        pub num_uids: Option<u16> = None,
        /// UIDs there can be (31).
        pub max_uids: Option<u16> = None,
        /// Rao to register now (32).
        pub burn: Option<u64> = None,
        /// Difficulty of registering by work (33).
        pub difficulty: Option<u64> = None,
        /// Whether one can register (34).
        pub registration_allowed: Option<bool> = None,
        /// Blocks of immunity after registration (36).
        pub immunity_period: Option<u16> = None,
        /// The least that a registration costs, in rao (39).
        pub min_burn: Option<u64> = None,
        /// The most, in rao (40).
        pub max_burn: Option<u64> = None,
        /// Hotkeys (52).
        pub hotkeys: Option<Vec<AccountId>> = None,
        /// Coldkeys (53).
        pub coldkeys: Option<Vec<AccountId>> = None,
        /// Where each serves (55).
        pub axons: Option<Vec<AxonInfo>> = None,
        /// Whether each set weights lately (56).
        pub active: Option<Vec<bool>> = None,
        /// Whether each may validate (57).
        pub validator_permit: Option<Vec<bool>> = None,
        /// Blocks of the last weights (59).
        pub last_update: Option<Vec<u64>> = None,
        /// Alpha for each epoch (60).
        pub emission: Option<Vec<u64>> = None,
        /// Of 65,535 (61).
        pub dividends: Option<Vec<u16>> = None,
        /// Of 65,535 (62).
        pub incentives: Option<Vec<u16>> = None,
        /// Of 65,535 (63).
        pub consensus: Option<Vec<u16>> = None,
        /// No longer computed by the runtime (64).
        pub trust: Option<Vec<u16>> = None,
        /// No longer computed by the runtime (65).
        pub rank: Option<Vec<u16>> = None,
        /// Blocks of registration (66).
        pub block_at_registration: Option<Vec<u64>> = None,
        /// Alpha staked (67).
        pub alpha_stake: Option<Vec<u64>> = None,
        /// Rao staked on the root network (68).
        pub tao_stake: Option<Vec<u64>> = None,
        /// Stake as the chain weighs it (69).
        pub total_stake: Option<Vec<u64>> = None,
    }
}

impl SelectiveMetagraph {
    /// How many members there were to ask for at runtime 343; a runtime that has fewer answers those it has.
    pub const FIELDS: u16 = 74;

    /// One that knows its number and nothing else.
    pub(crate) fn of_nothing(netuid: u16) -> Result<Self, ScaleError> {
        let mut registry = Registry::new();
        let ty = registry.register_type(&MetaType::new::<OnlyNetuid>()).id;
        decode("a subnet's number", &netuid.to_le_bytes(), ty, &registry.into())
    }
}

/// Decoded as [`SelectiveMetagraph`], everything else takes its default.
#[derive(TypeInfo)]
#[allow(dead_code, reason = "only described, never made")]
struct OnlyNetuid {
    netuid: u16,
}
