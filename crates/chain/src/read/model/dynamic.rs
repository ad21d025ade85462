//! The pool of a subnet, from which its alpha has a price.

use super::subnet::SubnetIdentity;
use crate::read::scale::{Text, record};
use crate::read::{AccountId, Fixed};

record! {
    /// A subnet's pool and emission.
    pub struct DynamicInfo {
        /// The subnet.
        pub netuid: u16,
        /// Its owner's hotkey.
        pub owner_hotkey: AccountId,
        /// Its owner's coldkey.
        pub owner_coldkey: AccountId,
        /// Name.
        pub subnet_name: Text,
        /// Symbol of its alpha.
        pub token_symbol: Text,
        /// Blocks between epochs, less one.
        pub tempo: u16,
        /// Block of the last epoch.
        pub last_step: u64,
        /// Blocks since.
        pub blocks_since_last_step: u64,
        /// Rao for each block.
        pub emission: u64,
        /// Alpha in the pool.
        pub alpha_in: u64,
        /// Alpha outside the pool.
        pub alpha_out: u64,
        /// Rao in the pool.
        pub tao_in: u64,
        /// Alpha that each block adds outside the pool.
        pub alpha_out_emission: u64,
        /// Alpha that each block adds to the pool.
        pub alpha_in_emission: u64,
        /// Rao that each block adds to the pool.
        pub tao_in_emission: u64,
        /// Alpha traded so far, in rao.
        #[serde(serialize_with = "super::wide::serialize")]
        pub subnet_volume: u128,
        /// Block at which the subnet was made: it changes when a number is used again.
        pub network_registered_at: u64,
        /// What the owner says of it.
        pub subnet_identity: Option<SubnetIdentity> = None,
        /// Price of one alpha in TAO, averaged over time.
        pub moving_price: Fixed,
    }
}

impl DynamicInfo {
    /// Price of one alpha in TAO just now: TAO over alpha in the pool. `None` for an empty pool.
    #[allow(clippy::cast_precision_loss, reason = "a price is an estimate")]
    pub fn spot_price(&self) -> Option<f64> {
        (self.alpha_in != 0).then(|| self.tao_in as f64 / self.alpha_in as f64)
    }
}
