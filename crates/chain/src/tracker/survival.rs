//! Survival of UIDs: Kaplan-Meier curves with confidence bands, and the hazard by age.
//!
//! Lives may enter late (left truncation) and may be cut off (right censoring). The estimate is the product over the ages `t` at which
//! lives ended of `1 - d(t) / n(t)`, with `n(t)` the lives watched just before `t` and `d(t)` those that ended at `t`; its variance is
//! Greenwood's, and the band is that of the complementary log-log transform, which stays within 0 and 1 (Kalbfleisch and Prentice).
//!
//! Where hardly anybody was watched the product means nothing, whether one end weighs on all that follows or none is seen for want of
//! lives. So a curve covers one stretch of ages at all of which [`MIN_AT_RISK`] lives were watched, and is *conditional* on reaching the
//! youngest of them: nothing is known below, beyond, or across a gap.

use super::tenure::Life;
use serde::Serialize;
use std::collections::BTreeMap;

/// Ends below which no number is given: a curve of a handful of ends says nothing about the next life.
pub const MIN_ENDED: usize = 10;

/// Lives that must be watched at each age that a curve covers.
pub const MIN_AT_RISK: u64 = 5;

/// Bins of a hazard, at most.
const MAX_BINS: u64 = 1000;

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

/// A survival curve: of those that reached an age, the part that lives longer than each later one.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Curve {
    /// Lives that went in.
    pub lives: usize,
    /// Those that ended while they were watched, at whichever age.
    pub ended: usize,
    /// The youngest age of the curve: it is conditional on reaching it.
    pub from_age_blocks: u64,
    /// The oldest age of the curve: nothing is known beyond.
    pub to_age_blocks: u64,
    /// Where it falls, by age.
    pub steps: Vec<Step>,
}

/// The Kaplan-Meier estimate, over the first stretch of ages at which at least [`MIN_AT_RISK`] lives were watched and [`MIN_ENDED`] ended;
/// over the last stretch if so many ended in none.
pub fn kaplan_meier(lives: &[Life]) -> Curve {
    // At each age: lives that enter, leave, end. A life is watched in (entry, exit].
    let mut ages: BTreeMap<u64, (u64, u64, u64)> = BTreeMap::new();
    for life in lives {
        ages.entry(life.entry).or_default().0 += 1;
        let at = ages.entry(life.exit).or_default();
        at.1 += 1;
        at.2 += u64::from(life.ended);
    }
    let ended = lives.iter().filter(|life| life.ended).count();
    let mut curve = Curve { lives: lives.len(), ended, ..Curve::default() };
    let (mut at_risk, mut survival, mut greenwood, mut within) = (0_u64, 1.0_f64, 0.0_f64, false);
    for (age_blocks, (enter, leave, ended)) in ages {
        if within && ended > 0 {
            let (n, d) = (at_risk as f64, ended as f64);
            survival *= 1.0 - d / n;
            greenwood += d / (n * (n - d));
            let (lower, upper) = band(survival, greenwood);
            // After the last one died there is no estimate of the variance; the band keeps the upper end it had.
            let upper = if survival > 0.0 { upper } else { curve.steps.last().map_or(1.0, |step: &Step| step.upper) };
            curve.steps.push(Step { age_blocks, at_risk, ended, survival, lower, upper });
        }
        if within {
            curve.to_age_blocks = age_blocks;
        }
        at_risk = (at_risk + enter).saturating_sub(leave);
        let enough = at_risk >= MIN_AT_RISK;
        if within && !enough && curve.enough() {
            break;
        }
        if !within && enough {
            (survival, greenwood) = (1.0, 0.0);
            curve = Curve { from_age_blocks: age_blocks, to_age_blocks: age_blocks, steps: Vec::new(), ..curve };
        }
        within = enough;
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
    /// Lives that ended at an age which the curve covers.
    pub fn counted(&self) -> u64 {
        self.steps.iter().map(|step| step.ended).sum()
    }

    /// Whether enough lives ended for its numbers to mean something.
    pub fn enough(&self) -> bool {
        self.counted() >= MIN_ENDED as u64
    }

    /// The step at an age; `None` before the first.
    pub fn at(&self, age_blocks: u64) -> Option<&Step> {
        self.steps.iter().take_while(|step| step.age_blocks <= age_blocks).last()
    }

    /// Of those that reached its youngest age, the part that lives longer than an age; `None` where too few were watched.
    pub fn survival(&self, age_blocks: u64) -> Option<f64> {
        let watched = self.from_age_blocks < self.to_age_blocks && (self.from_age_blocks..=self.to_age_blocks).contains(&age_blocks);
        watched.then(|| self.at(age_blocks).map_or(1.0, |step| step.survival))
    }

    /// The age that half of those that reached its youngest age do not outlive; `None` if more than half outlive all that was watched.
    pub fn median_blocks(&self) -> Option<u64> {
        self.steps.iter().find(|step| step.survival <= 0.5).map(|step| step.age_blocks)
    }

    /// The mean life within a window, in blocks, of those that reached its youngest age: the area under the curve, with all of them alive
    /// until that age. `None` if too few were watched at the window's end.
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
    /// Ages beyond this, in blocks
    pub from_blocks: u64,
    /// up to and including this.
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
/// The interval is Byar's approximation of the exact one for a Poisson count (Breslow and Day 1987, p. 69). At most 1,000 bins, of which
/// the last one then takes all older ages.
pub fn hazard(lives: &[Life], bin_blocks: u64) -> Vec<Hazard> {
    let oldest = lives.iter().map(|life| life.exit).max().unwrap_or_default();
    if bin_blocks == 0 {
        return Vec::new();
    }
    let bins = oldest.div_ceil(bin_blocks).min(MAX_BINS);
    let bin = |index: u64| {
        let (from, to) = (index.saturating_mul(bin_blocks), (index + 1).saturating_mul(bin_blocks));
        let to = if index + 1 == MAX_BINS { to.max(oldest) } else { to };
        let watched: u128 = lives.iter().map(|life| u128::from(life.exit.min(to).saturating_sub(life.entry.max(from)))).sum();
        let ended = lives.iter().filter(|life| life.ended && life.exit > from && life.exit <= to).count() as u64;
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
