//! `subnets analyze --as-before`: the ranking of the existing tracker, for comparing with numbers that were published.

use super::{Out, document, sentence};
use crate::{
    failure::Failure,
    output::{
        Table, plot,
        sheet::{Kind as Column, Sheet},
    },
};
use chain::tracker::analysis::{Analysis, Published, SortBy};
use serde_json::json;
use std::{fmt::Write as _, path::Path};

/// What a period is.
const WORDS: &str = "Counted as the existing tracker does: a period lies between two snapshots in which a subnet differs, failed and empty ones \
                     included. Periods differ in length, so these numbers are no rates.";

pub(super) fn give(analysis: &Analysis, by: SortBy, limit: usize, plot: Option<&Path>, out: &Out) -> Result<(), Failure> {
    let rows = analysis.as_before(by);
    let words = match by {
        SortBy::Replacements => "replacements a period",
        SortBy::Percentage => "percent of UIDs replaced a period",
        SortBy::Deregistrations => "deregistrations a period",
        SortBy::Changes => "changes a period",
    };
    if let Some(path) = plot {
        let title = "Competition on subnets, as before";
        let bars: Vec<_> = rows.iter().take(limit.min(40)).map(|one| (format!("SN {}", one.netuid), one.key(by))).collect();
        plot::write(path, title, &plot::bars(title, words, &bars)?)?;
    }
    out.give(
        |width| render(analysis, &rows, words, limit, width),
        || {
            json!({
                "network": analysis.network, "snapshots": analysis.snapshots, "first": analysis.first, "last": analysis.last,
                "total": document(&analysis.total), "subnets": document(&rows), "ignored": document(&analysis.ignored),
            })
        },
        || sheet(&rows),
    )
}

fn render(analysis: &Analysis, rows: &[Published], words: &str, limit: usize, width: u16) -> String {
    let titles = ["Rank", "Netuid", "Repl.", "Dereg.", "% Repl.", "Total Repl.", "Total Dereg.", "Avg UIDs", "Periods"];
    let mut table = Table::new(&titles, width);
    for (rank, one) in rows.iter().take(limit).enumerate() {
        table.row([
            (rank + 1).to_string(),
            one.netuid.to_string(),
            format!("{:.1}", one.replacements_per_period),
            format!("{:.1}", one.deregistrations_per_period),
            format!("{:.2}", one.replaced_percent),
            one.counts.replacements.to_string(),
            one.counts.deregistrations.to_string(),
            format!("{:.1}", one.avg_uids),
            one.periods.to_string(),
        ]);
    }
    let mut text = table.render();
    let more = rows.len().saturating_sub(limit);
    if more > 0 {
        let _ = writeln!(text, "... {more} more; --limit 0 shows all");
    }
    let total = &analysis.total;
    let sums = format!(
        "By {words}; {} snapshots. {} subnets changed: {} replacements, {} deregistrations, {} new registrations.",
        analysis.snapshots,
        rows.len(),
        total.replacements,
        total.deregistrations,
        total.new_registrations,
    );
    let _ = write!(text, "\n{}{}", sentence(&sums, width), sentence(WORDS, width));
    text
}

fn sheet(rows: &[Published]) -> Sheet {
    let mut sheet = Sheet::new(&[
        ("netuid", Column::Integer),
        ("replacements_per_period", Column::Number),
        ("deregistrations_per_period", Column::Number),
        ("changes_per_period", Column::Number),
        ("replaced_percent", Column::Number),
        ("replacements", Column::Integer),
        ("deregistrations", Column::Integer),
        ("new_registrations", Column::Integer),
        ("avg_uids", Column::Number),
        ("periods", Column::Integer),
    ]);
    for one in rows {
        sheet.row([
            one.netuid.into(),
            one.replacements_per_period.into(),
            one.deregistrations_per_period.into(),
            one.changes_per_period.into(),
            one.replaced_percent.into(),
            one.counts.replacements.into(),
            one.counts.deregistrations.into(),
            one.counts.new_registrations.into(),
            one.avg_uids.into(),
            one.periods.into(),
        ]);
    }
    sheet
}
