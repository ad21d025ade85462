//! Weights that a validator sets.

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
        if let Some(pair) = weights.windows(2).find(|pair| matches!(pair, [a, b] if a.0 == b.0)) {
            return Err(WeightsError::Twice(pair.first().map_or(0, |first| first.0)));
        }
        if weights.iter().all(|(_, value)| *value == 0) {
            return Err(WeightsError::AllZero);
        }
        let (uids, values) = weights.into_iter().unzip();
        Ok(Self { uids, values, version_key })
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
}
