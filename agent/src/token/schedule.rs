//! When to buy the next token. Pure: times are Unix seconds, `roll` is a random number from 0 to 1.

use std::time::Duration;

/// The first wait after a failure, and the longest. Short, since right after an enrolment the control plane is still making the account.
const FIRST_S: f64 = 0.25;
const LONGEST_S: f64 = 120.0;

/// The life of a token, by our own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// When it was bought.
    pub bought: i64,
    /// When it ends.
    pub ends: i64,
}

impl Term {
    /// Whether the token still serves.
    #[must_use]
    pub fn is_live(&self, now: i64) -> bool {
        now < self.ends
    }

    /// When to buy the next: at four fifths of the life, up to a twentieth earlier, so that a fleet that was enrolled together
    /// does not buy together.
    #[must_use]
    pub fn renew_at(&self, roll: f64) -> i64 {
        let life = self.ends.saturating_sub(self.bought).max(0);
        self.bought.saturating_add(share(life, 0.8 - 0.05 * roll.clamp(0.0, 1.0)))
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "lives are hours, not aeons")]
fn share(seconds: i64, part: f64) -> i64 {
    (seconds as f64 * part) as i64
}

/// How long to wait for the next purchase. Zero means now.
///
/// `failures` counts those since the last success; `passed` is the time since the last one, by a clock that nobody sets.
#[must_use]
pub fn wait(term: Option<Term>, failures: u32, passed: Duration, roll: f64, now: i64) -> Duration {
    if failures > 0 {
        return retry_after(failures, roll).saturating_sub(passed);
    }
    match term {
        // Bought in the future: our clock was set back, so when it ends is anybody's guess.
        Some(term) if now >= term.bought.saturating_sub(60) => {
            Duration::from_secs(u64::try_from(term.renew_at(roll).saturating_sub(now)).unwrap_or(0))
        }
        _ => Duration::ZERO,
    }
}

/// How long to wait after so many failures in a row (from 1): doubling, never longer than two minutes, spread over the upper
/// half of that.
#[must_use]
pub fn retry_after(failures: u32, roll: f64) -> Duration {
    let doubled = FIRST_S * 2f64.powi(i32::try_from(failures.saturating_sub(1).min(20)).unwrap_or(20));
    Duration::from_secs_f64(doubled.min(LONGEST_S) * (0.5 + 0.5 * roll.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Duration = Duration::ZERO;
    const HOUR: Term = Term { bought: 1_000_000, ends: 1_003_600 };

    #[test]
    fn a_token_is_renewed_at_four_fifths_of_its_life_or_a_little_earlier() {
        assert_eq!(HOUR.renew_at(0.0), 1_000_000 + 2880);
        assert_eq!(HOUR.renew_at(1.0), 1_000_000 + 2700);
        assert_eq!(wait(Some(HOUR), 0, NONE, 0.0, 1_000_000), Duration::from_secs(2880));
        assert_eq!(wait(Some(HOUR), 0, NONE, 0.0, 1_002_880), Duration::ZERO);
    }

    #[test]
    fn without_a_token_one_is_bought_at_once() {
        assert_eq!(wait(None, 0, NONE, 0.5, 5), Duration::ZERO);
    }

    #[test]
    fn after_a_month_switched_off_a_token_is_bought_at_once() {
        let later = HOUR.ends + 30 * 86_400;
        assert!(!HOUR.is_live(later));
        assert_eq!(wait(Some(HOUR), 0, NONE, 0.5, later), Duration::ZERO);
    }

    #[test]
    fn failures_wait_longer_and_longer_but_never_for_long() {
        let waits: Vec<u128> = (1..=12).map(|failures| retry_after(failures, 1.0).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 16000, 32000, 64000, 120_000, 120_000, 120_000]);
        assert!(retry_after(u32::MAX, 1.0) <= Duration::from_secs(120));
        assert_eq!(retry_after(10, 0.0), Duration::from_secs(60));
    }

    #[test]
    fn time_that_passed_since_the_failure_counts() {
        assert_eq!(wait(Some(HOUR), 6, Duration::from_millis(2500), 1.0, 100), Duration::from_millis(5500));
        assert_eq!(wait(Some(HOUR), 4, Duration::from_secs(400), 1.0, 100), Duration::ZERO);
    }

    #[test]
    fn a_clock_set_back_neither_stops_renewal_nor_retries() {
        assert_eq!(wait(Some(HOUR), 0, NONE, 0.5, HOUR.bought - 86_400), Duration::ZERO);
        assert_eq!(wait(Some(HOUR), 3, NONE, 1.0, HOUR.bought - 86_400), Duration::from_secs(1));
    }

    #[test]
    fn a_token_that_ended_before_it_was_bought_does_not_make_us_wait() {
        assert_eq!(wait(Some(Term { bought: 100, ends: 50 }), 0, NONE, 0.5, 100), Duration::ZERO);
    }
}
