//! The price of a registration: it decays with every block and jumps with every registration (runtimes of about spec 400 and later).
//!
//! Computed as the runtime computes it, in whole rao and its own fixed-point numbers: each block multiplies the price by a factor in
//! 1/2^32, the largest of which the half-life's power does not exceed one half; a registration multiplies it by `BurnIncreaseMult` in
//! 1/2^64, at least 1; both stay between the least and the most the subnet allows.

use super::snapshot::Parameters;
use serde::Serialize;

const ONE_Q32: u64 = 1 << 32;

/// How a subnet's price moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// The least, in rao.
    pub min_rao: u64,
    /// The most, in rao; not below the least.
    pub max_rao: u64,
    /// Blocks in which it halves; 0 if it does not decay.
    pub half_life: u16,
    /// What a registration multiplies it by, in 1/2^64.
    pub multiplier_q64: u128,
}

/// The price cannot be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Nobody said how it moves: an older runtime, which adjusts by interval, or a snapshot without it.
    #[error("how the price moves is not known: {0} is missing")]
    Missing(&'static str),
    /// No number that the runtime could hold.
    #[error("{0} cannot be")]
    Senseless(&'static str),
}

impl Rule {
    /// The runtime's default: halves in 360 blocks, 26 % dearer after each registration, between 0.0005 and 100 TAO.
    pub const DEFAULT: Self = Self { min_rao: 500_000, max_rao: 100_000_000_000, half_life: 360, multiplier_q64: (126 << 64) / 100 };

    /// A rule with a multiplier as people write it.
    ///
    /// # Errors
    /// If the most is below the least, or the multiplier is no number from 0 to 2^32.
    pub fn new(min_rao: u64, max_rao: u64, half_life: u16, multiplier: f64) -> Result<Self, RuleError> {
        if max_rao < min_rao {
            return Err(RuleError::Senseless("a highest price below the lowest"));
        }
        if !(0.0..=4_294_967_296.0).contains(&multiplier) {
            return Err(RuleError::Senseless("the multiplier"));
        }
        // The digits that people write rather than the nearest binary number.
        let multiplier_q64 = ((multiplier * 1e9).round() as u128).saturating_mul(1 << 64) / 1_000_000_000;
        Ok(Self { min_rao, max_rao, half_life, multiplier_q64 })
    }

    /// The rule of a subnet in a snapshot.
    ///
    /// # Errors
    /// If the snapshot does not have it, or it makes no sense.
    pub fn of(parameters: &Parameters) -> Result<Self, RuleError> {
        let need = |value: Option<u64>, name| value.ok_or(RuleError::Missing(name));
        Self::new(
            need(parameters.min_burn_rao, "the lowest price")?,
            need(parameters.max_burn_rao, "the highest price")?,
            parameters.burn_half_life.ok_or(RuleError::Missing("the half-life"))?,
            parameters.burn_increase_mult.ok_or(RuleError::Missing("the multiplier"))?,
        )
    }

    /// The price a block later.
    pub fn next_block(&self, price_rao: u64) -> u64 {
        self.within(mul_q32(price_rao, decay_q32(self.half_life)))
    }

    /// The price a number of blocks later, if nobody registers. It is computed block by block, as its rounding is; the loop ends where the
    /// price moves no more.
    pub fn after_blocks(&self, price_rao: u64, blocks: u64) -> u64 {
        let factor = decay_q32(self.half_life);
        let mut price = price_rao;
        for _ in 0..blocks {
            let next = self.within(mul_q32(price, factor));
            if next == price {
                break;
            }
            price = next;
        }
        price
    }

    /// The price right after a registration at this price.
    pub fn after_registration(&self, price_rao: u64) -> u64 {
        let multiplier = self.multiplier_q64.max(1 << 64);
        let (whole, part) = (multiplier >> 64, multiplier & u128::from(u64::MAX));
        let price = u128::from(price_rao);
        let product = price.saturating_mul(whole).saturating_add((price * part) >> 64);
        self.within(u64::try_from(product).unwrap_or(u64::MAX))
    }

    /// What several registrations cost together, in rao, one right after another.
    pub fn cost_of(&self, price_rao: u64, registrations: u32) -> u128 {
        let (mut price, mut sum) = (price_rao, 0_u128);
        for _ in 0..registrations {
            sum += u128::from(price);
            price = self.after_registration(price);
        }
        sum
    }

    /// Blocks until the price has come down to what somebody would pay, if nobody registers; `None` if it never does.
    pub fn blocks_until(&self, price_rao: u64, wanted_rao: u64) -> Option<u64> {
        let factor = decay_q32(self.half_life);
        let (mut price, mut blocks) = (price_rao, 0);
        while price > wanted_rao {
            let next = self.within(mul_q32(price, factor));
            if next >= price {
                return None;
            }
            (price, blocks) = (next, blocks + 1);
        }
        Some(blocks)
    }

    fn within(&self, price_rao: u64) -> u64 {
        price_rao.max(self.min_rao).min(self.max_rao.max(self.min_rao))
    }
}

fn mul_q32(value: u64, factor: u64) -> u64 {
    u64::try_from((u128::from(value) * u128::from(factor)) >> 32).unwrap_or(u64::MAX)
}

fn pow_q32(base: u64, exponent: u16) -> u64 {
    let (mut result, mut factor, mut power) = (ONE_Q32, base, exponent);
    while power > 0 {
        if power & 1 == 1 {
            result = mul_q32(result, factor);
        }
        power >>= 1;
        if power > 0 {
            factor = mul_q32(factor, factor);
        }
    }
    result
}

/// The factor of one block, in 1/2^32: the largest whose power is at most one half.
pub fn decay_q32(half_life: u16) -> u64 {
    if half_life == 0 {
        return ONE_Q32;
    }
    let (mut low, mut high) = (0, ONE_Q32);
    while low + 1 < high {
        let middle = low.midpoint(high);
        if pow_q32(middle, half_life) > ONE_Q32 / 2 {
            high = middle;
        } else {
            low = middle;
        }
    }
    low
}
