//! For how many blocks an extrinsic can be included.

use crate::read::Block;

/// The blocks in which an extrinsic is valid: `period` of them, from an existing block on. As `sp_runtime::generic::Era::Mortal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mortality {
    period: u64,
    birth: Block,
}

impl Mortality {
    /// Blocks that are usual: about 25 minutes.
    pub const USUAL: u64 = 128;

    /// From a block on, for `period` blocks: rounded up to a power of two between 4 and 4,096, within which the era names a block exactly.
    pub fn new(birth: Block, period: u64) -> Self {
        Self { period: period.clamp(4, 4096).next_power_of_two(), birth }
    }

    /// The block from which on it is valid. Its hash is signed, so an extrinsic is valid on its fork only.
    pub fn birth(&self) -> Block {
        self.birth
    }

    /// The last block that can include it.
    pub fn last_block(&self) -> u64 {
        self.birth.number.saturating_add(self.period - 1)
    }

    /// Two bytes: the period's power of two less one in the lowest four bits, above them the birth's place within the period.
    pub(super) fn encode(&self) -> [u8; 2] {
        // Both fit: the power is at most 12, the place below 4,096.
        let power = u16::try_from(self.period.trailing_zeros().saturating_sub(1)).unwrap_or(u16::MAX).clamp(1, 15);
        let place = u16::try_from(self.birth.number % self.period).unwrap_or_default();
        (power | place << 4).to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mortality(number: u64, period: u64) -> Mortality {
        Mortality::new(Block { number, hash: [0; 32] }, period)
    }

    #[test]
    fn eras_have_the_bytes_that_substrate_gives_them() {
        // From the tests of sp-runtime's generic::era.
        assert_eq!(mortality(42, 64).encode(), [5 + 42 % 16 * 16, 42 / 16]);
        assert_eq!(mortality(1_000_042, 64).encode(), mortality(1_000_042 % 64, 64).encode());
        assert_eq!(mortality(6, 4).encode(), [1 + 2 * 16, 0]);
    }

    #[test]
    fn the_last_block_is_the_one_before_its_death() {
        assert_eq!(mortality(100, 64).last_block(), 163);
        assert_eq!(mortality(100, 100).last_block(), 227, "a period is a power of two");
        assert_eq!(mortality(100, 0).last_block(), 103);
        assert_eq!(mortality(u64::MAX, u64::MAX).last_block(), u64::MAX);
    }

    proptest::proptest! {
        /// `Era::birth` of Substrate, at every block of the era, is the block that was meant.
        #[test]
        fn the_chain_finds_the_birth_again(number in 0u64..1 << 40, period in 0u64..10_000, after in 0u64..4096) {
            let mortality = mortality(number, period);
            let bytes = u16::from_le_bytes(mortality.encode());
            let period = 2u64 << (bytes % 16);
            let phase = u64::from(bytes >> 4);
            let current = number + after % period;
            let birth = (current.max(phase) - phase) / period * period + phase;
            proptest::prop_assert_eq!((period, birth), (mortality.period, number));
            proptest::prop_assert!(mortality.last_block() >= current);
        }
    }
}
