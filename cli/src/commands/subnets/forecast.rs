//! `subnets forecast`: what a registration will cost.

use super::{Folder, Out, check_days, document, followed::Followed, note_ignored, sentence, state};
use crate::{
    failure::{Failure, Kind},
    output::{
        Table, plot,
        sheet::{Kind as Column, Sheet},
    },
};
use chain::tracker::{
    BLOCKS_PER_DAY,
    analysis::Counting,
    days,
    forecast::{self, Point},
    price::{Rule, RuleError},
    recommend::parse_tao,
    tao,
};
use clap::Args as ClapArgs;
use serde_json::json;
use std::{fmt::Write as _, path::PathBuf};

/// What a registration will cost.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    after_help = "Examples:\n  chutes-miner subnets forecast --dir snapshots --netuid 64 --days 2\n  \
        chutes-miner subnets forecast --price 0.5TAO --registrations-per-day 20 --days 2\n\n\
        Without a snapshot the runtime's default rule is taken: the price halves in 360\n\
        blocks, rises by 26 % with each registration, and stays from 0.0005 to 100 TAO."
)]
pub(super) struct Forecast {
    #[command(flatten)]
    folder: Folder,
    /// Read what `subnets follow` keeps, and no snapshots
    #[arg(long, value_name = "URL", requires = "netuid", conflicts_with_all = ["dir", "endpoint"])]
    database_url: Option<String>,
    /// The subnet whose price and rule the last snapshot tells
    #[arg(long, value_name = "N")]
    netuid: Option<u16>,
    /// The price now, instead of a snapshot's
    #[arg(long, value_name = "TAO", allow_hyphen_values = true)]
    price: Option<String>,
    /// How many register, instead of those seen in the week before
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    registrations_per_day: Option<f64>,
    /// Days to look ahead
    #[arg(long, default_value_t = 1.0, value_name = "DAYS", allow_negative_numbers = true)]
    days: f64,
    /// What you would pay: says when it would cost that
    #[arg(long, value_name = "TAO", allow_hyphen_values = true)]
    below: Option<String>,
    /// Rows of the forecast
    #[arg(long, default_value_t = 12, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    points: u32,
    /// Draw it into a file (.svg or .html)
    #[arg(long, value_name = "FILE", value_parser = plot::path)]
    plot: Option<PathBuf>,
    #[command(flatten)]
    out: Out,
}

struct Start {
    rule: Rule,
    price: u64,
    rate: f64,
}

pub(super) async fn run(args: Forecast) -> Result<(), Failure> {
    let usage = |what: String| Failure::new(Kind::Usage, what);
    check_days(args.days)?;
    if let Some(rate) = args.registrations_per_day.filter(|rate| !(0.0..=1e6).contains(rate)) {
        return Err(usage(format!("the rate of registrations cannot be {rate}")));
    }
    let Start { rule, price, rate } = start(&args).await?;
    let blocks = (args.days * BLOCKS_PER_DAY as f64).round() as u64;
    let points = forecast::forecast(&rule, price, rate, blocks, args.points).map_err(|error| usage(error.to_string()))?;
    let below = args.below.as_deref().map(parse_tao).transpose().map_err(usage)?;
    let wait = below.map(|wanted| rule.blocks_until(price, wanted));
    if let Some(path) = &args.plot {
        let title = "Price of a registration";
        let band: Vec<_> = points.iter().map(|p| [days(p.blocks), tao(p.low_rao), tao(p.median_rao), tao(p.high_rao)]).collect();
        plot::write(
            path,
            title,
            &plot::curve(&plot::Curve { title, x: "days from now; the band: 10 to 90 %", y: "TAO", points: &band, steps: false })?,
        )?;
    }
    args.out.give(
        |width| render(&points, rate, wait, width),
        || json!({ "rule": rule_json(&rule), "registrations_per_day": rate, "blocks_until_below": wait.flatten(), "points": document(&points) }),
        || sheet(&points),
    )
}

/// As numbers that every reader of JSON takes.
fn rule_json(rule: &Rule) -> serde_json::Value {
    let multiplier = rule.multiplier_q64 as f64 / 2_f64.powi(64);
    json!({ "min_rao": rule.min_rao, "max_rao": rule.max_rao, "half_life": rule.half_life, "multiplier": multiplier })
}

async fn start(args: &Forecast) -> Result<Start, Failure> {
    let price = args.price.as_deref().map(parse_tao).transpose().map_err(|what| Failure::new(Kind::Usage, what))?;
    let Some(netuid) = args.netuid else {
        if !args.folder.endpoint.is_empty() {
            return Err(Failure::new(Kind::Usage, "--endpoint tells the price and the rule of a subnet: --netuid N"));
        }
        // Nobody at all would be a forecast, too, and none that should be taken for one.
        let (Some(price), Some(rate)) = (price, args.registrations_per_day) else {
            let what = "--netuid N, or --price TAO and --registrations-per-day N, say what to forecast";
            return Err(Failure::new(Kind::Usage, what));
        };
        return Ok(Start { rule: Rule::DEFAULT, price, rate });
    };
    let analyzer = match &args.database_url {
        None => args.folder.watch(Counting::Observed, &[netuid]).await?,
        Some(url) => Followed::open(url, &args.folder.network).await?.watched(netuid).await?,
    };
    note_ignored(&analyzer);
    let state = state(&analyzer, netuid)?;
    let missing = |what: String| {
        let which = match &args.database_url {
            None => "a snapshot of ours has it",
            Some(_) => "subnets follow keeps it, an hour or so after it goes on, where the runtime has it",
        };
        Failure::new(Kind::NotFound, format!("not enough data: {what}"))
            .advise(format!("{which}; --price and --registrations-per-day without --netuid take the default rule"))
    };
    let rule = Rule::of(&state.parameters).map_err(|error: RuleError| missing(error.to_string()))?;
    let price = price.or(state.parameters.burn_rao).ok_or_else(|| missing("the price is missing".to_owned()))?;
    let rate = args.registrations_per_day.or_else(|| analyzer.registrations_per_day(netuid));
    Ok(Start { rule, price, rate: rate.ok_or_else(|| missing("registration blocks are missing".to_owned()))? })
}

fn render(points: &[Point], rate: f64, wait: Option<Option<u64>>, width: u16) -> String {
    let mut table = Table::new(&["Hours", "10 %", "50 %", "90 %", "Nobody comes"], width);
    for point in points {
        table.row([
            format!("{:.1}", days(point.blocks) * 24.0),
            format!("{:.6}", tao(point.low_rao)),
            format!("{:.6}", tao(point.median_rao)),
            format!("{:.6}", tao(point.high_rao)),
            format!("{:.6}", tao(point.quiet_rao)),
        ]);
    }
    let mut text = table.render();
    let words = format!("TAO that a registration will cost at most, with a chance of 10, 50 and 90 %, if {rate:.1} people a day register.");
    let _ = write!(text, "\n{}", sentence(&words, width));
    match wait {
        Some(Some(blocks)) => {
            let _ = writeln!(text, "It costs what you would pay in {:.1} hours, if nobody comes before.", days(blocks) * 24.0);
        }
        Some(None) => text.push_str("It never costs so little.\n"),
        None => {}
    }
    text
}

fn sheet(points: &[Point]) -> Sheet {
    let mut sheet = Sheet::new(&[
        ("blocks", Column::Integer),
        ("quiet_rao", Column::Integer),
        ("low_rao", Column::Integer),
        ("median_rao", Column::Integer),
        ("high_rao", Column::Integer),
    ]);
    for point in points {
        sheet.row([point.blocks.into(), point.quiet_rao.into(), point.low_rao.into(), point.median_rao.into(), point.high_rao.into()]);
    }
    sheet
}
