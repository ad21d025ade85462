//! `subnets survival`: how long UIDs live.

use super::{Folder, Out, document, followed::Followed, note_ignored, sentence, state};
use crate::{
    failure::{Failure, Kind},
    output::{
        Table, note, plot,
        sheet::{Kind as Column, Sheet},
    },
};
use chain::tracker::{
    BLOCKS_PER_DAY,
    analysis::Counting,
    days,
    survival::{Curve, Hazard, MIN_AT_RISK, MIN_ENDED, hazard, kaplan_meier},
    tenure::{Life, Origin},
};
use clap::{Args as ClapArgs, ValueEnum};
use serde_json::json;
use std::{fmt::Write as _, path::PathBuf};

/// Rows of the table of hazards.
const HAZARD_ROWS: usize = 30;

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
    /// Read what `subnets follow` keeps, and no snapshots
    #[arg(long, value_name = "URL", conflicts_with_all = ["dir", "endpoint"])]
    database_url: Option<String>,
    /// One subnet, with its curve
    #[arg(long, value_name = "N")]
    netuid: Option<u16>,
    /// What a life is counted from
    #[arg(long, value_enum, default_value_t = From::Registration, value_name = "WHEN")]
    from: From,
    /// Days of age that one row of the hazard covers
    #[arg(long, default_value_t = 1.0, value_name = "DAYS", allow_negative_numbers = true)]
    bin_days: f64,
    /// Draw the curve of a subnet into a file (.svg or .html)
    #[arg(long, value_name = "FILE", requires = "netuid", value_parser = plot::path)]
    plot: Option<PathBuf>,
    #[command(flatten)]
    out: Out,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum From {
    Registration,
    FirstSeen,
}

/// What the snapshots, or the tenures that were followed, tell of one subnet.
struct Told {
    netuid: u16,
    origin: Origin,
    curve: Curve,
    /// Ends of which only the latest possible date is known.
    undated: usize,
    /// Empty if most ends are not dated: they would seem to fall late, on the snapshots or shortly before.
    hazards: Vec<Hazard>,
}

impl Told {
    fn new(netuid: u16, origin: Origin, lives: &[Life], undated: usize, bin_blocks: u64) -> Self {
        let curve = kaplan_meier(lives);
        let hazards = if undated * 2 > curve.ended { Vec::new() } else { hazard(lives, bin_blocks) };
        Self { netuid, origin, curve, undated, hazards }
    }

    /// The part of those that reach the curve's first age that lives longer than some days; none if nothing dates an end before.
    fn survival(&self, at_days: u64) -> Option<f64> {
        let at = at_days * BLOCKS_PER_DAY;
        let blurred = self.undated > 0 && self.curve.at(at).is_none();
        self.curve.survival(at).filter(|_| self.curve.enough() && !blurred)
    }

    fn median_days(&self) -> Option<f64> {
        self.curve.median_blocks().filter(|_| self.curve.enough()).map(days)
    }

    /// The age from which the curve tells, in days.
    fn begins_days(&self) -> Option<f64> {
        self.curve.enough().then(|| days(self.curve.from_age_blocks))
    }

    /// The last point of the curve.
    fn end(&self) -> Option<(f64, f64)> {
        let last = self.curve.steps.last().filter(|_| self.curve.enough())?;
        Some((days(self.curve.to_age_blocks), last.survival))
    }

    fn words(&self) -> String {
        let from = match self.origin {
            Origin::Registration => "Age since registration.",
            Origin::FirstSeen => "Time since they were first seen, whatever their age then.",
        };
        let blurred = if self.undated > 0 {
            " Of some ends only the latest possible date is known: the snapshot that first misses the hotkey, or, over more than a day, its \
             last successor's registration. So the curve is right at snapshots and too high between them. Without registration blocks a \
             swapped hotkey counts as an end."
        } else {
            ""
        };
        format!(
            "{from} A curve is of those that reach its first age, and ends where fewer than {MIN_AT_RISK} were watched.{blurred} UIDs that were trimmed or still live count as long as they were watched."
        )
    }
}

pub(super) async fn run(args: Survival) -> Result<(), Failure> {
    let bin = (args.bin_days * BLOCKS_PER_DAY as f64).round();
    if bin.is_nan() || bin < 1.0 {
        return Err(Failure::new(Kind::Usage, "--bin-days must be more than zero"));
    }
    let origin = match args.from {
        From::Registration => Origin::Registration,
        From::FirstSeen => Origin::FirstSeen,
    };
    if let Some(url) = &args.database_url {
        return of_database(&args, &Followed::open(url, &args.folder.network).await?, origin, bin as u64).await;
    }
    let analyzer = args.folder.watch(Counting::Observed, args.netuid.as_slice()).await?;
    note_ignored(&analyzer);
    let told = |netuid: u16| {
        let tenures = analyzer.tenures();
        Told::new(netuid, origin, &tenures.lives(netuid, origin), tenures.undated_ends(netuid, origin), bin as u64)
    };
    if let Some(netuid) = args.netuid {
        state(&analyzer, netuid)?;
        return one(&args, &told(netuid));
    }
    if analyzer.states().is_empty() {
        let what = format!("no snapshot of {} can be used", args.folder.network);
        return Err(Failure::new(Kind::NotFound, what).advise("--network names another network, --dir another folder"));
    }
    all(&args, analyzer.states().keys().map(|netuid| told(*netuid)).collect())
}

async fn of_database(args: &Survival, followed: &Followed, origin: Origin, bin_blocks: u64) -> Result<(), Failure> {
    let told = async |netuid: u16| {
        let tenures = followed.tenures(netuid).await?;
        let miners: Vec<_> = tenures.iter().filter(|tenure| !tenure.validator && !tenure.owner).collect();
        let lives: Vec<Life> = miners.iter().filter_map(|tenure| tenure.life(origin)).collect();
        let undated = miners.iter().filter(|tenure| tenure.undated_end && tenure.life(origin).is_some()).count();
        Ok::<_, Failure>(Told::new(netuid, origin, &lives, undated, bin_blocks))
    };
    followed.note_gaps(args.netuid);
    if let Some(netuid) = args.netuid {
        return one(args, &told(netuid).await?);
    }
    let mut every = Vec::new();
    for netuid in followed.subnets().await? {
        every.push(told(netuid).await?);
    }
    all(args, every)
}

fn all(args: &Survival, mut all: Vec<Told>) -> Result<(), Failure> {
    // The shortest lives first; those of which too little is known at the end.
    let key = |one: &Told| (one.median_days().unwrap_or(f64::MAX), one.end().map_or(f64::MAX, |(_, survival)| survival));
    all.sort_by(|a, b| {
        let (a_key, b_key) = (key(a), key(b));
        a_key.0.total_cmp(&b_key.0).then(a_key.1.total_cmp(&b_key.1)).then(a.netuid.cmp(&b.netuid))
    });
    args.out.give(
        |width| render_all(&all, width),
        || {
            let rows = all.iter().map(|one| {
                json!({
                    "netuid": one.netuid, "from": document(&one.origin), "tenures": one.curve.lives, "ended": one.curve.ended,
                    "undated_ends": one.undated, "enough_data": one.curve.enough(), "from_days": one.begins_days(), "median_days": one.median_days(),
                    "survival_1d": one.survival(1), "survival_7d": one.survival(7), "survival_30d": one.survival(30),
                    "watched_days": one.end().map(|(days, _)| days), "survival_at_end": one.end().map(|(_, survival)| survival),
                })
            });
            json!({ "subnets": rows.collect::<Vec<_>>() })
        },
        || {
            let mut sheet = Sheet::new(&[
                ("netuid", Column::Integer),
                ("tenures", Column::Integer),
                ("ended", Column::Integer),
                ("undated_ends", Column::Integer),
                ("from_days", Column::Number),
                ("median_days", Column::Number),
                ("survival_1d", Column::Number),
                ("survival_7d", Column::Number),
                ("survival_30d", Column::Number),
                ("watched_days", Column::Number),
                ("survival_at_end", Column::Number),
            ]);
            for one in &all {
                sheet.row([
                    one.netuid.into(),
                    (one.curve.lives as u64).into(),
                    (one.curve.ended as u64).into(),
                    (one.undated as u64).into(),
                    one.begins_days().into(),
                    one.median_days().into(),
                    one.survival(1).into(),
                    one.survival(7).into(),
                    one.survival(30).into(),
                    one.end().map(|(days, _)| days).into(),
                    one.end().map(|(_, survival)| survival).into(),
                ]);
            }
            sheet
        },
    )
}

fn render_all(all: &[Told], width: u16) -> String {
    let percent = |part: Option<f64>| part.map_or_else(|| "-".to_owned(), |part| format!("{:.1} %", part * 100.0));
    let known: Vec<&Told> = all.iter().filter(|one| one.curve.enough()).collect();
    let mut text = String::new();
    if !known.is_empty() {
        let mut table = Table::new(&["Netuid", "Tenures", "Ended", "Median", "1 day", "7 days", "30 days", "At the end"], width);
        for one in &known {
            table.row([
                one.netuid.to_string(),
                one.curve.lives.to_string(),
                one.curve.ended.to_string(),
                median(&one.curve, one.undated),
                percent(one.survival(1)),
                percent(one.survival(7)),
                percent(one.survival(30)),
                one.end().map_or_else(|| "-".to_owned(), |(days, part)| format!("{} at {days:.1} d", percent(Some(part)))),
            ]);
        }
        text.push_str(&table.render());
        text.push('\n');
    }
    let few = all.len() - known.len();
    if few > 0 {
        let words =
            format!("{few} subnets: not enough data (fewer than {MIN_ENDED} tenures ended at ages at which {MIN_AT_RISK} were watched).");
        text.push_str(&sentence(&words, width));
    }
    if let Some(from) = known.iter().filter_map(|one| one.begins_days()).max_by(f64::total_cmp).filter(|from| *from > 0.0) {
        text.push_str(&sentence(&format!("Of those that reach {from:.2} days, on some subnets less: -o json says it for each."), width));
    }
    if let Some(one) = known.iter().max_by_key(|one| one.undated).or(all.first().as_ref()) {
        text.push_str(&sentence(&one.words(), width));
    }
    text
}

fn one(args: &Survival, told: &Told) -> Result<(), Failure> {
    let (netuid, curve) = (told.netuid, &told.curve);
    if let Some(path) = &args.plot {
        if curve.enough() {
            let mut points = vec![[days(curve.from_age_blocks), 1.0, 1.0, 1.0]];
            points.extend(curve.steps.iter().map(|step| [days(step.age_blocks), step.lower, step.survival, step.upper]));
            let title = format!("Survival of UIDs on subnet {netuid}");
            let (x, y) = ("days; the band: 95 %", "part that is still there");
            plot::write(path, &title, &plot::curve(&plot::Curve { title: &title, x, y, points: &points, steps: true })?)?;
        } else {
            note("not enough data for a plot");
        }
    }
    args.out.give(
        |width| render(told, width),
        || {
            json!({
                "netuid": netuid, "from": document(&told.origin), "enough_data": curve.enough(), "undated_ends": told.undated,
                "median_days": told.median_days(), "curve": document(curve), "hazard": document(&told.hazards),
            })
        },
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

fn render(told: &Told, width: u16) -> String {
    let curve = &told.curve;
    let mut text = format!("Subnet {}: {} tenures, {} ended.\n", told.netuid, curve.lives, curve.ended);
    if !curve.enough() {
        let words = format!("Not enough data: {MIN_ENDED} tenures that ended are wanted, at ages at which {MIN_AT_RISK} were watched.");
        text.push_str(&sentence(&words, width));
        text.push_str(&sentence(&told.words(), width));
        return text;
    }
    let half = median(curve, told.undated);
    let _ = match told.begins_days().filter(|from| *from > 0.0) {
        Some(from) => writeln!(text, "Of those that reach {from:.2} days, half live {half}."),
        None => writeln!(text, "Half live {half}."),
    };
    let mut table = Table::new(&["Age in days", "Watched", "Ended", "Survival", "95 % band"], width);
    // A curve of hundreds of steps is for plots; twenty rows show its shape.
    let every = curve.steps.len().div_ceil(20).max(1);
    for steps in curve.steps.chunks(every) {
        let Some(step) = steps.last() else { continue };
        table.row([
            format!("{:.2}", days(step.age_blocks)),
            step.at_risk.to_string(),
            steps.iter().map(|step| step.ended).sum::<u64>().to_string(),
            format!("{:.3}", step.survival),
            format!("{:.3} to {:.3}", step.lower, step.upper),
        ]);
    }
    let _ = writeln!(text, "\n{}", table.render());
    if every > 1 {
        let words = format!("Ended: since the row before. {} ages put together, {every} in a row; -o csv has them all.", curve.steps.len());
        let _ = writeln!(text, "{}", sentence(&words, width));
    }
    if !told.hazards.is_empty() {
        let mut table = Table::new(&["Age in days", "Watched days", "Ended", "Ends a day", "95 % interval"], width);
        let watched: Vec<_> = told.hazards.iter().filter(|bin| bin.watched_days > 0.0).collect();
        for bin in watched.iter().take(HAZARD_ROWS) {
            table.row([
                format!("{:.1} to {:.1}", days(bin.from_blocks), days(bin.to_blocks)),
                format!("{:.1}", bin.watched_days),
                bin.ended.to_string(),
                format!("{:.4}", bin.per_day),
                format!("{:.4} to {:.4}", bin.lower, bin.upper),
            ]);
        }
        let _ = writeln!(text, "{}", table.render());
        if let Some(last) = watched.last().filter(|_| watched.len() > HAZARD_ROWS) {
            let (more, to) = (watched.len() - HAZARD_ROWS, days(last.to_blocks));
            let words = format!("{more} more ages up to {to:.1} days; -o json has them, and a larger --bin-days puts them together.");
            text.push_str(&sentence(&words, width));
        }
    }
    text.push_str(&sentence(&told.words(), width));
    text
}

fn median(curve: &Curve, undated: usize) -> String {
    let most = if undated > 0 { "at most " } else { "" };
    curve
        .median_blocks()
        .map_or_else(|| format!("over {:.1} d", days(curve.to_age_blocks)), |blocks| format!("{most}{:.1} d", days(blocks)))
}
