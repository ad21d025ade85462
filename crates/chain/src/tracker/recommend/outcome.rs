//! What a place would bring, by percentile of what the subnet's miners earn.
//!
//! Income and registration are in TAO, GPUs in US dollars. So each outcome says in TAO what it can without a price of TAO, and names the
//! prices from which the income pays for the rest; with a price it says the rest in dollars as well.

use super::{percentile, sale};
use crate::tracker::{BLOCKS_PER_DAY, survival::Curve};
use serde::Serialize;

/// What a place would bring to a miner at a percentile.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// This part of the miners, in percent, earns less.
    pub percentile: u8,
    /// Income, in alpha a day.
    pub alpha_per_day: f64,
    /// What a day's alpha sells for, in TAO.
    pub tao_per_day: f64,
    /// What the sale moves the price by, in percent.
    pub slippage_percent: f64,
    /// Income less GPUs, in US dollars a day; `None` without a price of TAO, as all in dollars.
    pub net_usd_per_day: Option<f64>,
    /// What is left at the end of the window, in US dollars: days the place is expected to live times the daily net, less registration.
    pub profit_usd: Option<f64>,
    /// Days until income less GPUs has earned the registration; `None` if it never does, or without a price of TAO.
    pub break_even_days: Option<f64>,
    /// The chance to live so long, of those that reach the curve's youngest age; `None` if it never breaks even, or hardly anybody was watched
    /// at that age.
    pub break_even_chance: Option<f64>,
    /// Income in the days that the place is expected to live within the window, in TAO.
    pub income_tao: f64,
    /// The same less the registration, in TAO: what is there to pay for GPUs.
    pub after_registration_tao: f64,
    /// Days until the income alone, GPUs not paid, has earned the registration; `None` if it never does.
    pub registration_days: Option<f64>,
    /// The chance to live so long, as [`break_even_chance`](Self::break_even_chance).
    pub registration_chance: Option<f64>,
    /// US dollars for a TAO from which the income pays for the GPUs; `None` if it does at no price.
    pub gpus_paid_from_tao_usd: Option<f64>,
    /// US dollars for a TAO from which the income within the window pays for the GPUs and the registration; `None` if it does at no price.
    pub all_paid_from_tao_usd: Option<f64>,
}

/// What the outcomes of a subnet have in common.
pub(super) struct Common<'a> {
    /// Income of its miners in alpha a day, in order.
    pub(super) incomes: &'a [f64],
    /// TAO and alpha in the pool.
    pub(super) pool: (f64, f64),
    /// The registration, in TAO.
    pub(super) price_tao: f64,
    /// Days that a place is expected to live within the window.
    pub(super) lived_days: f64,
    pub(super) gpu_usd_per_day: f64,
    pub(super) tao_usd: Option<f64>,
    pub(super) curve: &'a Curve,
}

impl Common<'_> {
    /// The outcome at a percentile.
    pub(super) fn at(&self, percent: u8) -> Outcome {
        let Self { incomes, pool, price_tao, lived_days, gpu_usd_per_day, tao_usd, curve } = *self;
        let alpha_per_day = percentile(incomes, f64::from(percent) / 100.0);
        let tao_per_day = sale(pool, alpha_per_day);
        let at_spot = alpha_per_day * pool.0 / pool.1;
        let income_tao = tao_per_day * lived_days;
        let after_registration_tao = income_tao - price_tao;
        let net_usd_per_day = tao_usd.map(|usd| tao_per_day * usd - gpu_usd_per_day);
        let earned = |price: f64, per_day: f64| (per_day > 0.0).then(|| price / per_day);
        let break_even_days = tao_usd.zip(net_usd_per_day).and_then(|(usd, net)| earned(price_tao * usd, net));
        let registration_days = earned(price_tao, tao_per_day);
        let blocks = |days: f64| (days * BLOCKS_PER_DAY as f64).min(u64::MAX as f64) as u64;
        let chance = |days: Option<f64>| days.and_then(|days| curve.survival(blocks(days)));
        Outcome {
            percentile: percent,
            alpha_per_day,
            tao_per_day,
            slippage_percent: if at_spot > 0.0 { 100.0 * (1.0 - tao_per_day / at_spot) } else { 0.0 },
            net_usd_per_day,
            profit_usd: tao_usd.zip(net_usd_per_day).map(|(usd, net)| net * lived_days - price_tao * usd),
            break_even_days,
            break_even_chance: chance(break_even_days),
            income_tao,
            after_registration_tao,
            registration_days,
            registration_chance: chance(registration_days),
            // Both last as long as the place does.
            gpus_paid_from_tao_usd: earned(gpu_usd_per_day, tao_per_day),
            all_paid_from_tao_usd: earned(gpu_usd_per_day * lived_days, after_registration_tao),
        }
    }
}
