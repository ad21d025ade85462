//! Mechanisms: a subnet may be weighed in several ways, each with weights of its own.

use super::Weights;
use super::call::{Argument as A, PALLET, has};
use super::timelock::TimelockedWeights;
use crate::read::{AccountId, Runtime};

/// One of a subnet's mechanisms. How many a subnet has is `SubtensorModule.MechanismCountCurrent`; the chain refuses the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mechanism(u8);

/// A number of no mechanism.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no mechanism of a subnet; they are numbered from 0 to {last}", last = Mechanism::LAST)]
pub struct MechanismError(u8);

impl Mechanism {
    /// The one that every subnet has.
    pub const MAIN: Self = Self(0);
    /// The chain keeps room for 16 (`MAX_MECHANISM_COUNT_PER_SUBNET`).
    const LAST: u8 = 15;
    /// Subnets there may be, `GLOBAL_MAX_SUBNET_COUNT` of the pallet.
    const SUBNETS: u16 = 4096;

    /// The mechanism of a number.
    ///
    /// # Errors
    ///
    /// [`MechanismError`] beyond 15.
    pub fn new(number: u8) -> Result<Self, MechanismError> {
        if number <= Self::LAST { Ok(Self(number)) } else { Err(MechanismError(number)) }
    }

    /// Its number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// Under what number the chain keeps the weights, commitments and bonds of a subnet's mechanism: `netuid + 4096 * mechanism`
    /// (`get_mechanism_storage_index` of the pallet, which saturates as well). That of [`Mechanism::MAIN`] is the netuid.
    pub fn storage_index(self, netuid: u16) -> u16 {
        u16::from(self.0).saturating_mul(Self::SUBNETS).saturating_add(netuid)
    }
}

impl Weights {
    /// What a hotkey commits to before it reveals these weights on one of a subnet's mechanisms: [`Weights::commitment`], in which the
    /// mechanism's storage index stands where the netuid does for the main one.
    pub fn mechanism_commitment(&self, hotkey: AccountId, netuid: u16, mechanism: Mechanism, salt: &[u16]) -> [u8; 32] {
        self.commitment(hotkey, mechanism.storage_index(netuid), salt)
    }
}

/// Pallet, call and arguments.
type Parts = (&'static str, &'static str, Vec<(&'static str, A)>);

/// Of `Call::SetMechanismWeights`.
pub(super) fn set(netuid: u16, mechanism: Mechanism, weights: &Weights) -> Parts {
    let arguments = vec![
        ("netuid", A::U16(netuid)),
        ("mecid", A::U8(mechanism.0)),
        ("dests", A::U16s(weights.uids().to_vec())),
        ("weights", A::U16s(weights.values().to_vec())),
        ("version_key", A::U64(weights.version_key())),
    ];
    (PALLET, "set_mechanism_weights", arguments)
}

/// Of `Call::CommitMechanismWeights`.
pub(super) fn commit(netuid: u16, mechanism: Mechanism, commitment: [u8; 32]) -> Parts {
    let arguments = vec![("netuid", A::U16(netuid)), ("mecid", A::U8(mechanism.0)), ("commit_hash", A::Hash(commitment))];
    (PALLET, "commit_mechanism_weights", arguments)
}

/// Of `Call::RevealMechanismWeights`.
pub(super) fn reveal(netuid: u16, mechanism: Mechanism, weights: &Weights, salt: &[u16]) -> Parts {
    let arguments = vec![
        ("netuid", A::U16(netuid)),
        ("mecid", A::U8(mechanism.0)),
        ("uids", A::U16s(weights.uids().to_vec())),
        ("values", A::U16s(weights.values().to_vec())),
        ("salt", A::U16s(salt.to_vec())),
        ("version_key", A::U64(weights.version_key())),
    ];
    (PALLET, "reveal_mechanism_weights", arguments)
}

/// Of `Call::CommitTimelockedWeights`: the call with a version, or that of runtimes before it.
pub(super) fn commit_timelocked(runtime: &Runtime, netuid: u16, mechanism: Mechanism, commit: &TimelockedWeights) -> Parts {
    let (name, before) = if mechanism == Mechanism::MAIN {
        ("commit_timelocked_weights", "commit_crv3_weights")
    } else {
        ("commit_timelocked_mechanism_weights", "commit_crv3_mechanism_weights")
    };
    let mut arguments =
        vec![("netuid", A::U16(netuid)), ("commit", A::Bytes(commit.as_bytes().to_vec())), ("reveal_round", A::U64(commit.round().0))];
    if mechanism != Mechanism::MAIN {
        arguments.push(("mecid", A::U8(mechanism.0)));
    }
    if !has(runtime, PALLET, name) && has(runtime, PALLET, before) {
        return (PALLET, before, arguments);
    }
    arguments.push(("commit_reveal_version", A::U16(commit.version())));
    (PALLET, name, arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mechanisms_have_places_of_their_own() {
        let index = |number: u8, netuid| Mechanism::new(number).unwrap().storage_index(netuid);
        assert_eq!((index(0, 64), index(1, 64), index(15, 64)), (64, 4160, 61_504));
        assert_eq!((index(15, 4095), index(15, 5000)), (65_535, 65_535));
        assert_eq!(Mechanism::new(15).map(Mechanism::number), Ok(15));
        assert_eq!(Mechanism::new(16), Err(MechanismError(16)));
    }

    #[test]
    fn a_commitment_is_to_one_mechanism() {
        let weights = Weights::new([(1, 5), (3, 1)], 7).unwrap();
        let of = |number| weights.mechanism_commitment(AccountId([9; 32]), 64, Mechanism::new(number).unwrap(), &[1]);
        assert_eq!(of(0), weights.commitment(AccountId([9; 32]), 64, &[1]));
        assert_eq!(of(1), weights.commitment(AccountId([9; 32]), 4160, &[1]));
        assert_ne!(of(1), of(2));
    }
}
