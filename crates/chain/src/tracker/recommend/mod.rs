//! Would a place on a subnet pay? A pure model whose every term can be opened.
//!
//! Income is what miners of the subnet earn per UID, at percentiles, sold to the subnet's pool day by day; it ends when the UID is pruned,
//! by the subnet's survival curve, and the GPUs are given back then. What it leaves out: which hardware those miners have, that a newcomer
//! earns little at first, the pool's other sellers, its fee, and moves of prices. Where the samples are small it gives no number.
//!
//! Nothing here knows what a TAO is worth. Without a price of it income is in TAO and GPUs in US dollars, and what can be said of both is
//! the price from which the one pays for the other.

mod outcome;

pub use outcome::Outcome;

use super::{
    BLOCKS_PER_DAY, RAO, cost,
    forecast::{self, Point},
    price::{Rule, RuleError},
    snapshot::Subnet,
    survival::{Curve, MIN_AT_RISK, MIN_ENDED},
};
use outcome::Common;
use serde::Serialize;

/// Miners below which the percentiles of their income mean nothing.
pub const MIN_MINERS: usize = 10;

/// The percentiles of income that are shown.
pub const PERCENTILES: [u8; 4] = [25, 50, 75, 90];

/// Times within the window for which the price of a registration is forecast.
const FORECASTS: u32 = 4;

/// Days beyond which the price is not forecast.
const MAX_FORECAST_DAYS: u64 = 365;

/// What somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Question {
    /// GPUs that would work for the place.
    pub gpus: u32,
    /// What one of them costs, in US dollars an hour.
    pub gpu_usd_per_hour: f64,
    /// Who says so.
    pub gpu_price_from: &'static str,
    /// US dollars for a TAO, if somebody says so.
    pub tao_usd: Option<f64>,
    /// The most that the registration may cost, in TAO.
    pub budget_tao: f64,
    /// Days to look ahead.
    pub days: f64,
}

/// What is known of a subnet.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Which subnet.
    pub netuid: u16,
    /// What each miner earns, in alpha a day; those that earn nothing included, validators and the owner not.
    pub miner_alpha_per_day: Vec<f64>,
    /// TAO and alpha in the pool.
    pub pool: Option<(f64, f64)>,
    /// What a registration costs, in TAO.
    pub price_tao: Option<f64>,
    /// Whether registrations are open; unknown counts as open.
    pub open: Option<bool>,
    /// Blocks for which a newcomer is immune.
    pub immunity_blocks: Option<u64>,
    /// How that price moves.
    pub rule: Result<Rule, RuleError>,
    /// Registrations a day of late.
    pub registrations_per_day: Option<f64>,
    /// How long miners live, from their registration.
    pub curve: Curve,
    /// Ends of which only the latest possible date is known.
    pub undated_ends: usize,
}

/// A number with where it comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Term {
    /// What it is.
    pub name: &'static str,
    /// The number; `None` if it is not known.
    pub value: Option<f64>,
    /// Its unit.
    pub unit: &'static str,
    /// How it was come by.
    pub how: String,
}

/// The answer for a subnet.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The numbers stand for themselves.
    Estimate,
    /// Registrations are closed.
    Closed,
    /// The registration costs more than the budget.
    OverBudget,
    /// What would have to be known, in words.
    NotEnoughData(Vec<String>),
}

/// What the model says of a subnet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recommendation {
    /// Which subnet.
    pub netuid: u16,
    /// The answer.
    pub verdict: Verdict,
    /// By percentile; empty unless enough is known.
    pub outcomes: Vec<Outcome>,
    /// What went in, and what came of it.
    pub terms: Vec<Term>,
    /// What a registration will cost, now and at times within the window; empty unless the rule, the price and the rate are known.
    pub price_forecast: Vec<Point>,
}

impl Recommendation {
    /// The outcome at one of the [`PERCENTILES`]; `None` unless enough is known.
    pub fn at(&self, percentile: u8) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.percentile == percentile)
    }
}

/// Ranks the answers: estimates first; of these, and of the others, those by which the miner in the middle profits most, or without a price
/// of TAO those that pay for GPUs and registration from the lowest price on; last those that never would. Equals by netuid.
pub fn rank(answers: &mut [Recommendation]) {
    let key = |one: &Recommendation| {
        let middle = one.at(50);
        let by_profit = middle.and_then(|outcome| outcome.profit_usd).map(|profit| -profit);
        (one.verdict != Verdict::Estimate, by_profit.or_else(|| middle?.all_paid_from_tao_usd).unwrap_or(f64::INFINITY))
    };
    answers.sort_by(|a, b| {
        let (a_key, b_key) = (key(a), key(b));
        a_key.0.cmp(&b_key.0).then(a_key.1.total_cmp(&b_key.1)).then(a.netuid.cmp(&b.netuid))
    });
}

/// What a snapshot knows of a subnet; the curve comes from many, and so may a better rate of registrations and the number of undated ends.
pub fn known(netuid: u16, state: &Subnet, curve: Curve) -> Known {
    let p = &state.parameters;
    let epochs = p.tempo.map(|tempo| BLOCKS_PER_DAY as f64 / (tempo as f64 + 1.0));
    let miner = |uid: &u16| !state.validators.contains(uid) && !state.owner_uids.contains(uid);
    let miner_alpha_per_day = match epochs {
        // Without a validator the emissions of miners cannot be told from theirs: every subnet that pays has one.
        Some(epochs) if !state.emission_rao.is_empty() && !state.validators.is_empty() => {
            let earned = |uid| super::tao(state.emission_rao.get(uid).copied().unwrap_or(0)) * epochs;
            state.uid_hotkey_map.keys().filter(|uid| miner(uid)).map(earned).collect()
        }
        _ => Vec::new(),
    };
    let pool = p.tao_in_rao.zip(p.alpha_in_rao).filter(|(tao, alpha)| *tao > 0 && *alpha > 0);
    Known {
        netuid,
        miner_alpha_per_day,
        pool: pool.map(|(tao, alpha)| (super::tao(tao), super::tao(alpha))),
        price_tao: p.burn_rao.map(super::tao),
        open: p.registration_allowed,
        immunity_blocks: p.immunity_period,
        rule: Rule::of(p),
        registrations_per_day: cost::registrations_per_day(state),
        curve,
        undated_ends: 0,
    }
}

/// What alpha sells for in a pool of constant product, in TAO, before fees: `tao_in * a / (alpha_in + a)`.
pub fn sale(pool: (f64, f64), alpha: f64) -> f64 {
    pool.0 * alpha / (pool.1 + alpha)
}

/// The value below which a part of the sorted values lies, between two of them in proportion.
fn percentile(sorted: &[f64], part: f64) -> f64 {
    let at = part * (sorted.len().saturating_sub(1)) as f64;
    let (low, high) = (sorted.get(at.floor() as usize), sorted.get(at.ceil() as usize));
    let (low, high) = (low.copied().unwrap_or(0.0), high.copied().unwrap_or(0.0));
    low + (high - low) * at.fract()
}

/// What a registration will cost at times within a window, or why that is not known.
fn price_forecast(known: &Known, window: u64) -> Result<Vec<Point>, String> {
    let rule = known.rule.as_ref().map_err(ToString::to_string)?;
    let price = known.price_tao.ok_or("the price now is not known")?;
    let rate = known.registrations_per_day.ok_or("how many register is not known")?;
    let price_rao = (price * RAO as f64).round() as u64;
    let window = window.min(MAX_FORECAST_DAYS * BLOCKS_PER_DAY);
    forecast::forecast(rule, price_rao, rate, window, FORECASTS).map_err(|error| error.to_string())
}

/// The forecast as terms: the median, with the band in words.
fn forecast_terms(forecast: &Result<Vec<Point>, String>, known: &Known) -> Vec<Term> {
    let term = |value, how| Term { name: "registration forecast", value, unit: "TAO", how };
    let rate = known.registrations_per_day.unwrap_or_default();
    match forecast {
        Err(why) => vec![term(None, why.clone())],
        Ok(points) => {
            let one = |point: &Point| {
                let (at, low, high) = (super::days(point.blocks), super::tao(point.low_rao), super::tao(point.high_rao));
                term(
                    Some(super::tao(point.median_rao)),
                    format!("in {at:.1} days; 10 to 90 %: {low:.4} to {high:.4}; {rate:.1} registrations a day"),
                )
            };
            points.iter().skip(1).map(one).collect()
        }
    }
}

/// Answers for one subnet.
pub fn answer(question: &Question, known: &Known) -> Recommendation {
    let Question { gpus, gpu_usd_per_hour, gpu_price_from, tao_usd, budget_tao, days } = *question;
    let window = (days * BLOCKS_PER_DAY as f64).round().max(0.0) as u64;
    let curve = &known.curve;
    // Beyond what was watched nobody is taken to live: a lower bound.
    let watched = window.min(curve.to_age_blocks);
    // A newcomer's first days are the dangerous ones.
    let young = curve.from_age_blocks <= BLOCKS_PER_DAY;
    let lived = curve.mean_within(watched).filter(|_| curve.enough() && young).map(|blocks| blocks / BLOCKS_PER_DAY as f64);
    let gpu_usd_per_day = f64::from(gpus) * gpu_usd_per_hour * 24.0;
    let mut incomes = known.miner_alpha_per_day.clone();
    incomes.sort_by(f64::total_cmp);
    // Hardly anybody is pruned before immunity ends, so what counts is the time right after. A curve that begins later tells nothing of it.
    let past_immunity = known.immunity_blocks.filter(|blocks| curve.enough() && young && *blocks >= curve.from_age_blocks);
    let past_immunity = past_immunity.and_then(|blocks| curve.survival(blocks.saturating_add(BLOCKS_PER_DAY)));
    let term = |name, value, unit, how: String| Term { name, value, unit, how };
    let late = if known.undated_ends > 0 { format!(", {} of them as late as can be", known.undated_ends) } else { String::new() };
    let from = super::days(curve.from_age_blocks);
    let reached = if curve.from_age_blocks > 0 { format!(", of those that reach {from:.2} days") } else { String::new() };
    let curve_how = format!("Kaplan-Meier, {} of {} tenures ended{late}{reached}", curve.ended, curve.lives);
    let bound = if watched < window { ", few watched longer, so a lower bound" } else { "" };
    let forecast = price_forecast(known, window);
    let mut terms = vec![
        term("miners", Some(incomes.len() as f64), "UIDs", "UIDs without validator permit, owner's left out".to_owned()),
        term("TAO in the pool", known.pool.map(|(tao, _)| tao), "TAO", "reserve in the last snapshot".to_owned()),
        term("alpha in the pool", known.pool.map(|(_, alpha)| alpha), "alpha", "reserve in the last snapshot".to_owned()),
        term("alpha price", known.pool.map(|(tao, alpha)| tao / alpha), "TAO", "TAO in the pool / alpha in the pool".to_owned()),
        term("TAO price", tao_usd, "USD", if tao_usd.is_some() { "as given" } else { "not given" }.to_owned()),
        term("registration", known.price_tao, "TAO", "burn in the last snapshot".to_owned()),
        term("registration", known.price_tao.zip(tao_usd).map(|(tao, usd)| tao * usd), "USD", "registration in TAO x TAO price".to_owned()),
        term("GPUs", Some(gpu_usd_per_day), "USD a day", format!("{gpus} x {gpu_usd_per_hour} USD ({gpu_price_from}) x 24 h")),
        term("immunity", known.immunity_blocks.map(super::days), "days", "immunity period x 12 s".to_owned()),
        term("survival past immunity", past_immunity, "", format!("a day after immunity ends; {curve_how}")),
        term("days a place lives", lived, "days", format!("mean within {:.1} days, {curve_how}{bound}", super::days(watched))),
        term("budget", Some(budget_tao), "TAO", "as given".to_owned()),
        term("window", Some(days), "days", "as given".to_owned()),
    ];
    if let Some(price_tao) = known.price_tao.filter(|price| *price > budget_tao) {
        let rao = |tao: f64| (tao * RAO as f64).round() as u64;
        let wait = known.rule.as_ref().ok().and_then(|rule| rule.blocks_until(rao(price_tao), rao(budget_tao)));
        terms.push(term("within budget", wait.map(super::days), "days from now", "price rule, if nobody registers before".to_owned()));
    }
    let after_price = terms.iter().rposition(|term| term.name == "registration").map_or(terms.len(), |at| at + 1);
    terms.splice(after_price..after_price, forecast_terms(&forecast, known));
    let mut missing = Vec::new();
    if incomes.len() < MIN_MINERS {
        missing.push(format!("income of {} miners, {MIN_MINERS} wanted", incomes.len()));
    }
    if known.pool.is_none() {
        missing.push("the pool".to_owned());
    }
    if known.price_tao.is_none() {
        missing.push("the price of a registration".to_owned());
    }
    if lived.is_none() && curve.enough() {
        missing.push(format!("lives of newcomers: too few were watched before an age of {from:.1} days"));
    } else if lived.is_none() {
        missing.push(format!("{} tenures that ended at ages at which {MIN_AT_RISK} were watched, {MIN_ENDED} wanted", curve.counted()));
    }
    let price_forecast = forecast.unwrap_or_default();
    let answer = |verdict, outcomes| Recommendation { netuid: known.netuid, verdict, outcomes, terms, price_forecast };
    let (Some(pool), Some(price_tao), Some(lived), true) = (known.pool, known.price_tao, lived, missing.is_empty()) else {
        return answer(Verdict::NotEnoughData(missing), Vec::new());
    };
    let common = Common { incomes: &incomes, pool, price_tao, lived_days: lived, gpu_usd_per_day, tao_usd, curve };
    let verdict = if known.open == Some(false) {
        Verdict::Closed
    } else if price_tao > budget_tao {
        Verdict::OverBudget
    } else {
        Verdict::Estimate
    };
    answer(verdict, PERCENTILES.map(|percent| common.at(percent)).to_vec())
}

/// TAO as people write it (`2TAO`, `0.5 tao`, `2`), in rao; at most nine digits after the point.
///
/// # Errors
/// If it is no amount.
pub fn parse_tao(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let number = trimmed.strip_suffix("TAO").or_else(|| trimmed.strip_suffix("tao")).unwrap_or(trimmed).trim_end();
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && part.is_empty() || !digits(whole) || !digits(part) || part.len() > 9 {
        return Err(format!("{text:?} is no amount of TAO, such as 2TAO or 0.005"));
    }
    let whole: u64 = if whole.is_empty() { Ok(0) } else { whole.parse() }.map_err(|_| format!("{text:?} is too much"))?;
    let part: u64 = format!("{part:0<9}").parse().map_err(|_| format!("{text:?} is no amount of TAO"))?;
    whole.checked_mul(RAO).and_then(|rao| rao.checked_add(part)).ok_or_else(|| format!("{text:?} is too much"))
}
