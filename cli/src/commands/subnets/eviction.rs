//! `subnets eviction`: how close UIDs are to being pruned, by the last snapshot or what was followed.

use super::{Folder, Out, document, followed::Followed, note_ignored, sentence, shown, state};
use crate::{
    failure::{Failure, Kind},
    output::{
        Table,
        sheet::{Kind as Column, Sheet},
    },
};
use chain::tracker::{
    analysis::Counting,
    days,
    eviction::{self, Distance},
    snapshot::Key,
};
use clap::Args as ClapArgs;
use serde_json::json;
use std::fmt::Write as _;

/// How close UIDs are to being pruned.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    after_help = "Examples:\n  chutes-miner subnets eviction --dir snapshots --netuid 64\n  \
        chutes-miner subnets eviction --dir snapshots --netuid 64 --uid 12\n\n\
        NEXT is the registration from now that would take the place, if emissions stayed\n\
        as they are; WHEN is how soon it would come at the rate of the week before, as\n\
        far as that was seen: the closer the snapshots lie, the better."
)]
pub(super) struct Eviction {
    #[command(flatten)]
    folder: Folder,
    /// Read what `subnets follow` keeps, and no snapshots
    #[arg(long, value_name = "URL", conflicts_with_all = ["dir", "endpoint"])]
    database_url: Option<String>,
    /// The subnet
    #[arg(long, value_name = "N")]
    netuid: u16,
    /// Only this UID
    #[arg(long, value_name = "N", conflicts_with = "hotkey")]
    uid: Option<u16>,
    /// Only the UID of this hotkey
    #[arg(long, value_name = "SS58")]
    hotkey: Option<String>,
    /// Rows of the table, the closest first; 0 for all
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,
    #[command(flatten)]
    out: Out,
}

pub(super) async fn run(args: Eviction) -> Result<(), Failure> {
    let netuid = args.netuid;
    let analyzer = match &args.database_url {
        None => args.folder.watch(Counting::Observed, &[args.netuid]).await?,
        Some(url) => Followed::open(url, &args.folder.network).await?.watched(netuid).await?,
    };
    note_ignored(&analyzer);
    let state = state(&analyzer, netuid)?;
    let (neurons, rules) = eviction::from_snapshot(state).map_err(|missing| {
        let (of, advice) = match &args.database_url {
            None => ("the snapshot does", "a snapshot of ours has it; the existing tracker's have UIDs and hotkeys only"),
            Some(_) => ("the database does", "subnets follow keeps it, an hour or so after it goes on"),
        };
        Failure::new(Kind::NotFound, format!("not enough data: {of} not have {missing}")).advise(advice)
    })?;
    let uid = match &args.hotkey {
        None => args.uid,
        Some(hotkey) => {
            let key: Key = hotkey.parse().map_err(|why| Failure::new(Kind::Usage, format!("--hotkey is {why}")))?;
            let missing = || Failure::new(Kind::NotFound, format!("{key} has no UID on subnet {netuid}"));
            Some(*state.uid_hotkey_map.iter().find(|(_, one)| **one == key).ok_or_else(missing)?.0)
        }
    };
    let rate = analyzer.registrations_per_day(netuid).unwrap_or(0.0);
    let mut distances = eviction::distances(&neurons, &rules);
    distances.sort_by_key(|one| (one.registrations.unwrap_or(u32::MAX), one.registrations_unprotected.unwrap_or(u32::MAX), one.uid));
    if let Some(uid) = uid {
        distances.retain(|one| one.uid == uid);
        if distances.is_empty() {
            return Err(Failure::new(Kind::NotFound, format!("subnet {netuid} has no UID {uid}")));
        }
    }
    let when = |one: &Distance| one.registrations.and_then(|count| eviction::days_until(count, rate));
    args.out.give(
        |width| {
            let mut table = Table::new(&["UID", "Next", "When (days)", "Immune (days)", "After it", "Weaker", "Kept"], width);
            let limit = if args.limit == 0 { usize::MAX } else { args.limit };
            for one in distances.iter().take(limit) {
                table.row([
                    one.uid.to_string(),
                    one.registrations.map_or_else(|| "never".to_owned(), |count| count.to_string()),
                    when(one).map_or_else(|| "-".to_owned(), |[early, middle, late]| format!("{middle:.1} ({early:.1}-{late:.1})")),
                    shown((one.immune_for_blocks > 0).then(|| days(one.immune_for_blocks)), 2),
                    one.registrations_unprotected.filter(|_| one.immune_for_blocks > 0).map_or_else(|| "-".to_owned(), |n| n.to_string()),
                    one.weaker_non_immune.to_string(),
                    if one.protected { "owner" } else { "" }.to_owned(),
                ]);
            }
            let mut text = table.render();
            let free = distances.first().map_or(0, |one| one.free_uids);
            let (block, uids, max) = (rules.block, neurons.len(), rules.max_uids);
            let words =
                format!("Subnet {netuid} at block {block}: {uids} of {max} UIDs, {free} free; {rate:.1} registrations a day, as far as they were seen.");
            let _ = write!(text, "\n{}", sentence(&words, width));
            text
        },
        || {
            let rows = distances.iter().map(|one| {
                let mut row = document(one);
                row["days_5_50_95"] = json!(when(one));
                row
            });
            json!({ "netuid": netuid, "block": rules.block, "registrations_per_day": rate, "uids": rows.collect::<Vec<_>>() })
        },
        || {
            let mut sheet = Sheet::new(&[
                ("netuid", Column::Integer),
                ("uid", Column::Integer),
                ("registrations", Column::Integer),
                ("registrations_unprotected", Column::Integer),
                ("median_days", Column::Number),
                ("immune_for_blocks", Column::Integer),
                ("weaker_non_immune", Column::Integer),
                ("protected", Column::Flag),
            ]);
            for one in &distances {
                let median = when(one).map(|[_, middle, _]| middle);
                sheet.row([
                    netuid.into(),
                    one.uid.into(),
                    one.registrations.into(),
                    one.registrations_unprotected.into(),
                    median.into(),
                    one.immune_for_blocks.into(),
                    one.weaker_non_immune.into(),
                    one.protected.into(),
                ]);
            }
            sheet
        },
    )
}
