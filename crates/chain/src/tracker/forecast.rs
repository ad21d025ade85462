//! What a registration will cost, if registrations go on to come as they did.
//!
//! The price is a number of blocks of decay above its floor. Registrations come independently at a steady rate (Poisson), each adds the
//! decay that its multiplier undoes, each block takes one away, and neither end is passed. The distribution of that number is carried
//! forward in small steps, so nothing is drawn by chance and the floor and the ceiling count. What it leaves out: people register more
//! readily when it is cheap, so the true spread is narrower.

use super::{
    BLOCKS_PER_DAY,
    price::{Rule, RuleError},
};
use serde::Serialize;

/// Cells that the range of the price is divided into, at most.
const MAX_CELLS: usize = 20_000;
/// Steps forward, at most; longer windows take longer steps.
const MAX_STEPS: u64 = 50_000;

/// What a step moves of all odds when the forecast has settled; times the steps it is far below a percentile's hundredth.
const STILL: f64 = 1e-12;

/// The price at a time to come, in rao.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Blocks from now.
    pub blocks: u64,
    /// If nobody registers.
    pub quiet_rao: u64,
    /// Below this with 10 %.
    pub low_rao: u64,
    /// Below this with 50 %.
    pub median_rao: u64,
    /// Below this with 90 %.
    pub high_rao: u64,
}

/// The price now and at `points` times to come, evenly spaced over `blocks`.
///
/// # Errors
/// If the rate is no number of 0 or more, the price does not decay, or the rule's range is empty.
pub fn forecast(rule: &Rule, price_rao: u64, registrations_per_day: f64, blocks: u64, points: u32) -> Result<Vec<Point>, RuleError> {
    if !(0.0..=1e6).contains(&registrations_per_day) {
        return Err(RuleError::Senseless("the rate of registrations"));
    }
    if rule.half_life == 0 {
        return Err(RuleError::Senseless("a price that does not decay"));
    }
    let (floor, ceiling) = (rule.min_rao.max(1) as f64, rule.max_rao.max(rule.min_rao).max(1) as f64);
    let half_life = f64::from(rule.half_life);
    // Decay from the ceiling to the floor, in blocks, and what a registration undoes of it.
    let range = (ceiling / floor).log2() * half_life;
    let multiplier = (rule.multiplier_q64 as f64 / 2_f64.powi(64)).max(1.0);
    let jump = multiplier.log2() * half_life;
    // A step moves the price by one cell: fine enough for a jump, coarse enough to end.
    let step = [1.0, range / MAX_CELLS as f64, blocks as f64 / MAX_STEPS as f64, (jump / 12.0).floor()].into_iter().fold(1.0, f64::max);
    let cells = (range / step).ceil() as usize + 1;
    let start = ((price_rao.max(1) as f64 / floor).log2().max(0.0) * half_life / step).round() as usize;
    let mut odds = vec![0.0; cells];
    odds[start.min(cells - 1)] = 1.0;
    let arrivals = poisson(registrations_per_day * step / BLOCKS_PER_DAY as f64);
    let price_at = |cell: usize| {
        let price = floor * 2_f64.powf(cell as f64 * step / half_life);
        (price.round() as u64).max(rule.min_rao).min(rule.max_rao.max(rule.min_rao))
    };
    let mut found = Vec::new();
    let (mut done, mut still) = (0_u64, false);
    for point in 0..=points.max(1) {
        let at = u64::try_from(u128::from(blocks) * u128::from(point) / u128::from(points.max(1))).unwrap_or(blocks);
        let wanted = (at as f64 / step).round() as u64;
        while done < wanted && !still {
            let next = forward(&odds, &arrivals, jump / step);
            // Never more in a later step: once next to nothing moves, the rest of the steps together move next to nothing.
            still = odds.iter().zip(&next).map(|(before, after)| (before - after).abs()).sum::<f64>() < STILL;
            odds = next;
            done += 1;
        }
        let quantile = |part: f64| {
            let mut sum = 0.0;
            let cell = odds.iter().position(|p| {
                sum += p;
                sum >= part
            });
            if at == 0 { price_rao } else { price_at(cell.unwrap_or(cells - 1)) }
        };
        let quiet_rao = rule.after_blocks(price_rao, at);
        found.push(Point { blocks: at, quiet_rao, low_rao: quantile(0.1), median_rao: quantile(0.5), high_rao: quantile(0.9) });
    }
    Ok(found)
}

/// One step: a cell down, and as many jumps up as registrations come. A jump between two cells goes to both in proportion.
fn forward(odds: &[f64], arrivals: &[f64], jump: f64) -> Vec<f64> {
    let top = odds.len() - 1;
    let mut next = vec![0.0; odds.len()];
    for (cell, p) in odds.iter().enumerate().filter(|(_, p)| **p > 1e-15) {
        let down = cell.saturating_sub(1);
        for (count, q) in arrivals.iter().enumerate() {
            let up = jump * count as f64;
            let (low, part) = (up.floor() as usize, up.fract());
            next[(down + low).min(top)] += p * q * (1.0 - part);
            next[(down + low + 1).min(top)] += p * q * part;
        }
    }
    next
}

/// The odds of 0, 1, 2 … arrivals; what is left goes to the last.
fn poisson(mean: f64) -> Vec<f64> {
    let (mut term, mut odds, mut sum) = ((-mean).exp(), Vec::new(), 0.0);
    for count in 0..1000 {
        odds.push(term);
        sum += term;
        if count as f64 > mean && 1.0 - sum < 1e-12 {
            break;
        }
        term *= mean / f64::from(count + 1);
    }
    if let Some(last) = odds.last_mut() {
        *last += (1.0 - sum).max(0.0);
    }
    odds
}
