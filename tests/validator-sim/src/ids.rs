//! Ids that can be seeded: the same seed and the same calls give the same ids.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A counter hashed with a seed.
#[derive(Debug)]
pub(crate) struct Ids {
    seed: [u8; 16],
    counter: u64,
}

impl Ids {
    /// From a fixed seed, or a random one.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        let seed = match seed {
            Some(seed) => u128::from(seed).to_be_bytes(),
            None => *Uuid::new_v4().as_bytes(),
        };
        Self { seed, counter: 0 }
    }

    fn bytes(&mut self) -> [u8; 32] {
        self.counter += 1;
        Sha256::new().chain_update(self.seed).chain_update(self.counter.to_be_bytes()).finalize().into()
    }

    /// A version 4 uuid.
    pub(crate) fn uuid(&mut self) -> String {
        let bytes = self.bytes();
        let mut half = [0; 16];
        half.copy_from_slice(&bytes[..16]);
        uuid::Builder::from_random_bytes(half).into_uuid().to_string()
    }

    /// `chars` hex digits, at most 64.
    pub(crate) fn hex(&mut self, chars: usize) -> String {
        let mut text = hex::encode(self.bytes());
        text.truncate(chars);
        text
    }

    /// Between 1 and 2^63-1, the range of a GPU check's seed.
    pub(crate) fn positive(&mut self) -> i64 {
        let bytes = self.bytes();
        let mut half = [0; 8];
        half.copy_from_slice(&bytes[..8]);
        (i64::from_be_bytes(half) & i64::MAX).max(1)
    }
}

/// uuid5 in the OID namespace, how chutes and versions get their ids.
pub(crate) fn oid(text: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_the_ids_and_no_two_are_alike() {
        let (mut one, mut two, mut other) = (Ids::new(Some(1)), Ids::new(Some(1)), Ids::new(Some(2)));
        let first = one.uuid();
        assert_eq!(first, two.uuid());
        assert_ne!(first, other.uuid());
        assert_ne!(first, one.uuid());
        assert_eq!(one.hex(32).len(), 32);
        assert!(one.positive() > 0);
    }
}
