//! `subnets survival`: how long UIDs live.

use super::{Folder, Out, document, note_ignored, shown, state};
use crate::{
    failure::Failure,
    output::{
        Table, note, plot,
        sheet::{Kind as Column, Sheet},
    },
};
use chain::tracker::{
    BLOCKS_PER_DAY,
    analysis::{Analyzer, Counting},
    days,
    survival::{Curve, Hazard, MIN_AT_RISK, MIN_ENDED, hazard, kaplan_meier},
    tenure::Origin,
};
use clap::{Args as ClapArgs, ValueEnum};
use serde_json::json;
use std::{fmt::Write as _, path::PathBuf};

/// How long UIDs live.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    after_help = "Examples:\n  chutes-miner subnets survival --dir snapshots\n  \
        chutes-miner subnets survival --dir snapshots --netuid 64 --plot survival.html\n\n\
        Age needs registration blocks in the snapshots, or many snapshots. Files of the\n\
        existing tracker tell at least how long those who are there stay (first-seen)."
)]
pub(super) struct Survival {
    #[command(flatten)]
    folder: Folder,
    /// One subnet, with its curve
    #[arg(long, value_name = "N")]
    netuid: Option<u16>,
    /// What a life is counted from
    #[arg(long, value_enum, default_value_t = From::Registration, value_name = "WHEN")]
    from: From,
    /// Days of age that one row of the hazard covers
    #[arg(long, default_value_t = 1.0, value_name = "DAYS")]
    bin_days: f64,
    /// Draw the curve of a subnet into a file (.svg or .html)
    #[arg(long, value_name = "FILE", requires = "netuid")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    out: Out,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum From {
    Registration,
    FirstSeen,
}

pub(super) async fn run(args: Survival) -> Result<(), Failure> {
    let bin = (args.bin_days * BLOCKS_PER_DAY as f64).round();
    if bin.is_nan() || bin < 1.0 {
        return Err(Failure::new(crate::failure::Kind::Usage, "--bin-days must be more than zero"));
    }
    let origin = match args.from {
        From::Registration => Origin::Registration,
        From::FirstSeen => Origin::FirstSeen,
    };
    let analyzer = args.folder.watch(Counting::Observed).await?;
    note_ignored(&analyzer);
    match args.netuid {
        None => all(&args, &analyzer, origin),
        Some(netuid) => one(&args, &analyzer, origin, netuid, bin as u64),
    }
}

fn all(args: &Survival, analyzer: &Analyzer, origin: Origin) -> Result<(), Failure> {
    let mut curves: Vec<(u16, Curve)> =
        analyzer.states().keys().map(|netuid| (*netuid, kaplan_meier(&analyzer.tenures().lives(*netuid, origin)))).collect();
    // The shortest lives first; those of which too little is known at the end.
    let key = |curve: &Curve| if curve.enough() { curve.median_blocks().unwrap_or(u64::MAX - 1) } else { u64::MAX };
    curves.sort_by_key(|(netuid, curve)| (key(curve), *netuid));
    args.out.give(
        |width| {
            let mut table = Table::new(&["Netuid", "Tenures", "Ended", "Median", "1 day", "7 days", "30 days"], width);
            for (netuid, curve) in curves.iter().filter(|(_, curve)| curve.enough()) {
                table.row([
                    netuid.to_string(),
                    curve.lives.to_string(),
                    curve.ended.to_string(),
                    median(curve),
                    percent(curve, 1),
                    percent(curve, 7),
                    percent(curve, 30),
                ]);
            }
            let few = curves.iter().filter(|(_, curve)| !curve.enough()).count();
            let mut text = table.render();
            if few > 0 {
                let _ =
                    writeln!(text, "\n{few} subnets: not enough data (fewer than {MIN_ENDED} tenures ended, or {MIN_AT_RISK} watched).");
            }
            text.push_str(words(origin));
            text
        },
        || {
            let rows = curves.iter().map(|(netuid, curve)| {
                let enough = curve.enough();
                let at = |days: u64| curve.survival(days * BLOCKS_PER_DAY).filter(|_| enough);
                json!({
                    "netuid": netuid, "tenures": curve.lives, "ended": curve.ended, "enough_data": enough,
                    "median_days": curve.median_blocks().filter(|_| enough).map(days),
                    "survival_1d": at(1), "survival_7d": at(7), "survival_30d": at(30),
                })
            });
            json!({ "from": document(&origin), "subnets": rows.collect::<Vec<_>>() })
        },
        || {
            let mut sheet = Sheet::new(&[
                ("netuid", Column::Integer),
                ("tenures", Column::Integer),
                ("ended", Column::Integer),
                ("median_days", Column::Number),
                ("survival_1d", Column::Number),
                ("survival_7d", Column::Number),
                ("survival_30d", Column::Number),
            ]);
            for (netuid, curve) in &curves {
                let at = |days: u64| curve.survival(days * BLOCKS_PER_DAY).filter(|_| curve.enough());
                let median = curve.median_blocks().filter(|_| curve.enough()).map(days);
                let (lives, ended) = (curve.lives as u64, curve.ended as u64);
                sheet.row([(*netuid).into(), lives.into(), ended.into(), median.into(), at(1).into(), at(7).into(), at(30).into()]);
            }
            sheet
        },
    )
}

fn one(args: &Survival, analyzer: &Analyzer, origin: Origin, netuid: u16, bin: u64) -> Result<(), Failure> {
    state(analyzer, netuid)?;
    let lives = analyzer.tenures().lives(netuid, origin);
    let (curve, hazards) = (kaplan_meier(&lives), hazard(&lives, bin));
    if let Some(path) = &args.plot {
        if curve.enough() {
            let mut points = vec![[days(curve.from_age_blocks), 1.0, 1.0, 1.0]];
            points.extend(curve.steps.iter().map(|step| [days(step.age_blocks), step.lower, step.survival, step.upper]));
            let title = format!("Survival of UIDs on subnet {netuid}");
            let plotted = plot::Curve { title: &title, x: "days", y: "part that is still there", points: &points, steps: true };
            plot::write(path, &title, &plot::curve(&plotted)?)?;
        } else {
            note("not enough data for a plot");
        }
    }
    args.out.give(
        |width| render(netuid, origin, &curve, &hazards, width),
        || json!({ "netuid": netuid, "from": document(&origin), "enough_data": curve.enough(), "curve": document(&curve), "hazard": document(&hazards) }),
        || {
            let mut sheet = Sheet::new(&[
                ("netuid", Column::Integer),
                ("age_days", Column::Number),
                ("at_risk", Column::Integer),
                ("ended", Column::Integer),
                ("survival", Column::Number),
                ("lower", Column::Number),
                ("upper", Column::Number),
            ]);
            for step in &curve.steps {
                let age = days(step.age_blocks);
                sheet.row([
                    netuid.into(),
                    age.into(),
                    step.at_risk.into(),
                    step.ended.into(),
                    step.survival.into(),
                    step.lower.into(),
                    step.upper.into(),
                ]);
            }
            sheet
        },
    )
}

fn render(netuid: u16, origin: Origin, curve: &Curve, hazards: &[Hazard], width: u16) -> String {
    let mut text = format!("Subnet {netuid}: {} tenures, {} ended.\n", curve.lives, curve.ended);
    if !curve.enough() {
        let _ = writeln!(text, "Not enough data: {MIN_ENDED} tenures that ended are wanted, and {MIN_AT_RISK} watched at the first end.");
        text.push_str(words(origin));
        return text;
    }
    let _ = writeln!(text, "Half live {}.", median(curve));
    let mut table = Table::new(&["Age in days", "Watched", "Ended", "Survival", "95 % band"], width);
    // A curve of hundreds of steps is for plots; twenty rows show its shape.
    let every = curve.steps.len().div_ceil(20).max(1);
    for step in curve.steps.iter().enumerate().filter(|(i, _)| (i + 1) % every == 0 || i + 1 == curve.steps.len()).map(|(_, step)| step) {
        table.row([
            format!("{:.2}", days(step.age_blocks)),
            step.at_risk.to_string(),
            step.ended.to_string(),
            format!("{:.3}", step.survival),
            format!("{:.3} to {:.3}", step.lower, step.upper),
        ]);
    }
    let _ = write!(text, "\n{}", table.render());
    let mut table = Table::new(&["Age in days", "Watched days", "Ended", "Ends a day", "95 % interval"], width);
    for bin in hazards.iter().filter(|bin| bin.watched_days > 0.0).take(30) {
        table.row([
            format!("{:.1} to {:.1}", days(bin.from_blocks), days(bin.to_blocks)),
            format!("{:.1}", bin.watched_days),
            bin.ended.to_string(),
            format!("{:.4}", bin.per_day),
            format!("{:.4} to {:.4}", bin.lower, bin.upper),
        ]);
    }
    let _ = write!(text, "\n{}", table.render());
    text.push_str(words(origin));
    text
}

fn words(origin: Origin) -> &'static str {
    match origin {
        Origin::Registration => "Age since registration; UIDs that were trimmed or still live count as long as they were watched.\n",
        Origin::FirstSeen => "Time since they were first seen, whatever their age then.\n",
    }
}

fn median(curve: &Curve) -> String {
    curve
        .median_blocks()
        .map_or_else(|| format!("longer than {:.1} d", days(curve.to_age_blocks)), |blocks| format!("{:.1} d", days(blocks)))
}

fn percent(curve: &Curve, at: u64) -> String {
    let survival = curve.survival(at * BLOCKS_PER_DAY).map(|part| part * 100.0);
    if survival.is_some() { format!("{} %", shown(survival, 1)) } else { "-".to_owned() }
}
