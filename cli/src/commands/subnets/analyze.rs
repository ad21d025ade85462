//! `subnets analyze`: competition on all subnets over the snapshots of a folder, or over what was followed.

use super::{Folder, Out, as_before, document, followed::Followed, note_ignored, sentence, told_apart};
use crate::{
    failure::{Failure, Kind},
    output::{
        Table, plot, printable,
        sheet::{Kind as Column, Sheet},
    },
};
use chain::tracker::{
    analysis::{Analysis, Counting, SortBy, SubnetCompetition},
    compare::Class,
    snapshot::Subnet,
    tao,
};
use clap::{Args as ClapArgs, ValueEnum};
use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

/// Which subnets are contested most.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    after_help = "Examples:\n  chutes-miner subnets analyze --dir snapshots --sort-by percentage\n  \
        chutes-miner subnets analyze --dir snapshots -o json | jq .total\n\n\
        A period lies between two good states of a subnet. Rates are per day, as periods\ndiffer, and lower bounds, as a UID may change twice within one. Hotkeys known to be\n\
        swapped or moved are in the counts, as in the existing tracker's, but in no rate."
)]
pub(super) struct Analyze {
    #[command(flatten)]
    folder: Folder,
    /// Read what `subnets follow` keeps, and no snapshots
    #[arg(long, value_name = "URL", conflicts_with_all = ["dir", "as_before"])]
    database_url: Option<String>,
    /// What to rank by: a day, or with --as-before a period
    #[arg(long, value_enum, default_value_t = Sort::Replacements)]
    sort_by: Sort,
    /// Rows of the table and the plot; 0 for all
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,
    /// Count and rank as the existing tracker does, empty snapshots included
    #[arg(long)]
    as_before: bool,
    /// Draw the ranking into a file (.svg or .html)
    #[arg(long, value_name = "FILE", value_parser = plot::path)]
    plot: Option<PathBuf>,
    #[command(flatten)]
    out: Out,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sort {
    Replacements,
    Percentage,
    Deregistrations,
    Changes,
}

impl Sort {
    fn key(self) -> (SortBy, &'static str) {
        match self {
            Self::Replacements => (SortBy::Replacements, "replacements a day"),
            Self::Percentage => (SortBy::Percentage, "percent of UIDs replaced a day"),
            Self::Deregistrations => (SortBy::Deregistrations, "deregistrations a day"),
            Self::Changes => (SortBy::Changes, "changes a day"),
        }
    }
}

pub(super) async fn run(args: Analyze) -> Result<(), Failure> {
    let counting = if args.as_before { Counting::AsBefore } else { Counting::Observed };
    let analyzer = match &args.database_url {
        None => args.folder.watch(counting, &[]).await?,
        Some(url) => {
            let followed = Followed::open(url, &args.folder.network).await?;
            followed.note_gaps(None);
            followed.all(&args.folder.network).await?
        }
    };
    note_ignored(&analyzer);
    let mut analysis = analyzer.analysis();
    if analysis.subnets.is_empty() {
        return Err(Failure::new(
            Kind::NotFound,
            match &args.database_url {
                None => format!("{} good snapshot(s) of {} make no period", analysis.snapshots, args.folder.network),
                Some(_) => "what was followed makes no period yet".to_owned(),
            },
        )
        .advise("take another snapshot later, or name the network with --network"));
    }
    let (by, words) = args.sort_by.key();
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    if args.as_before {
        return as_before::give(&analysis, by, limit, args.plot.as_deref(), &args.out);
    }
    analysis.sort(by);
    if let Some(path) = &args.plot {
        let value = |one: &SubnetCompetition| match by {
            SortBy::Replacements => one.replacements_per_day,
            SortBy::Percentage => one.replaced_percent_per_day,
            SortBy::Deregistrations => one.deregistrations_per_day,
            SortBy::Changes => one.changes_per_day,
        };
        let bars: Vec<_> = analysis.subnets.iter().take(limit.min(40)).map(|one| (format!("SN {}", one.netuid), value(one))).collect();
        plot::write(path, "Competition on subnets", &plot::bars("Competition on subnets", words, &bars)?)?;
    }
    args.out.give(|width| render(&analysis, words, limit, width), || document(&analysis), || sheet(&analysis, analyzer.states()))
}

fn render(analysis: &Analysis, words: &str, limit: usize, width: u16) -> String {
    let changed: Vec<_> = analysis.subnets.iter().filter(|one| one.changes > 0).collect();
    let mut table = Table::new(&["Rank", "Netuid", "Repl/d", "Dereg/d", "%/d", "Repl.", "Dereg.", "New", "Lost", "UIDs", "Days"], width);
    for (rank, one) in changed.iter().take(limit).enumerate() {
        table.row([
            (rank + 1).to_string(),
            one.netuid.to_string(),
            format!("{:.1}", one.replacements_per_day),
            format!("{:.1}", one.deregistrations_per_day),
            format!("{:.2}", one.replaced_percent_per_day),
            one.counts.replacements.to_string(),
            one.counts.deregistrations.to_string(),
            one.counts.new_registrations.to_string(),
            one.hotkeys.lost.to_string(),
            one.uids.to_string(),
            format!("{:.2}", one.days),
        ]);
    }
    let mut text = table.render();
    let more = changed.len().saturating_sub(limit);
    if more > 0 {
        let _ = writeln!(text, "... {more} more; --limit 0 shows all");
    }
    let time = |time: &Option<String>| time.as_deref().map_or_else(|| "?".to_owned(), |time| printable(time.get(..16).unwrap_or(time)));
    let of = if analysis.snapshots > 0 { format!("{} snapshots,", analysis.snapshots) } else { "block by block,".to_owned() };
    let words = format!("By {words}; {of} {} to {}.", time(&analysis.first), time(&analysis.last));
    let _ = write!(text, "\n{}", sentence(&words, width));
    let total = &analysis.total;
    let _ = writeln!(
        text,
        "{} subnets, {} changed: {} replacements, {} deregistrations,\n{} new registrations; {} hotkeys left, {} came, {} sit on another UID.",
        analysis.subnets.len(),
        changed.len(),
        total.replacements,
        total.deregistrations,
        total.new_registrations,
        analysis.hotkeys.lost,
        analysis.hotkeys.gained,
        analysis.hotkeys.moved,
    );
    if !analysis.classes.is_empty() {
        text.push_str(&sentence(&format!("Told apart: {}.", told_apart(&analysis.classes)), width));
    }
    text
}

/// In these columns, beside what the existing tracker counts.
const CLASSES: [Class; 9] = [
    Class::Replaced,
    Class::ReRegistered,
    Class::Swapped,
    Class::Moved,
    Class::Trimmed,
    Class::Joined,
    Class::ReplacedOrSwapped,
    Class::MovedOrReRegistered,
    Class::Unexplained,
];

fn sheet(analysis: &Analysis, states: &BTreeMap<u16, Subnet>) -> Sheet {
    let mut sheet = Sheet::new(&[
        ("netuid", Column::Integer),
        ("periods", Column::Integer),
        ("days", Column::Number),
        ("replacements", Column::Integer),
        ("deregistrations", Column::Integer),
        ("new_registrations", Column::Integer),
        ("hotkeys_lost", Column::Integer),
        ("hotkeys_gained", Column::Integer),
        ("hotkeys_moved", Column::Integer),
        ("avg_uids", Column::Number),
        ("replaced_percent", Column::Number),
        ("replacements_per_day", Column::Number),
        ("deregistrations_per_day", Column::Number),
        ("changes_per_day", Column::Number),
        ("replaced_percent_per_day", Column::Number),
        // New columns come last, for whoever counts them.
        ("replaced", Column::Integer),
        ("re_registered", Column::Integer),
        ("swapped", Column::Integer),
        ("moved", Column::Integer),
        ("trimmed", Column::Integer),
        ("joined", Column::Integer),
        ("replaced_or_swapped", Column::Integer),
        ("moved_or_re_registered", Column::Integer),
        ("unexplained", Column::Integer),
        ("burn_cost_tao", Column::Number),
        ("displaced", Column::Integer),
    ]);
    for one in &analysis.subnets {
        let [replaced, again, swapped, moved, trimmed, joined, replaced_or, moved_or, unexplained] =
            CLASSES.map(|class| one.classes.get(&class).copied().unwrap_or(0).into());
        sheet.row([
            one.netuid.into(),
            one.periods.into(),
            one.days.into(),
            one.counts.replacements.into(),
            one.counts.deregistrations.into(),
            one.counts.new_registrations.into(),
            one.hotkeys.lost.into(),
            one.hotkeys.gained.into(),
            one.hotkeys.moved.into(),
            one.avg_uids.into(),
            one.replaced_percent.into(),
            one.replacements_per_day.into(),
            one.deregistrations_per_day.into(),
            one.changes_per_day.into(),
            one.replaced_percent_per_day.into(),
            replaced,
            again,
            swapped,
            moved,
            trimmed,
            joined,
            replaced_or,
            moved_or,
            unexplained,
            states.get(&one.netuid).and_then(|state| state.parameters.burn_rao).map(tao).into(),
            one.displaced.into(),
        ]);
    }
    sheet
}
