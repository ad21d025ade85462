//! `subnets recommend`: where a place would pay.

use super::{Folder, Out, check_days, document, dollars, note_ignored, sentence, shown};
use crate::{
    failure::{Failure, Kind},
    output::{
        Table,
        sheet::{Kind as Column, Sheet},
        wrapped,
    },
};
use chain::tracker::{
    analysis::Counting,
    recommend::{self, Known, Question, Recommendation, Verdict, parse_tao},
    survival::kaplan_meier,
    tao,
    tenure::Origin,
};
use clap::Args as ClapArgs;
use protocol::catalogue;
use std::fmt::Write as _;

/// Where a place would pay.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    after_help = "Examples:\n  chutes-miner subnets recommend --gpu 8xh200 --budget 2TAO --days 30\n  \
        chutes-miner subnets recommend --gpu 8xh200 --tao-usd 400 --explain 64\n\n\
        Income is what a subnet's miners earn per UID, whichever hardware they have. A\nsubnet with a small sample is answered with 'not enough data'. Without --tao-usd\n\
        income is in TAO, beside the price of a TAO from which it pays for all else."
)]
pub(super) struct Recommend {
    #[command(flatten)]
    folder: Folder,
    /// GPUs that would work, such as 8xh200
    #[arg(long, value_name = "NxREF")]
    gpu: String,
    /// US dollars per GPU and hour, if not the network's rate
    #[arg(long, env = "GPU_USD", value_name = "USD", value_parser = dollars, allow_negative_numbers = true)]
    gpu_usd: Option<f64>,
    /// US dollars for a TAO; without, the price is named from which a place pays
    #[arg(long, env = "TAO_USD", value_name = "USD", value_parser = dollars, allow_negative_numbers = true)]
    tao_usd: Option<f64>,
    /// The most that the registration may cost
    #[arg(long, value_name = "TAO", default_value = "1TAO", allow_hyphen_values = true)]
    budget: String,
    /// Days to look ahead
    #[arg(long, default_value_t = 30.0, value_name = "DAYS", allow_negative_numbers = true)]
    days: f64,
    /// Open every term of this subnet
    #[arg(long, value_name = "N")]
    explain: Option<u16>,
    /// Rows of the table; 0 for all
    #[arg(long, default_value_t = 15, value_name = "N")]
    limit: usize,
    #[command(flatten)]
    out: Out,
}

pub(super) async fn run(args: Recommend) -> Result<(), Failure> {
    let question = question(&args)?;
    let analyzer = args.folder.watch(Counting::Observed, args.explain.as_slice()).await?;
    note_ignored(&analyzer);
    let mut answers: Vec<Recommendation> = analyzer
        .states()
        .iter()
        // The root has no miners.
        .filter(|(netuid, _)| **netuid != 0 && args.explain.is_none_or(|one| one == **netuid))
        .map(|(netuid, state)| {
            let curve = kaplan_meier(&analyzer.tenures().lives(*netuid, Origin::Registration));
            let known = Known {
                undated_ends: analyzer.tenures().undated_ends(*netuid, Origin::Registration),
                registrations_per_day: analyzer.registrations_per_day(*netuid),
                ..recommend::known(*netuid, state, curve)
            };
            recommend::answer(&question, &known)
        })
        .collect();
    if answers.is_empty() {
        return Err(Failure::new(Kind::NotFound, "no snapshot shows this subnet"));
    }
    recommend::rank(&mut answers);
    args.out.give(
        |width| {
            if args.explain.is_some() { answers.iter().map(|one| explain(one, width)).collect() } else { render(&answers, &args, width) }
        },
        || document(&answers),
        || sheet(&answers),
    )
}

fn question(args: &Recommend) -> Result<Question, Failure> {
    let usage = |what: String| Failure::new(Kind::Usage, what);
    let budget_tao = tao(parse_tao(&args.budget).map_err(usage)?);
    let (gpus, model) = args.gpu.split_once('x').unwrap_or(("", ""));
    let gpus = gpus.parse::<u32>().ok().filter(|gpus| *gpus > 0 && !model.is_empty());
    let gpus = gpus.ok_or_else(|| usage(format!("--gpu {:?} is not a number and a model, such as 8xh200", args.gpu)))?;
    let (gpu_usd_per_hour, gpu_price_from) = match args.gpu_usd {
        Some(usd) => (usd, "as given"),
        None => {
            let spec = model.parse().ok().and_then(|model| catalogue::find(&model));
            let unknown = || usage(format!("{model:?} is no model of the network's catalogue")).advise("say what it costs with --gpu-usd");
            (spec.ok_or_else(unknown)?.hourly_usd(), "the network's rate")
        }
    };
    check_days(args.days)?;
    Ok(Question { gpus, gpu_usd_per_hour, gpu_price_from, tao_usd: args.tao_usd, budget_tao, days: args.days })
}

fn verdict(answer: &Recommendation) -> String {
    match &answer.verdict {
        Verdict::Estimate => "estimate".to_owned(),
        Verdict::Closed => "closed".to_owned(),
        Verdict::OverBudget => "over budget".to_owned(),
        Verdict::NotEnoughData(missing) => format!("not enough data: {}", missing.join("; ")),
    }
}

fn value(answer: &Recommendation, name: &str, unit: &str) -> Option<f64> {
    answer.terms.iter().find(|term| term.name == name && term.unit == unit).and_then(|term| term.value)
}

/// Days until something is earned.
fn until(days: Option<f64>, digits: usize) -> String {
    days.map_or_else(|| "never".to_owned(), |days| format!("{days:.digits$} d"))
}

/// A price of TAO from which something pays.
fn from(usd: Option<f64>) -> String {
    usd.map_or_else(|| "never".to_owned(), brief)
}

/// Four digits or so: columns are narrow.
fn brief(value: f64) -> String {
    let digits = [1.0, 10.0, 100.0, 1000.0].iter().filter(|limit| value.abs() < **limit).count();
    format!("{value:.digits$}")
}

fn render(answers: &[Recommendation], args: &Recommend, width: u16) -> String {
    let known: Vec<_> = answers.iter().filter(|answer| !answer.outcomes.is_empty()).collect();
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    let shown_of = &known[..known.len().min(limit)];
    let mut text = match (shown_of, args.tao_usd) {
        ([], _) => String::new(),
        (some, Some(_)) => in_dollars(some, width),
        (some, None) => in_tao(some, width),
    };
    if known.len() > limit {
        let _ = writeln!(text, "... {} more; --limit 0 shows all", known.len() - limit);
    }
    let few = answers.len() - known.len();
    if few > 0 {
        let _ = writeln!(text, "{few} of {} subnets: not enough data; --explain N says what is missing.", answers.len());
    }
    if !known.is_empty() {
        let days = args.days;
        let words = match args.tao_usd {
            Some(_) => format!("US dollars in {days} days, by percentile of the miners' income; --explain N opens every term."),
            None => format!(
                "Left: TAO earned in {days} days less the registration; earned: when that is paid for, GPUs are not. From: US dollars for \
                 a TAO from which GPUs and registration are paid for; the lowest first. By percentile of the miners' income; --explain N opens \
                 every term, and --tao-usd USD answers in dollars."
            ),
        };
        text.push_str(&sentence(&words, width));
    }
    text
}

/// What every row ends with: registration, days a place lives, and what stands against it.
fn ending(answer: &Recommendation) -> [String; 3] {
    [
        shown(value(answer, "registration", "TAO"), 4),
        value(answer, "days a place lives", "days").map_or_else(|| "-".to_owned(), |days| format!("{days:.1} d")),
        if answer.verdict == Verdict::Estimate { String::new() } else { verdict(answer) },
    ]
}

fn in_dollars(answers: &[&Recommendation], width: u16) -> String {
    let mut table = Table::new(&["Netuid", "Profit p50", "p75", "p90", "Net/d p50", "Break even", "TAO", "Lives", ""], width);
    for answer in answers {
        let profit = |percentile| shown(answer.at(percentile).and_then(|outcome| outcome.profit_usd), 0);
        let middle = answer.at(50);
        let [registration, lives, against] = ending(answer);
        table.row([
            answer.netuid.to_string(),
            profit(50),
            profit(75),
            profit(90),
            shown(middle.and_then(|outcome| outcome.net_usd_per_day), 0),
            until(middle.and_then(|outcome| outcome.break_even_days), 1),
            registration,
            lives,
            against,
        ]);
    }
    table.render()
}

fn in_tao(answers: &[&Recommendation], width: u16) -> String {
    let mut table = Table::new(&["Netuid", "Left p50", "p90", "Earned", "From p50", "p75", "p90", "TAO", "Lives", ""], width);
    for answer in answers {
        let left = |percentile| answer.at(percentile).map_or_else(|| "-".to_owned(), |outcome| brief(outcome.after_registration_tao));
        let pays = |percentile| from(answer.at(percentile).and_then(|outcome| outcome.all_paid_from_tao_usd));
        let [registration, lives, against] = ending(answer);
        table.row([
            answer.netuid.to_string(),
            left(50),
            left(90),
            until(answer.at(50).and_then(|outcome| outcome.registration_days), 1),
            pays(50),
            pays(75),
            pays(90),
            registration,
            lives,
            against,
        ]);
    }
    table.render()
}

fn explain(answer: &Recommendation, width: u16) -> String {
    let mut text = wrapped(&format!("Subnet {}: {}", answer.netuid, verdict(answer)), width, 2);
    text.push_str("\n\n");
    let mut table = Table::new(&["Term", "Value", "Unit", "How"], width);
    for term in &answer.terms {
        table.row([term.name.to_owned(), shown(term.value, 4), term.unit.to_owned(), term.how.clone()]);
    }
    text.push_str(&table.render());
    if answer.outcomes.is_empty() {
        return text;
    }
    let mut table = Table::new(&["Percentile", "Alpha/d", "TAO/d", "Slippage", "Income TAO", "Left TAO", "Earned", "Chance"], width);
    for one in &answer.outcomes {
        table.row([
            one.percentile.to_string(),
            format!("{:.3}", one.alpha_per_day),
            format!("{:.4}", one.tao_per_day),
            format!("{:.2} %", one.slippage_percent),
            format!("{:.4}", one.income_tao),
            format!("{:.4}", one.after_registration_tao),
            until(one.registration_days, 2),
            shown(one.registration_chance, 3),
        ]);
    }
    let _ = write!(text, "\n{}", table.render());
    let titles = ["Percentile", "GPUs from", "All from", "Net USD/d", "Profit USD", "Break even", "Chance"];
    let priced = answer.outcomes.iter().any(|one| one.profit_usd.is_some());
    let mut table = Table::new(if priced { &titles } else { &titles[..3] }, width);
    for one in &answer.outcomes {
        let [percentile, gpus, all] = [one.percentile.to_string(), from(one.gpus_paid_from_tao_usd), from(one.all_paid_from_tao_usd)];
        if priced {
            let (net, profit) = (shown(one.net_usd_per_day, 2), shown(one.profit_usd, 2));
            table.row([percentile, gpus, all, net, profit, until(one.break_even_days, 2), shown(one.break_even_chance, 3)]);
        } else {
            table.row([percentile, gpus, all]);
        }
    }
    let _ = write!(text, "\n{}", table.render());
    text.push_str(
        "\nTAO/d = TAO in the pool x alpha / (alpha in the pool + alpha)\nIncome = TAO/d x days a place lives; Left = Income - registration\n\
         Earned = registration / TAO/d, GPUs not paid; Chance: to live so long\nGPUs from = GPUs / TAO/d: US dollars for a TAO from which these are paid\n\
         All from = GPUs x days a place lives / Left: from which the registration is, too\n",
    );
    if priced {
        text.push_str(
            "Net USD/d = TAO/d x TAO price - GPUs\nProfit = Net USD/d x days a place lives - registration\n\
             Break even = registration / Net USD/d\n",
        );
    }
    text
}

fn sheet(answers: &[Recommendation]) -> Sheet {
    let mut sheet = Sheet::new(&[
        ("netuid", Column::Integer),
        ("verdict", Column::Text),
        ("percentile", Column::Integer),
        ("alpha_per_day", Column::Number),
        ("tao_per_day", Column::Number),
        ("slippage_percent", Column::Number),
        ("net_usd_per_day", Column::Number),
        ("profit_usd", Column::Number),
        ("break_even_days", Column::Number),
        ("break_even_chance", Column::Number),
        // New columns come last, for whoever counts them.
        ("income_tao", Column::Number),
        ("after_registration_tao", Column::Number),
        ("registration_days", Column::Number),
        ("registration_chance", Column::Number),
        ("gpus_paid_from_tao_usd", Column::Number),
        ("all_paid_from_tao_usd", Column::Number),
        ("registration_tao", Column::Number),
        ("days_a_place_lives", Column::Number),
    ]);
    for answer in answers {
        let rows = if answer.outcomes.is_empty() { vec![None] } else { answer.outcomes.iter().map(Some).collect() };
        for outcome in rows {
            sheet.row([
                answer.netuid.into(),
                verdict(answer).as_str().into(),
                outcome.map(|one| u16::from(one.percentile)).into(),
                outcome.map(|one| one.alpha_per_day).into(),
                outcome.map(|one| one.tao_per_day).into(),
                outcome.map(|one| one.slippage_percent).into(),
                outcome.and_then(|one| one.net_usd_per_day).into(),
                outcome.and_then(|one| one.profit_usd).into(),
                outcome.and_then(|one| one.break_even_days).into(),
                outcome.and_then(|one| one.break_even_chance).into(),
                outcome.map(|one| one.income_tao).into(),
                outcome.map(|one| one.after_registration_tao).into(),
                outcome.and_then(|one| one.registration_days).into(),
                outcome.and_then(|one| one.registration_chance).into(),
                outcome.and_then(|one| one.gpus_paid_from_tao_usd).into(),
                outcome.and_then(|one| one.all_paid_from_tao_usd).into(),
                value(answer, "registration", "TAO").into(),
                value(answer, "days a place lives", "days").into(),
            ]);
        }
    }
    sheet
}
