//! Survival of UIDs: Kaplan-Meier curves with confidence bands, and the hazard by age.
//!
//! Lives may enter late (left truncation) and may be cut off (right censoring). The estimate is the product over the ages `t` at which
//! lives ended of `1 - d(t) / n(t)`, with `n(t)` the lives watched just before `t` and `d(t)` those that ended at `t`; its variance is
//! Greenwood's, and the band is that of the complementary log-log transform, which stays within 0 and 1 (Kalbfleisch and Prentice).

use super::tenure::Life;
use serde::Serialize;
use std::collections::BTreeMap;

/// Ends below which no number is given: a curve of a handful of ends says nothing about the next life.
pub const MIN_ENDED: usize = 10;

/// Lives that must have been watched where the curve falls first.
pub const MIN_AT_RISK: u64 = 5;

/// Two-sided 95 % of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// A step of the curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Step {
    /// The age, in blocks.
    pub age_blocks: u64,
    /// Lives watched just before it.
    pub at_risk: u64,
    /// Lives that ended at it.
    pub ended: u64,
    /// Part that lives longer.
    pub survival: f64,
    /// The lower end of the 95 % band.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
}

/// A survival curve.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Curve {
    /// Lives that went in.
    pub lives: usize,
    /// Those that ended while they were watched.
    pub ended: usize,
    /// The youngest age at which any life was watched: the curve is conditional on reaching it.
    pub from_age_blocks: u64,
    /// The oldest age that was watched: nothing is known beyond.
    pub to_age_blocks: u64,
    /// Where it falls, by age.
    pub steps: Vec<Step>,
}

/// The Kaplan-Meier estimate.
pub fn kaplan_meier(lives: &[Life]) -> Curve {
    // At each age: lives that enter, leave, end. A life is watched in (entry, exit].
    let mut ages: BTreeMap<u64, (u64, u64, u64)> = BTreeMap::new();
    for life in lives {
        ages.entry(life.entry).or_default().0 += 1;
        let at = ages.entry(life.exit).or_default();
        at.1 += 1;
        at.2 += u64::from(life.ended);
    }
    let mut curve = Curve {
        lives: lives.len(),
        ended: lives.iter().filter(|life| life.ended).count(),
        from_age_blocks: lives.iter().map(|life| life.entry).min().unwrap_or_default(),
        to_age_blocks: lives.iter().map(|life| life.exit).max().unwrap_or_default(),
        steps: Vec::new(),
    };
    let (mut at_risk, mut survival, mut greenwood) = (0_u64, 1.0_f64, 0.0_f64);
    for (age_blocks, (enter, leave, ended)) in ages {
        if ended > 0 {
            let (n, d) = (at_risk as f64, ended as f64);
            survival *= 1.0 - d / n;
            greenwood += d / (n * (n - d));
            let (lower, upper) = band(survival, greenwood);
            // After the last one died there is no estimate of the variance; the band keeps the upper end it had.
            let upper = if survival > 0.0 { upper } else { curve.steps.last().map_or(1.0, |step: &Step| step.upper) };
            curve.steps.push(Step { age_blocks, at_risk, ended, survival, lower, upper });
        }
        at_risk = (at_risk + enter).saturating_sub(leave);
    }
    curve
}

fn band(survival: f64, greenwood: f64) -> (f64, f64) {
    if survival <= 0.0 {
        return (0.0, 1.0);
    }
    let spread = Z * greenwood.sqrt() / survival.ln().abs();
    (survival.powf(spread.exp()), survival.powf((-spread).exp()))
}

impl Curve {
    /// Whether enough lives ended for its numbers to mean something.
    pub fn enough(&self) -> bool {
        // With lives that enter late, few may be watched at the youngest ages, and one end there would weigh on all of the curve.
        self.ended >= MIN_ENDED && self.steps.first().is_some_and(|step| step.at_risk >= MIN_AT_RISK)
    }

    /// The step at an age; `None` before the first.
    pub fn at(&self, age_blocks: u64) -> Option<&Step> {
        self.steps.iter().take_while(|step| step.age_blocks <= age_blocks).last()
    }

    /// The part that lives longer than an age; `None` beyond what was watched.
    pub fn survival(&self, age_blocks: u64) -> Option<f64> {
        let dead = self.steps.last().is_some_and(|step| step.survival <= 0.0);
        (age_blocks <= self.to_age_blocks || dead).then(|| self.at(age_blocks).map_or(1.0, |step| step.survival))
    }

    /// The age that half do not outlive; `None` if more than half outlive all that was watched.
    pub fn median_blocks(&self) -> Option<u64> {
        self.steps.iter().find(|step| step.survival <= 0.5).map(|step| step.age_blocks)
    }

    /// The mean life within a window, in blocks: the area under the curve. `None` if the window is longer than what was watched.
    pub fn mean_within(&self, window_blocks: u64) -> Option<f64> {
        self.survival(window_blocks)?;
        let (mut area, mut from, mut height) = (0.0, 0, 1.0);
        for step in self.steps.iter().take_while(|step| step.age_blocks < window_blocks) {
            area += height * (step.age_blocks - from) as f64;
            (from, height) = (step.age_blocks, step.survival);
        }
        Some(area + height * (window_blocks - from) as f64)
    }
}

/// How often lives end at an age.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Hazard {
    /// Ages from here, in blocks
    pub from_blocks: u64,
    /// up to, not including, here.
    pub to_blocks: u64,
    /// Lives that ended at such an age.
    pub ended: u64,
    /// Days that lives were watched at such an age, all together.
    pub watched_days: f64,
    /// Ends per watched day.
    pub per_day: f64,
    /// The lower end of its 95 % interval.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
}

/// The hazard in bins of age of equal width, the last one where the oldest life was last watched. A width of zero gives none.
///
/// The interval is Byar's approximation of the exact one for a Poisson count (Breslow and Day 1987, p. 69). At most 1,000 bins.
pub fn hazard(lives: &[Life], bin_blocks: u64) -> Vec<Hazard> {
    let oldest = lives.iter().map(|life| life.exit).max().unwrap_or_default();
    if bin_blocks == 0 {
        return Vec::new();
    }
    let bins = (oldest / bin_blocks).saturating_add(1).min(1000);
    let bin = |index: u64| {
        let (from, to) = (index.saturating_mul(bin_blocks), (index + 1).saturating_mul(bin_blocks));
        let watched: u128 = lives.iter().map(|life| u128::from(life.exit.min(to).saturating_sub(life.entry.max(from)))).sum();
        let ended = lives.iter().filter(|life| life.ended && (from..to).contains(&life.exit)).count() as u64;
        let watched_days = watched as f64 / super::BLOCKS_PER_DAY as f64;
        let rate = |count: f64| if watched_days > 0.0 { count / watched_days } else { 0.0 };
        let (lower, upper) = byar(ended);
        Hazard {
            from_blocks: from,
            to_blocks: to,
            ended,
            watched_days,
            per_day: rate(ended as f64),
            lower: rate(lower),
            upper: rate(upper),
        }
    };
    (0..bins).map(bin).collect()
}

fn byar(count: u64) -> (f64, f64) {
    let limit = |n: f64, z: f64| n * (1.0 - 1.0 / (9.0 * n) + z / (3.0 * n.sqrt())).powi(3);
    let lower = if count == 0 { 0.0 } else { limit(count as f64, -Z) };
    (lower.max(0.0), limit(count as f64 + 1.0, Z))
}
