//! `subnets recommend`: where a place would pay.

use super::{Folder, Out, document, note_ignored, sentence, shown};
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
    recommend::{self, Known, Outcome, Question, Recommendation, Verdict, parse_tao},
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
    after_help = "Examples:\n  chutes-miner subnets recommend --dir snapshots --gpu 8xh200 --budget 2TAO \\\n    --days 30 --tao-usd 400\n  \
        chutes-miner subnets recommend --gpu 8xh200 --tao-usd 400 --explain 64\n\n\
        Income is what a subnet's miners earn per UID, whichever hardware they have. A\nsubnet with a small sample is answered with 'not enough data'."
)]
pub(super) struct Recommend {
    #[command(flatten)]
    folder: Folder,
    /// GPUs that would work, such as 8xh200
    #[arg(long, value_name = "NxREF")]
    gpu: String,
    /// US dollars per GPU and hour, if not the network's rate
    #[arg(long, env = "GPU_USD", value_name = "USD")]
    gpu_usd: Option<f64>,
    /// US dollars for a TAO
    #[arg(long, env = "TAO_USD", value_name = "USD")]
    tao_usd: f64,
    /// The most that the registration may cost
    #[arg(long, value_name = "TAO", default_value = "1TAO")]
    budget: String,
    /// Days to look ahead
    #[arg(long, default_value_t = 30.0, value_name = "DAYS")]
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
    let analyzer = args.folder.watch(Counting::Observed).await?;
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
    let rank = |one: &Recommendation| (one.verdict != Verdict::Estimate, -one.median_profit_usd().unwrap_or(f64::MIN));
    answers.sort_by(|a, b| {
        let (a_rank, b_rank) = (rank(a), rank(b));
        a_rank.0.cmp(&b_rank.0).then(a_rank.1.total_cmp(&b_rank.1)).then(a.netuid.cmp(&b.netuid))
    });
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
    for (name, value) in [("--gpu-usd", gpu_usd_per_hour), ("--tao-usd", args.tao_usd), ("--days", args.days)] {
        if !(0.0..=1e9).contains(&value) {
            return Err(usage(format!("{name} {value} is no amount")));
        }
    }
    Ok(Question { gpus, gpu_usd_per_hour, gpu_price_from, tao_usd: args.tao_usd, budget_tao, days: args.days })
}

fn at(answer: &Recommendation, percentile: u8) -> Option<&Outcome> {
    answer.outcomes.iter().find(|outcome| outcome.percentile == percentile)
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

fn render(answers: &[Recommendation], args: &Recommend, width: u16) -> String {
    let mut table = Table::new(&["Netuid", "Profit p50", "p75", "p90", "Net/d p50", "Break even", "TAO", "Lives", ""], width);
    let known: Vec<_> = answers.iter().filter(|answer| !answer.outcomes.is_empty()).collect();
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    for answer in known.iter().take(limit) {
        let profit = |percentile| shown(at(answer, percentile).map(|outcome| outcome.profit_usd), 0);
        let middle = at(answer, 50);
        table.row([
            answer.netuid.to_string(),
            profit(50),
            profit(75),
            profit(90),
            shown(middle.map(|outcome| outcome.net_usd_per_day), 0),
            middle.and_then(|outcome| outcome.break_even_days).map_or_else(|| "never".to_owned(), |days| format!("{days:.1} d")),
            shown(value(answer, "registration", "TAO"), 4),
            value(answer, "days a place lives", "days").map_or_else(|| "-".to_owned(), |days| format!("{days:.1} d")),
            if answer.verdict == Verdict::Estimate { String::new() } else { verdict(answer) },
        ]);
    }
    let mut text = if known.is_empty() { String::new() } else { table.render() };
    let few = answers.len() - known.len();
    if few > 0 {
        let _ = writeln!(text, "{few} of {} subnets: not enough data; --explain N says what is missing.", answers.len());
    }
    if !known.is_empty() {
        let words = format!("US dollars in {} days, by percentile of the miners' income; --explain N opens every term.", args.days);
        text.push_str(&sentence(&words, width));
    }
    text
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
    let mut table = Table::new(&["Percentile", "Alpha/d", "TAO/d", "Slippage", "Net USD/d", "Profit USD", "Break even", "Chance"], width);
    for one in &answer.outcomes {
        table.row([
            one.percentile.to_string(),
            format!("{:.3}", one.alpha_per_day),
            format!("{:.4}", one.tao_per_day),
            format!("{:.2} %", one.slippage_percent),
            format!("{:.2}", one.net_usd_per_day),
            format!("{:.2}", one.profit_usd),
            one.break_even_days.map_or_else(|| "never".to_owned(), |days| format!("{days:.2} d")),
            shown(one.break_even_chance, 3),
        ]);
    }
    let _ = write!(text, "\n{}", table.render());
    text.push_str(
        "\nTAO/d = TAO in the pool x alpha / (alpha in the pool + alpha)\nNet USD/d = TAO/d x TAO price - GPUs\n\
         Profit = Net USD/d x days a place lives - registration\nBreak even = registration / Net USD/d; Chance: to live so long\n",
    );
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
                outcome.map(|one| one.net_usd_per_day).into(),
                outcome.map(|one| one.profit_usd).into(),
                outcome.and_then(|one| one.break_even_days).into(),
                outcome.and_then(|one| one.break_even_chance).into(),
            ]);
        }
    }
    sheet
}
