//! Balances and delegates.

use crate::read::AccountId;
use crate::read::scale::record;

record! {
    /// `System.Account`: how often a key signed, and what it owns.
    pub struct AccountInfo {
        /// Number of its next extrinsic, not counting those that wait in the pool.
        pub nonce: u32,
        /// What it owns.
        pub data: AccountData,
    }
}

record! {
    /// Balances in rao.
    pub struct AccountData {
        /// Not reserved; may still be frozen.
        pub free: u64,
        /// Held back by a pallet.
        pub reserved: u64,
        /// Of `free`, what cannot be transferred.
        pub frozen: u64 = 0,
    }
}

record! {
    /// A hotkey that others may stake on.
    pub struct DelegateInfo {
        /// The hotkey.
        pub delegate_ss58: AccountId,
        /// Its share of the rewards, of 65,535.
        pub take: u16,
        /// Its coldkey.
        pub owner_ss58: AccountId,
        /// Subnets in which it is registered.
        pub registrations: Vec<u16>,
        /// Subnets in which it may validate.
        pub validator_permits: Vec<u16>,
        /// Rao a day for each 1,000 TAO staked.
        pub return_per_1000: u64,
        /// Rao a day for all.
        pub total_daily_return: u64 = 0,
    }
}
