//! Weights that a validator sets.

use std::collections::BTreeSet;

use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest as _};
use parity_scale_codec::Encode as _;

use crate::read::AccountId;

/// How much a validator thinks of each of some UIDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weights {
    uids: Vec<u16>,
    values: Vec<u16>,
    version_key: u64,
}

/// Why weights cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WeightsError {
    /// Nothing is weighed.
    #[error("there are no weights")]
    None,
    /// One UID twice.
    #[error("UID {0} has more than one weight")]
    Twice(u16),
    /// Nobody has any.
    #[error("all weights are 0")]
    AllZero,
    /// Below 0, endless, or no number.
    #[error("the weight of UID {0} is no number from 0 up")]
    NoNumber(u16),
}

impl Weights {
    /// From UIDs and their weights, which the chain scales so that the largest is 65,535. The subnet's owner names the `version_key`; 0 where
    /// none is asked for.
    ///
    /// # Errors
    ///
    /// [`WeightsError`]: what the chain would refuse on any subnet, and nothing but zeros, which it would take for no opinion at all.
    pub fn new(weights: impl IntoIterator<Item = (u16, u16)>, version_key: u64) -> Result<Self, WeightsError> {
        let mut weights: Vec<_> = weights.into_iter().collect();
        weights.sort_unstable();
        if weights.is_empty() {
            return Err(WeightsError::None);
        }
        if let Some(uid) = twice(weights.iter().map(|(uid, _)| *uid)) {
            return Err(WeightsError::Twice(uid));
        }
        if weights.iter().all(|(_, value)| *value == 0) {
            return Err(WeightsError::AllZero);
        }
        let (uids, values) = weights.into_iter().unzip();
        Ok(Self { uids, values, version_key })
    }

    /// From UIDs and weights of any measure, in parts of the largest, which becomes 65,535: rounded to the nearest, halves to the even one,
    /// and without those that become 0. As `convert_weights_and_uids_for_emit` of the Python SDK does (9.12), to the same numbers. The SDK
    /// makes 32-bit floats of Python's numbers first; who has such hands them in as they are.
    ///
    /// # Errors
    ///
    /// [`WeightsError`], as [`Weights::new`].
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 65,535")]
    pub fn scaled(weights: impl IntoIterator<Item = (u16, f64)>, version_key: u64) -> Result<Self, WeightsError> {
        let weights: Vec<_> = weights.into_iter().collect();
        if let Some((uid, _)) = weights.iter().find(|(_, weight)| !weight.is_finite() || *weight < 0.0) {
            return Err(WeightsError::NoNumber(*uid));
        }
        if let Some(uid) = twice(weights.iter().map(|(uid, _)| *uid)) {
            return Err(WeightsError::Twice(uid));
        }
        let largest = weights.iter().map(|(_, weight)| *weight).fold(0.0, f64::max);
        if !weights.is_empty() && largest <= 0.0 {
            return Err(WeightsError::AllZero);
        }
        let value = |weight: f64| (weight / largest * f64::from(u16::MAX)).round_ties_even() as u16;
        Self::new(weights.into_iter().map(|(uid, weight)| (uid, value(weight))).filter(|(_, value)| *value > 0), version_key)
    }

    /// The UIDs, in order.
    pub fn uids(&self) -> &[u16] {
        &self.uids
    }

    /// Their weights, in the order of [`Weights::uids`].
    pub fn values(&self) -> &[u16] {
        &self.values
    }

    /// The version that the subnet asks for.
    pub fn version_key(&self) -> u64 {
        self.version_key
    }

    /// What a hotkey commits to before it reveals these weights: `blake2b_256` of the SCALE of account, netuid, UIDs, values, salt and
    /// version, as the pallet's `reveal_weights` computes it.
    pub fn commitment(&self, hotkey: AccountId, netuid: u16, salt: &[u16]) -> [u8; 32] {
        let what = (hotkey.0, netuid, &self.uids, &self.values, salt, self.version_key).encode();
        Blake2b::<U32>::digest(what).into()
    }
}

/// The first UID that was named before.
fn twice(uids: impl IntoIterator<Item = u16>) -> Option<u16> {
    let mut seen = BTreeSet::new();
    uids.into_iter().find(|uid| !seen.insert(*uid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_chain_would_refuse_is_refused() {
        assert_eq!(Weights::new([], 0), Err(WeightsError::None));
        assert_eq!(Weights::new([(3, 1), (1, 5), (3, 2)], 0), Err(WeightsError::Twice(3)));
        assert_eq!(Weights::new([(3, 0), (1, 0)], 0), Err(WeightsError::AllZero));
        let weights = Weights::new([(3, 1), (1, 5)], 7).unwrap();
        assert_eq!((weights.uids(), weights.values(), weights.version_key()), ([1, 3].as_slice(), [5, 1].as_slice(), 7));
    }

    #[test]
    fn a_commitment_covers_every_part_of_the_weights() {
        let weights = Weights::new([(1, 5), (3, 1)], 7).unwrap();
        let mut bytes = vec![9; 32];
        // netuid, two UIDs, two values, one number of salt, version
        bytes.extend([64, 0, 8, 1, 0, 3, 0, 8, 5, 0, 1, 0, 4, 0x34, 0x12, 7, 0, 0, 0, 0, 0, 0, 0]);
        let expected: [u8; 32] = Blake2b::<U32>::digest(bytes).into();
        assert_eq!(weights.commitment(AccountId([9; 32]), 64, &[0x1234]), expected);
    }

    /// What `bittensor/utils/weight_utils.py` of the Python SDK 9.12.1 gives for UIDs from 1 on, run with Python 3.11.
    #[test]
    fn weights_of_any_measure_become_the_sdks_numbers() {
        type Case<'a> = (&'a [f64], &'a [(u16, u16)]);
        let cases: [Case<'_>; 9] = [
            (&[0.5, 0.25], &[(1, 65_535), (2, 32_768)]),
            (&[0.1, 0.2, 0.3, 0.4], &[(1, 16_384), (2, 32_768), (3, 49_151), (4, 65_535)]),
            (&[1.0, 0.5, 1e-6, 0.0], &[(1, 65_535), (2, 32_768)]),
            // Halves: 2.5 to 2, 3.5 to 4, 0.5 to nothing.
            (&[1.0, 2.5 / 65_535.0, 3.5 / 65_535.0, 0.5 / 65_535.0], &[(1, 65_535), (2, 2), (3, 4)]),
            (&[1e300, 1e299], &[(1, 65_535), (2, 6554)]),
            (&[5e-324, 5e-324], &[(1, 65_535), (2, 65_535)]),
            (&[7.0, 2.0, 0.1], &[(1, 65_535), (2, 18_724), (3, 936)]),
            (&[0.1f32.into(), 0.3f32.into(), 0.7f32.into()], &[(1, 9362), (2, 28_086), (3, 65_535)]),
            (&[1.0 / 3.0, 1.0 / 7.0, 1.0 / 11.0, 1.0 / 13.0], &[(1, 65_535), (2, 28_086), (3, 17_873), (4, 15_123)]),
        ];
        for (given, expected) in cases {
            let weights = Weights::scaled((1..).zip(given.iter().copied()), 7).unwrap();
            let got: Vec<_> = weights.uids().iter().copied().zip(weights.values().iter().copied()).collect();
            assert_eq!((got.as_slice(), weights.version_key()), (expected, 7), "{given:?}");
        }
        assert_eq!(Weights::scaled([], 0), Err(WeightsError::None));
        assert_eq!(Weights::scaled([(1, 0.0), (2, 0.0)], 0), Err(WeightsError::AllZero));
        assert_eq!(Weights::scaled([(1, 1.0), (2, 0.0), (2, 1.0)], 0), Err(WeightsError::Twice(2)));
        for bad in [-0.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Weights::scaled([(1, 1.0), (4, bad)], 0), Err(WeightsError::NoNumber(4)));
        }
    }
}
