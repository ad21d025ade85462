//! What a place costs, who is pruned, and whether it pays: golden values, properties, bad input.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use chain::tracker::{
    BLOCKS_PER_DAY,
    analysis::{Analyzer, Counting},
    cost,
    eviction::{self, Neuron, Rules},
    forecast::forecast,
    price::{Rule, RuleError, decay_q32},
    recommend::{self, Known, Question, Verdict, parse_tao},
    snapshot::{Parameters, Snapshot, Subnet},
    survival::{Curve, kaplan_meier},
    tenure::Life,
};
use proptest::prelude::*;

const TAO: u64 = 1_000_000_000;

fn neuron(uid: u16, emission: u64, registered_at: u64) -> Neuron {
    Neuron { uid, emission, registered_at, protected: false }
}

const RULES: Rules = Rules { block: 10_000, immunity_period: 5000, min_non_immune_uids: 1, max_uids: 6 };

#[test]
fn the_weakest_that_is_not_immune_goes_first_then_the_older_then_the_lower_uid() {
    let mut neurons = vec![
        neuron(0, 9, 10),
        neuron(1, 5, 200),
        neuron(2, 5, 100),  // as weak as 1, but older
        neuron(3, 5, 100),  // as old as 2, but a higher UID
        neuron(4, 0, 9000), // the weakest, but immune until 14,000
        Neuron { protected: true, ..neuron(5, 0, 1) },
    ];
    let order: Vec<_> = eviction::order(&neurons, &RULES).into_iter().flatten().collect();
    // 0 stays as the one non-immune UID that has to; then the immune ones go, and newcomers after that.
    assert_eq!(order, [2, 3, 1, 4]);
    let distances = eviction::distances(&neurons, &RULES);
    let of = |uid: usize| (distances[uid].registrations, distances[uid].registrations_unprotected, distances[uid].immune_for_blocks);
    assert_eq!(of(2), (Some(1), Some(1), 0));
    assert_eq!(of(1), (Some(3), Some(3), 0));
    assert_eq!(of(0), (None, None, 0));
    assert_eq!(of(4), (Some(4), Some(1), 4000));
    assert_eq!(of(5), (None, None, 0));
    // On the block on which immunity ends it is immune no more.
    assert_eq!(Rules { block: 14_000, ..RULES }.immune_for(&neurons[4]), 0);
    assert_eq!(eviction::next_pruned(&neurons, &Rules { block: 14_000, ..RULES }), Some(4));
    // Free UIDs go first.
    neurons.pop();
    assert_eq!(eviction::order(&neurons, &RULES)[0], None);
    assert_eq!(eviction::distances(&neurons, &RULES)[2].registrations, Some(2));
    assert_eq!(eviction::order(&[], &RULES), [None; 6], "then newcomers would only push out each other");
    let all_protected = [Neuron { protected: true, ..neuron(0, 0, 0) }];
    assert_eq!(eviction::next_pruned(&all_protected, &Rules { max_uids: 1, ..RULES }), None);
}

#[test]
fn times_to_the_nth_registration_are_erlangs() {
    let near = |found: [f64; 3], expected: [f64; 3]| found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4 * (1.0 + b));
    // Of one: the exponential distribution. Of ten: half the chi-square quantiles of 20 degrees of freedom.
    assert!(near(eviction::days_until(1, 1.0).unwrap(), [0.051_293, std::f64::consts::LN_2, 2.995_732]));
    assert!(near(eviction::days_until(10, 1.0).unwrap(), [5.425_406, 9.668_715, 15.705_216]));
    assert!(near(eviction::days_until(10, 2.0).unwrap(), [2.712_703, 4.834_357, 7.852_608]));
    let many = eviction::days_until(2000, 1.0).unwrap();
    assert!((many[1] - 1999.67).abs() < 0.1 && many[0] < many[1] && many[1] < many[2]);
    // All counts that a subnet can ask for, each later than the one before; the median of n lies a third below n.
    let mut last = [0.0; 3];
    for count in 1..=1024 {
        let times = eviction::days_until(count, 1.0).unwrap();
        assert!(times.iter().zip(last).all(|(time, before)| *time > before), "{count}: {times:?} after {last:?}");
        assert!((times[1] - f64::from(count) + 1.0 / 3.0).abs() < 0.03, "{count}: {times:?}");
        last = times;
    }
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(eviction::days_until(1, rate), None);
    }
}

fn neurons() -> impl Strategy<Value = Vec<Neuron>> {
    let one = (0..30_u64, 0..12_000_u64, proptest::bool::weighted(0.1));
    proptest::collection::vec(one, 0..40).prop_map(|all| {
        let with_uid = |(uid, (emission, registered_at, protected))| Neuron { uid, emission, registered_at, protected };
        (0..).zip(all).map(with_uid).collect()
    })
}

proptest! {
    #[test]
    fn the_order_of_pruning_keeps_the_rule(neurons in neurons(), floor in 0..20_u16, more in 0..5_u16) {
        let max_uids = u16::try_from(neurons.len()).unwrap() + more;
        let rules = Rules { block: 12_000, immunity_period: 5000, min_non_immune_uids: floor, max_uids };
        let order = eviction::order(&neurons, &rules);
        prop_assert!(order[..usize::from(more)].iter().all(Option::is_none), "free UIDs first");
        let taken: Vec<u16> = order.iter().copied().flatten().collect();
        prop_assert_eq!(taken.len() + usize::from(more), order.len());
        let find = |uid: u16| neurons.iter().find(|n| n.uid == uid).unwrap();
        prop_assert!(taken.iter().all(|uid| !find(*uid).protected));
        let immune = |uid: &u16| rules.immune_for(find(*uid)) > 0;
        // Non-immune ones first, each kind from the weakest to the strongest, and the floor stays.
        let first_immune = taken.iter().position(immune).unwrap_or(taken.len());
        prop_assert!(taken[first_immune..].iter().all(immune));
        for kind in [&taken[..first_immune], &taken[first_immune..]] {
            let keys: Vec<_> = kind.iter().map(|uid| (find(*uid).emission, find(*uid).registered_at, *uid)).collect();
            prop_assert!(keys.is_sorted());
        }
        let non_immune = neurons.iter().filter(|n| !n.protected && rules.immune_for(n) == 0).count();
        prop_assert_eq!(non_immune - first_immune, non_immune.min(usize::from(floor)));
        if more == 0 {
            prop_assert_eq!(taken.first().copied(), eviction::next_pruned(&neurons, &rules));
        }
        for (neuron, distance) in neurons.iter().zip(eviction::distances(&neurons, &rules)) {
            let place = order.iter().position(|uid| *uid == Some(neuron.uid)).map(|at| u32::try_from(at).unwrap() + 1);
            prop_assert_eq!(distance.registrations, place);
            // What is said of its immunity's end is what the rule says then; its age would change with it and decides among equals only.
            let peers = neurons.iter().filter(|n| n.emission == neuron.emission).count();
            if peers == 1 && rules.immune_for(neuron) > 0 {
                let ripe = |n: &Neuron| if n.uid == neuron.uid { Neuron { registered_at: 7000, ..*n } } else { *n };
                let order = eviction::order(&neurons.iter().map(ripe).collect::<Vec<_>>(), &rules);
                let then = order.iter().position(|uid| *uid == Some(neuron.uid)).map(|at| u32::try_from(at).unwrap() + 1);
                prop_assert_eq!(distance.registrations_unprotected, then);
            }
        }
    }

    #[test]
    fn prices_stay_in_bounds_and_fall_unless_somebody_registers(price in any::<u64>(), low in any::<u64>(), high in any::<u64>(), half_life in any::<u16>(), multiplier in 0.0..100.0) {
        let rule = Rule::new(low.min(high), low.max(high), half_life, multiplier).unwrap();
        let bounds = rule.min_rao..=rule.max_rao;
        prop_assert!(bounds.contains(&rule.next_block(price)) && bounds.contains(&rule.after_registration(price)));
        if bounds.contains(&price) {
            prop_assert!(rule.next_block(price) <= price && rule.after_registration(price) >= price);
            prop_assert_eq!(rule.after_blocks(price, 3), rule.next_block(rule.next_block(rule.next_block(price))));
        }
    }

    #[test]
    fn the_decay_is_the_largest_factor_that_halves_in_time(half_life in 1..=u16::MAX) {
        let factor = decay_q32(half_life) as f64 / 4_294_967_296.0;
        let half = factor.powi(i32::from(half_life));
        // The runtime's powers round down, the more the longer the half-life.
        prop_assert!((half - 0.5).abs() < 1e-3, "{half}");
    }
}

#[test]
fn the_price_halves_in_its_half_life_and_jumps_by_its_multiplier() {
    let rule = Rule::DEFAULT;
    // Golden values of the runtime's algorithm, written down anew in another language; 2^32 x 2^(-1/360) is 4,286,705,684.07.
    assert_eq!(decay_q32(360), 4_286_705_684);
    assert_eq!(rule.after_blocks(TAO, 360), 499_999_865);
    assert_eq!((decay_q32(0), decay_q32(1)), (1 << 32, 1 << 31));
    assert_eq!(rule.after_registration(TAO), 1_259_999_999, "26 % more, rounded down as 1.26 has no end in binary");
    assert_eq!(rule.after_registration(99 * TAO), 100 * TAO, "the ceiling");
    assert_eq!(rule.after_blocks(TAO, 1_000_000), 500_000, "the floor");
    assert_eq!(rule.after_blocks(TAO, u64::MAX), 500_000);
    assert_eq!(rule.cost_of(TAO, 3), u128::from(TAO) + 1_259_999_999 + u128::from(rule.after_registration(1_259_999_999)));
    assert_eq!(rule.blocks_until(TAO, TAO / 2), Some(360));
    assert_eq!(rule.blocks_until(TAO, 400_000), None, "below the floor it never comes");
    assert_eq!(rule.blocks_until(TAO, TAO), Some(0));
    // A registration undoes 120 blocks of decay: log2(1.26) x 360.
    let back = rule.blocks_until(rule.after_registration(TAO), TAO).unwrap();
    assert!((120..=121).contains(&back), "{back}");
    assert_eq!(Rule::new(2, 1, 360, 1.26), Err(RuleError::Senseless("a highest price below the lowest")));
    assert!(Rule::new(1, 2, 360, f64::NAN).is_err() && Rule::new(1, 2, 360, -1.0).is_err() && Rule::new(1, 2, 360, 1e12).is_err());
    assert_eq!(Rule::new(500_000, 100 * TAO, 360, 1.26), Ok(Rule::DEFAULT));
    let older = Parameters { burn_rao: Some(1), min_burn_rao: Some(1), max_burn_rao: Some(2), ..Parameters::default() };
    assert_eq!(Rule::of(&older), Err(RuleError::Missing("the half-life")));
}

#[test]
fn the_forecast_is_the_decay_when_nobody_comes_and_floats_when_they_do() {
    let rule = Rule::DEFAULT;
    let quiet = forecast(&rule, TAO, 0.0, 3600, 10).unwrap();
    assert_eq!(quiet.len(), 11);
    for point in &quiet {
        assert!(point.low_rao == point.median_rao && point.median_rao == point.high_rao);
        let off = (point.median_rao as f64 / point.quiet_rao as f64).ln().abs();
        assert!(off < 0.02, "{point:?}");
    }
    // 60 registrations a day undo exactly the day's decay (7,200 / 120): the median stays about where it is.
    let even = forecast(&rule, TAO, 60.0, 7200, 4).unwrap();
    let last = even.last().unwrap();
    assert!((0.5..2.0).contains(&(last.median_rao as f64 / TAO as f64)), "{last:?}");
    assert!(last.low_rao < last.median_rao && last.median_rao < last.high_rao && last.quiet_rao < last.low_rao);
    // The spread of the logarithm is sqrt(60) jumps of ln 1.26: 10 and 90 % lie 1.28 of it away.
    let spread = (last.high_rao as f64 / last.median_rao as f64).ln();
    assert!((spread - 1.2816 * 60_f64.sqrt() * 1.26_f64.ln()).abs() < 0.3, "{spread}");
    assert_eq!(even[0].median_rao, TAO);
    let crowded = forecast(&rule, TAO, 5000.0, 7200, 1).unwrap();
    assert!(crowded[1].low_rao > 90 * TAO, "{crowded:?}");
    for rate in [-1.0, f64::NAN, f64::INFINITY, 1e9] {
        assert!(forecast(&rule, TAO, rate, 100, 2).is_err());
    }
    assert!(forecast(&Rule { half_life: 0, ..rule }, TAO, 1.0, 100, 2).is_err());
    assert_eq!(forecast(&Rule { min_rao: 0, max_rao: 0, ..rule }, u64::MAX, 1.0, 100, 0).unwrap().len(), 2);
    assert_eq!(forecast(&rule, TAO, 10.0, u64::MAX, 3).unwrap().last().unwrap().quiet_rao, 500_000, "a window without end ends");
}

fn curve(days: u64, ended: usize, alive: usize) -> Curve {
    let life = |ended| Life { entry: 0, exit: days * BLOCKS_PER_DAY, ended };
    let mut lives = vec![life(true); ended];
    lives.extend(vec![life(false); alive]);
    kaplan_meier(&lives)
}

/// Thirty lives that are watched from an age on, and end from the tenth day on, one every tenth of a day.
fn watched_from(entry: u64) -> Curve {
    let life = |i: u64| Life { entry, exit: 10 * BLOCKS_PER_DAY + i * 720, ended: true };
    kaplan_meier(&(0..30).map(life).collect::<Vec<_>>())
}

const QUESTION: Question =
    Question { gpus: 8, gpu_usd_per_hour: 2.0, gpu_price_from: "as given", tao_usd: Some(400.0), budget_tao: 2.0, days: 30.0 };

fn known() -> Known {
    Known {
        netuid: 64,
        miner_alpha_per_day: (0..=100).map(f64::from).collect(),
        pool: Some((20_000.0, 200_000.0)),
        price_tao: Some(1.0),
        open: Some(true),
        immunity_blocks: Some(BLOCKS_PER_DAY),
        rule: Ok(Rule::DEFAULT),
        registrations_per_day: Some(2.0),
        curve: curve(10, 20, 20),
        undated_ends: 0,
    }
}

#[test]
fn a_recommendation_adds_up_by_hand() {
    let answer = recommend::answer(&QUESTION, &known());
    assert_eq!(answer.verdict, Verdict::Estimate);
    let at = |percentile: u8| answer.outcomes.iter().find(|outcome| outcome.percentile == percentile).unwrap();
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9 * (1.0 + b.abs());
    // 90 alpha sell for 20,000 x 90 / 200,090 TAO; at the price of 0.1 they were 9.
    let tao = 1_800_000.0 / 200_090.0;
    let best = at(90);
    assert!(near(best.alpha_per_day, 90.0) && near(best.tao_per_day, tao) && near(best.slippage_percent, 100.0 * (1.0 - tao / 9.0)));
    let net = tao * 400.0 - 8.0 * 2.0 * 24.0;
    // All live ten days, longer than which nobody was watched.
    assert!(near(best.net_usd_per_day.unwrap(), net) && near(best.profit_usd.unwrap(), net * 10.0 - 400.0));
    assert!(near(best.break_even_days.unwrap(), 400.0 / net) && best.break_even_chance == Some(1.0));
    let term = |name: &str| answer.terms.iter().find(|term| term.name == name).unwrap();
    assert_eq!(term("GPUs").value, Some(384.0));
    assert_eq!(term("survival past immunity").value, Some(1.0));
    assert!(term("days a place lives").how.contains("lower bound") && term("days a place lives").value == Some(10.0));
    // What went into the sale can be opened, not only the ratio of it.
    assert_eq!((term("TAO in the pool").value, term("alpha in the pool").value), (Some(20_000.0), Some(200_000.0)));
    // Whoever earns less than the GPUs cost never breaks even.
    let poor = recommend::answer(&Question { tao_usd: Some(10.0), ..QUESTION }, &known());
    assert!(poor.outcomes.iter().all(|outcome| outcome.break_even_days.is_none() && outcome.profit_usd.unwrap() < 0.0));
}

#[test]
fn without_a_price_of_tao_the_answer_is_in_tao_and_names_the_price_that_pays() {
    let unpriced = Question { tao_usd: None, ..QUESTION };
    let answer = recommend::answer(&unpriced, &known());
    assert_eq!(answer.verdict, Verdict::Estimate);
    let near = |a: Option<f64>, b: f64| a.is_some_and(|a| (a - b).abs() < 1e-9 * (1.0 + b.abs()));
    // As above: 90 alpha a day, ten days, a registration of 1 TAO, and 384 US dollars a day of GPUs.
    let tao = 1_800_000.0 / 200_090.0;
    let best = answer.at(90).unwrap();
    assert!(near(Some(best.income_tao), tao * 10.0) && near(Some(best.after_registration_tao), tao * 10.0 - 1.0), "{best:?}");
    assert!(near(best.registration_days, 1.0 / tao) && best.registration_chance == Some(1.0), "{best:?}");
    assert!(near(best.gpus_paid_from_tao_usd, 384.0 / tao) && near(best.all_paid_from_tao_usd, 3840.0 / (tao * 10.0 - 1.0)), "{best:?}");
    assert_eq!((best.net_usd_per_day, best.profit_usd, best.break_even_days, best.break_even_chance), (None, None, None, None));
    let term = |name: &str, unit: &str| answer.terms.iter().find(|term| term.name == name && term.unit == unit).unwrap();
    assert_eq!((term("TAO price", "USD").value, term("TAO price", "USD").how.as_str()), (None, "not given"));
    assert_eq!((term("registration", "USD").value, term("registration", "TAO").value), (None, Some(1.0)));
    assert_eq!(term("GPUs", "USD a day").value, Some(384.0));
    // At the price that is named nothing is lost and nothing won; with a price the same is said beside the dollars.
    let price = best.all_paid_from_tao_usd;
    let even = recommend::answer(&Question { tao_usd: price, ..QUESTION }, &known());
    assert!(even.at(90).unwrap().profit_usd.unwrap().abs() < 1e-9 && even.at(90).unwrap().all_paid_from_tao_usd == price, "{even:?}");
    let gpus = recommend::answer(&Question { tao_usd: best.gpus_paid_from_tao_usd, ..QUESTION }, &known());
    assert!(gpus.at(90).unwrap().net_usd_per_day.unwrap().abs() < 1e-9);
    // Who earns less than the registration costs is paid at no price; who earns nothing never earns it.
    let dear = recommend::answer(&unpriced, &Known { price_tao: Some(100.0), ..known() });
    assert!(dear.at(90).unwrap().all_paid_from_tao_usd.is_none() && dear.at(90).unwrap().gpus_paid_from_tao_usd.is_some());
    let idle = recommend::answer(&unpriced, &Known { miner_alpha_per_day: vec![0.0; 10], ..known() });
    let middle = idle.at(50).unwrap();
    assert_eq!((middle.registration_days, middle.registration_chance, middle.gpus_paid_from_tao_usd), (None, None, None));
    assert!((middle.after_registration_tao + 1.0).abs() < 1e-12);
}

#[test]
fn answers_are_ranked_by_profit_or_by_the_price_that_pays() {
    let rich = |known: Known| Known { netuid: 1, pool: Some((40_000.0, 200_000.0)), ..known };
    let poor = |known: Known| Known { netuid: 2, pool: Some((10_000.0, 200_000.0)), ..known };
    let never = |known: Known| Known { netuid: 3, miner_alpha_per_day: vec![0.0; 10], ..known };
    let closed = |known: Known| Known { netuid: 4, open: Some(false), ..rich(known) };
    let unknown = |known: Known| Known { netuid: 5, pool: None, ..known };
    for tao_usd in [None, Some(400.0)] {
        let all = [unknown(known()), closed(known()), never(known()), poor(known()), rich(known())];
        let mut answers: Vec<_> = all.iter().map(|known| recommend::answer(&Question { tao_usd, ..QUESTION }, known)).collect();
        recommend::rank(&mut answers);
        assert_eq!(answers.iter().map(|answer| answer.netuid).collect::<Vec<_>>(), [1, 2, 3, 4, 5], "{tao_usd:?}");
    }
}

#[test]
fn survival_past_immunity_is_that_of_the_day_after() {
    // Forty are immune for a day; thirty of them are pruned in the hours after it.
    let life = |i: u64| Life { entry: 0, exit: if i < 30 { BLOCKS_PER_DAY + 100 * (i + 1) } else { 10 * BLOCKS_PER_DAY }, ended: i < 30 };
    let known = Known { curve: kaplan_meier(&(0..40).map(life).collect::<Vec<_>>()), ..known() };
    let term = |known: &Known| {
        let answer = recommend::answer(&QUESTION, known);
        answer.terms.iter().find(|term| term.name == "survival past immunity").unwrap().clone()
    };
    let past = term(&known);
    assert!(past.value.is_some_and(|part| (part - 0.25).abs() < 1e-9) && past.how.starts_with("a day after"), "{past:?}");
    assert_eq!(term(&Known { immunity_blocks: Some(10 * BLOCKS_PER_DAY), ..known }).value, None, "nobody was watched so long");
}

#[test]
fn small_samples_say_so_instead_of_a_number() {
    let with = |change: fn(&mut Known)| {
        let mut known = known();
        change(&mut known);
        known
    };
    let few = |change| recommend::answer(&QUESTION, &with(change));
    for (known, word) in [
        (with(|known| known.miner_alpha_per_day.truncate(9)), "9 miners"),
        (with(|known| known.pool = None), "pool"),
        (with(|known| known.price_tao = None), "price"),
        (with(|known| known.curve = curve(10, 9, 50)), "9 tenures"),
        (with(|known| known.curve = Curve::default()), "0 tenures"),
        (with(|known| known.curve = watched_from(2 * BLOCKS_PER_DAY)), "newcomers"),
        (with(|known| known.curve = Curve { from_age_blocks: 5 * BLOCKS_PER_DAY, ..curve(10, 20, 20) }), "newcomers"),
    ] {
        let answer = recommend::answer(&QUESTION, &known);
        let Verdict::NotEnoughData(missing) = &answer.verdict else { panic!("{answer:?}") };
        assert!(missing.len() == 1 && missing[0].contains(word), "{missing:?}");
        assert!(answer.outcomes.is_empty() && answer.at(50).is_none() && !answer.terms.is_empty());
        let unpriced = recommend::answer(&Question { tao_usd: None, ..QUESTION }, &known);
        assert_eq!(unpriced.verdict, answer.verdict, "a missing price of TAO changes nothing about that");
    }
    assert_eq!(few(|known| known.open = Some(false)).verdict, Verdict::Closed);
    assert_eq!(few(|known| known.price_tao = Some(2.5)).verdict, Verdict::OverBudget);
    // From 4 to 2 TAO it halves once, in 360 blocks of the default rule.
    let waits = |known: Known| {
        let answer = recommend::answer(&QUESTION, &known);
        answer.terms.iter().find(|term| term.name == "within budget").map(|term| term.value)
    };
    assert_eq!(waits(Known { price_tao: Some(4.0), ..known() }), Some(Some(0.05)));
    assert_eq!(waits(Known { price_tao: Some(4.0), rule: Err(RuleError::Missing("the half-life")), ..known() }), Some(None));
    assert_eq!(waits(known()), None, "it is");
}

#[test]
fn the_price_is_forecast_within_the_window() {
    let answer = recommend::answer(&QUESTION, &known());
    let blocks: Vec<u64> = answer.price_forecast.iter().map(|point| point.blocks).collect();
    assert_eq!(blocks, [0, 54_000, 108_000, 162_000, 216_000], "now, and four times in thirty days");
    let forecast: Vec<_> = answer.terms.iter().filter(|term| term.name == "registration forecast").collect();
    assert_eq!(forecast.len(), 4);
    // At two registrations a day it is near the floor again after a week, whatever it costs now.
    assert!(forecast[0].value.is_some_and(|tao| (0.0005..0.001).contains(&tao)), "{forecast:?}");
    assert!(forecast[0].how.contains("in 7.5 days") && forecast[0].how.contains("2.0 registrations a day"), "{forecast:?}");
    let direct = chain::tracker::forecast::forecast(&Rule::DEFAULT, TAO, 2.0, 216_000, 4).unwrap();
    assert_eq!(answer.price_forecast, direct);
    // Where the rule, the rate or the price is not known it says so.
    let missing = RuleError::Missing("the half-life");
    for (known, word) in [
        (Known { rule: Err(missing), ..known() }, "half-life"),
        (Known { registrations_per_day: None, ..known() }, "how many register"),
        (Known { price_tao: None, ..known() }, "the price now"),
        (Known { registrations_per_day: Some(f64::NAN), ..known() }, "rate"),
    ] {
        let answer = recommend::answer(&QUESTION, &known);
        let terms: Vec<_> = answer.terms.iter().filter(|term| term.name == "registration forecast").collect();
        assert!(terms.len() == 1 && terms[0].value.is_none() && terms[0].how.contains(word), "{terms:?}");
        assert!(answer.price_forecast.is_empty());
    }
}

#[test]
fn survival_is_said_of_ages_at_which_newcomers_were_watched() {
    let term = |answer: &recommend::Recommendation, name: &str| answer.terms.iter().find(|term| term.name == name).unwrap().clone();
    let half_a_day = BLOCKS_PER_DAY / 2;
    let answer = recommend::answer(&QUESTION, &Known { curve: watched_from(half_a_day), undated_ends: 3, ..known() });
    assert_eq!(answer.verdict, Verdict::Estimate);
    let immune = term(&answer, "survival past immunity");
    assert_eq!(immune.value, Some(1.0));
    assert!(immune.how.contains("of those that reach 0.50 days") && immune.how.contains("3 of them as late as can be"), "{immune:?}");
    // The registration is earned before the youngest of these ages.
    assert!(answer.outcomes.iter().any(|one| one.break_even_days.is_some_and(|days| days < 0.5) && one.break_even_chance.is_none()));
    let early = recommend::answer(&QUESTION, &Known { curve: watched_from(half_a_day), immunity_blocks: Some(7), ..known() });
    assert_eq!(term(&early, "survival past immunity").value, None, "nobody was watched at that age");
    let old = recommend::answer(&QUESTION, &Known { curve: watched_from(2 * BLOCKS_PER_DAY), immunity_blocks: Some(40_000), ..known() });
    assert_eq!(term(&old, "survival past immunity").value, None, "of newcomers nothing is known");
}

#[test]
fn a_snapshot_that_carries_it_tells_income_cost_and_eviction() {
    let hotkeys = [
        "5DyMK753NtM7u3TLeqVpJ6Fn1rGhwnRuH8YNa1sXzPwycURB",
        "5E2LP6EnZ54m3wS8s1yPvD5c3xo71kQroBw7aUVK32TKeZ5u",
        "5G3wMP3g3d775hauwmAZioYFVZYnvw6eY46wkFy8hEWD5KP3",
    ];
    let mut state = Subnet { n_neurons: 3, block: 100_000, ..Subnet::default() };
    for (uid, hotkey) in (0..).zip(hotkeys) {
        state.uid_hotkey_map.insert(uid, hotkey.parse().unwrap());
        state.registration_blocks.insert(uid, 99_000 - 60_000 * u64::from(uid % 2));
        state.emission_rao.insert(uid, u64::from(uid) * TAO);
    }
    state.validators = [2].into();
    state.parameters = Parameters {
        max_uids: Some(4),
        immunity_period: Some(5000),
        tempo: Some(359),
        burn_rao: Some(500_000),
        tao_in_rao: Some(10 * TAO),
        alpha_in_rao: Some(1000 * TAO),
        ..Parameters::default()
    };
    let known = recommend::known(64, &state, Curve::default());
    assert_eq!(known.miner_alpha_per_day, [0.0, 20.0], "360 blocks an epoch are 20 a day; the validator is none of the miners");
    assert_eq!((known.pool, known.price_tao), (Some((10.0, 1000.0)), Some(0.0005)));
    let cost = cost::of(64, &state);
    assert_eq!((cost.burn_cost_tao, cost.occupancy_pct, cost.is_full), (Some(0.0005), Some(75.0), Some(false)));
    assert!((cost.immunity_hours.unwrap() - 5000.0 * 12.0 / 3600.0).abs() < 1e-9);
    assert_eq!(cost.registrations_per_day, Some(2.0 / 7.0));
    let (neurons, rules) = eviction::from_snapshot(&state).unwrap();
    let distances = eviction::distances(&neurons, &rules);
    assert_eq!(distances.iter().map(|distance| distance.registrations).collect::<Vec<_>>(), [Some(3), Some(2), None]);
    // One UID is free, 1 is not immune, 0 the weakest of the immune; then newcomers are weaker than 2.
    // The existing tracker's files tell none of this, and no number is made up.
    let plain =
        Subnet { registration_blocks: Default::default(), emission_rao: Default::default(), parameters: Parameters::default(), ..state };
    assert_eq!(eviction::from_snapshot(&plain).unwrap_err(), "registration blocks");
    let cost = cost::of(64, &plain);
    assert_eq!((cost.burn_cost_tao, cost.is_full, cost.registrations_per_day), (None, None, None));
    assert!(recommend::known(64, &plain, Curve::default()).miner_alpha_per_day.is_empty());
}

#[test]
fn registrations_are_counted_where_a_full_subnet_hides_the_least_of_them() {
    // 256 UIDs, of which each takes its turn: one of them every 50 blocks, 144 a day.
    let address = |number: u64| format!("5{}", (0..47).map(|i| if number >> (i % 20) & 1 == 1 { 'A' } else { 'B' }).collect::<String>());
    let state = |block: u64, apart: u64| {
        let mut state = Subnet { n_neurons: 256, block, ..Subnet::default() };
        for back in 0..256 {
            let at = block / apart - back;
            let uid = u16::try_from(at % 256).unwrap();
            state.uid_hotkey_map.insert(uid, address(at).parse().unwrap());
            state.registration_blocks.insert(uid, at * apart);
        }
        state
    };
    let rate = |state: &Subnet| cost::of(1, state).registrations_per_day.unwrap();
    let crowded = rate(&state(1_000_000, 50));
    assert!((140.0..150.0).contains(&crowded), "a week shows 256 / 7 a day, a day all: {crowded}");
    // 720 a day: even a day shows no more than 256; snapshots of every two hours do.
    let mut analyzer = Analyzer::new("finney", Counting::Observed);
    let subnet = |block: u64| [(1, state(block, 10))].into();
    for block in (1_000_000..=1_030_000).step_by(600) {
        analyzer.add("one", Ok(Snapshot { timestamp: block.to_string(), network: "finney".to_owned(), subnets: subnet(block) }));
    }
    assert!((rate(&analyzer.states()[&1]) - 256.0).abs() < 1e-9);
    let counted = analyzer.registrations_per_day(1).unwrap();
    assert!((counted - 720.0).abs() < 1.0, "{counted}");
    assert_eq!(analyzer.registrations_per_day(2), None);
    // One newcomer an hour ago is no rate of 24 a day, nor one in the minutes between two snapshots.
    let mut quiet = state(20_000_000, 50_000);
    quiet.registration_blocks.insert(0, 19_999_700);
    assert!(rate(&quiet) < 0.5, "{}", rate(&quiet));
    let mut analyzer = Analyzer::new("finney", Counting::Observed);
    let later = {
        let mut later = Subnet { block: 20_000_050, ..quiet.clone() };
        later.uid_hotkey_map.insert(0, address(77_777).parse().unwrap());
        later.registration_blocks.insert(0, 20_000_020);
        later
    };
    for state in [quiet, later] {
        analyzer.add("one", Ok(Snapshot { timestamp: "t".to_owned(), network: "finney".to_owned(), subnets: [(1, state)].into() }));
    }
    assert!(analyzer.registrations_per_day(1).unwrap() < 0.5);
}

#[test]
fn a_burst_by_chance_is_no_rate() {
    // 84 registrations in a week, 12 a day, of which 15 came on the last day: no more than chance makes of 12.
    let address = |number: u64| format!("5{}", (0..47).map(|i| if number >> (i % 20) & 1 == 1 { 'A' } else { 'B' }).collect::<String>());
    let state = |last_day: u64| {
        let mut state = Subnet { n_neurons: 256, block: 1_000_000, ..Subnet::default() };
        for uid in 0..256 {
            let age = match u64::from(uid) {
                young if young < last_day => young * 7200 / last_day,
                older if older < 84 => 7200 + (older - last_day) * 43_200 / (84 - last_day),
                _ => 500_000,
            };
            state.uid_hotkey_map.insert(uid, address(uid.into()).parse().unwrap());
            state.registration_blocks.insert(uid, 1_000_000 - age);
        }
        cost::of(1, &state).registrations_per_day.unwrap()
    };
    assert!((state(12) - 12.0).abs() < 1e-9 && (state(15) - 12.0).abs() < 1e-9, "{} {}", state(12), state(15));
    assert!((state(30) - 30.0).abs() < 1e-9, "that is none any more: {}", state(30));
}

#[test]
fn amounts_of_tao_are_read_exactly() {
    for (text, rao) in [("2TAO", 2 * TAO), ("2", 2 * TAO), ("0.0005 tao", 500_000), (".5", TAO / 2), ("1.000000001", TAO + 1), ("0", 0)] {
        assert_eq!(parse_tao(text), Ok(rao), "{text}");
    }
    for bad in ["", "TAO", ".", "-1", "1e3", "1,5", "0.0000000001", "18446744074", "99999999999999999999999", "2 USD", "٢"] {
        assert!(parse_tao(bad).is_err(), "{bad}");
    }
}
