//! Moments drawn by chance that can be drawn again.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

/// The environment variable that names the seed of a run to be repeated.
pub const SEED_VARIABLE: &str = "FAULT_SEED";

/// The seed of [`SEED_VARIABLE`], or a new one.
///
/// # Panics
/// Where the variable is no number.
#[must_use]
pub fn seed() -> u64 {
    match std::env::var(SEED_VARIABLE) {
        Ok(text) => text
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("{SEED_VARIABLE}: `{text}` is no seed; give the number that a failed run printed")),
        // The hasher's keys are the standard library's only source of chance.
        Err(_) => RandomState::new().build_hasher().finish(),
    }
}

/// `n` moments in `[0, span)`, in order, equal for an equal seed. Dropped by a test that panics, they print the seed.
#[must_use]
pub fn moments(seed: u64, n: usize, span: Duration) -> Moments {
    let mut state = seed;
    let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
    let mut times: Vec<Duration> = (0..n).map(|_| Duration::from_nanos(scale(next(&mut state), nanos))).collect();
    times.sort_unstable();
    Moments { seed, times }
}

/// Moments after a start, in order.
#[derive(Debug)]
pub struct Moments {
    seed: u64,
    times: Vec<Duration>,
}

impl Moments {
    /// The seed they were drawn from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The moments themselves, counted from a common start.
    pub fn iter(&self) -> impl Iterator<Item = Duration> + '_ {
        self.times.iter().copied()
    }

    /// The time from each moment's predecessor (for the first: the start) to it.
    pub fn pauses(&self) -> impl Iterator<Item = Duration> + '_ {
        let earlier = std::iter::once(Duration::ZERO).chain(self.iter());
        self.iter().zip(earlier).map(|(moment, earlier)| moment - earlier)
    }
}

impl Drop for Moments {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the moments were {:?}; repeat them with {SEED_VARIABLE}={}", self.times, self.seed);
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): ours, so that a seed means the same with every version of every crate.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Maps a number of all 64 bits evenly into `[0, below)`.
fn scale(number: u64, below: u64) -> u64 {
    let product = u128::from(number) * u128::from(below);
    u64::try_from(product >> 64).expect("the upper half of 128 bits has 64")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_moments_again_and_another_gives_others() {
        let draw = |seed| moments(seed, 10, Duration::from_secs(5)).iter().collect::<Vec<_>>();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn moments_are_in_order_and_inside_the_span() {
        let span = Duration::from_millis(3);
        let drawn = moments(1, 100, span);
        assert!(drawn.iter().is_sorted() && drawn.iter().all(|moment| moment < span));
        assert_eq!(drawn.pauses().sum::<Duration>(), drawn.iter().last().unwrap());
    }

    #[test]
    fn the_generator_is_the_published_one() {
        let mut state = 1_234_567;
        assert_eq!(next(&mut state), 6_457_827_717_110_365_317);
        assert_eq!(next(&mut state), 3_203_168_211_198_807_973);
    }
}
