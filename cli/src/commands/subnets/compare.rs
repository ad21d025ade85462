//! `subnets compare`: what changed between two snapshot files, or two blocks that were followed.

use super::{
    Out, document,
    followed::{Followed, Moment},
    sentence, told_apart,
};
use crate::{
    failure::{Failure, Kind},
    output::{
        Table, note, printable,
        sheet::{Kind as Column, Sheet},
    },
};
use chain::tracker::{
    compare::{self, Comparison, SubnetChange},
    snapshot::{Key, Snapshot, SnapshotError},
};
use clap::Args as ClapArgs;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// What changed between two snapshots.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    override_usage = "chutes-miner subnets compare --snapshot1 FILE --snapshot2 FILE [OPTIONS]\n       \
        chutes-miner subnets compare --database-url URL [--from WHEN] [--to WHEN]",
    after_help = "Examples:\n  chutes-miner subnets compare --snapshot1 old.json --snapshot2 new.json\n  \
        chutes-miner subnets compare --snapshot1 old.json --snapshot2 new.json \\\n    --netuid 64\n  \
        chutes-miner subnets compare --database-url URL --from 2026-01-30 --netuid 64\n\n\
        WHEN is a block, a day, or a time with its offset (2026-01-31T12:00Z)."
)]
pub(super) struct Compare {
    /// Folder of the snapshots, for names without one
    #[arg(long, visible_alias = "data-dir", value_name = "DIR", default_value = "snapshots")]
    dir: PathBuf,
    /// The older snapshot
    #[arg(long, value_name = "FILE", required_unless_present = "database_url")]
    snapshot1: Option<PathBuf>,
    /// The newer one
    #[arg(long, value_name = "FILE", required_unless_present = "database_url")]
    snapshot2: Option<PathBuf>,
    /// Compare what `subnets follow` keeps, and no snapshots
    #[arg(long, value_name = "URL", conflicts_with_all = ["snapshot1", "snapshot2"])]
    database_url: Option<String>,
    /// From when on, in the database; else the first block that was followed
    #[arg(long, value_name = "WHEN", requires = "database_url")]
    from: Option<Moment>,
    /// Until when, in the database; else the last block that was followed
    #[arg(long, value_name = "WHEN", requires = "database_url")]
    to: Option<Moment>,
    /// Network in the database, if it has several
    #[arg(long, default_value = "finney", requires = "database_url")]
    network: String,
    /// Only this subnet, with each UID
    #[arg(long, value_name = "N")]
    netuid: Option<u16>,
    #[command(flatten)]
    out: Out,
}

pub(super) async fn run(args: Compare) -> Result<(), Failure> {
    let (mut old, mut new) = match (&args.database_url, &args.snapshot1, &args.snapshot2) {
        (Some(url), ..) => followed(&args, url).await?,
        (None, Some(old), Some(new)) => (read(old, &args.dir)?, read(new, &args.dir)?),
        _ => return Err(Failure::new(Kind::Usage, "--snapshot1 and --snapshot2, or --database-url, say what to compare")),
    };
    if old.network != new.network {
        return Err(Failure::general(format!("one snapshot is of {:?}, the other of {:?}", old.network, new.network)));
    }
    if let Some(netuid) = args.netuid {
        if ![&old, &new].iter().any(|snapshot| snapshot.subnets.contains_key(&netuid)) {
            return Err(Failure::new(Kind::NotFound, format!("there is no subnet {netuid} in either")));
        }
        old.subnets.retain(|one, _| *one == netuid);
        new.subnets.retain(|one, _| *one == netuid);
    }
    let comparison = compare::snapshots(&old, &new);
    for gap in comparison.gaps.iter().take(5) {
        note(&format!("subnet {} is not compared: {}", gap.netuid, gap.reason));
    }
    if comparison.gaps.len() > 5 {
        // Where nothing can be compared, there is no JSON to name them.
        let where_told = if comparison.subnets.is_empty() { "" } else { "; -o json names them" };
        note(&format!("{} more subnets are not compared{where_told}", comparison.gaps.len() - 5));
    }
    if comparison.subnets.is_empty() {
        let advice = match &args.database_url {
            None => "--snapshot1 is the older one; -o json of analyze names what is broken",
            Some(_) => "--from is the older one",
        };
        return Err(Failure::general("no subnet can be compared").advise(advice));
    }
    let one = args.netuid.and_then(|_| comparison.subnets.first());
    args.out.give(
        |width| one.map_or_else(|| render(&comparison, width), |change| render_one(change, width)),
        || document(&comparison),
        || one.map_or_else(|| sheet(&comparison), sheet_of_one),
    )
}

/// The states that were followed, as snapshots taken in these blocks would have them.
async fn followed(args: &Compare, url: &str) -> Result<(Snapshot, Snapshot), Failure> {
    let followed = Followed::open(url, &args.network).await?;
    followed.note_gaps(args.netuid);
    let netuids = match args.netuid {
        Some(netuid) => [netuid].into(),
        None => followed.subnets().await?,
    };
    let network = args.network.clone();
    let empty = || Snapshot { timestamp: String::new(), network: network.clone(), subnets: BTreeMap::new() };
    let (mut old, mut new) = (empty(), empty());
    for netuid in netuids {
        let kept = followed.kept(netuid).await?;
        let ends = [(&mut old, args.from, kept.first), (&mut new, args.to, kept.last)];
        for (snapshot, moment, otherwise) in ends {
            let block = match moment {
                None => otherwise,
                Some(moment) => followed.block(netuid, moment)?,
            };
            if let Some(state) = kept.state(block)? {
                snapshot.subnets.insert(netuid, state);
            }
            snapshot.timestamp = followed.time(netuid, block)?;
        }
    }
    Ok((old, new))
}

/// Reads a file, or one of this name in the folder.
fn read(path: &Path, folder: &Path) -> Result<Snapshot, Failure> {
    let in_folder = folder.join(path);
    let found = if !path.exists() && in_folder.exists() { &in_folder } else { path };
    Snapshot::read(found).map_err(|error| {
        let missing = matches!(&error, SnapshotError::Io(error) if error.kind() == std::io::ErrorKind::NotFound);
        let kind = if missing { Kind::NotFound } else { Kind::General };
        Failure::new(kind, format!("{}: {error}", path.display()))
    })
}

fn render(comparison: &Comparison, width: u16) -> String {
    let mut text = format!("Old: {}\nNew: {}\n\n", printable(&comparison.old_timestamp), printable(&comparison.new_timestamp));
    let mut table = Table::new(&["Netuid", "Repl.", "New", "Dereg.", "UIDs", "Told apart"], width);
    for one in comparison.subnets.iter().filter(|one| one.counts.total() > 0 || !one.events.is_empty() || one.new_generation) {
        let uids = if one.old_uids == one.new_uids { one.new_uids.to_string() } else { format!("{}>{}", one.old_uids, one.new_uids) };
        let apart = if one.new_generation { "another subnet now".to_owned() } else { told_apart(&one.classes) };
        table.row([
            one.netuid.to_string(),
            one.counts.replacements.to_string(),
            one.counts.new_registrations.to_string(),
            one.counts.deregistrations.to_string(),
            uids,
            apart,
        ]);
    }
    text.push_str(&table.render());
    let counts = &comparison.counts;
    let _ = writeln!(
        text,
        "\n{} replacements, {} deregistrations, {} new registrations;\n{} hotkeys left, {} came, {} sit on another UID.",
        counts.replacements,
        counts.deregistrations,
        counts.new_registrations,
        comparison.hotkeys.lost,
        comparison.hotkeys.gained,
        comparison.hotkeys.moved
    );
    text
}

/// The beginning and end of an address.
fn short(key: Option<&Key>) -> String {
    key.map_or_else(|| "-".to_owned(), |key| format!("{}..{}", key.as_str().get(..6).unwrap_or("?"), key.as_str().get(42..).unwrap_or("?")))
}

fn render_one(change: &SubnetChange, width: u16) -> String {
    let mut table = Table::new(&["UID", "What", "Old hotkey", "New hotkey", "Was on", "Block"], width);
    for event in &change.events {
        table.row([
            event.uid.to_string(),
            told_apart(&[(event.class, 1)].into()).trim_start_matches("1 ").to_owned(),
            short(event.old_hotkey.as_ref()),
            short(event.new_hotkey.as_ref()),
            event.previous_uid.map_or_else(|| "-".to_owned(), |uid| uid.to_string()),
            event.registered_at.map_or_else(|| "-".to_owned(), |block| block.to_string()),
        ]);
    }
    let mut text = table.render();
    text.push('\n');
    let SubnetChange { netuid, old_block, new_block, .. } = change;
    text.push_str(&sentence(&format!("Subnet {netuid}, blocks {old_block} to {new_block}: {}.", told_apart(&change.classes)), width));
    text
}

fn sheet(comparison: &Comparison) -> Sheet {
    let mut sheet = Sheet::new(&[
        ("netuid", Column::Integer),
        ("old_block", Column::Integer),
        ("new_block", Column::Integer),
        ("old_uids", Column::Integer),
        ("new_uids", Column::Integer),
        ("replacements", Column::Integer),
        ("new_registrations", Column::Integer),
        ("deregistrations", Column::Integer),
        ("hotkeys_lost", Column::Integer),
        ("hotkeys_gained", Column::Integer),
        ("hotkeys_moved", Column::Integer),
    ]);
    for one in &comparison.subnets {
        sheet.row([
            one.netuid.into(),
            one.old_block.into(),
            one.new_block.into(),
            one.old_uids.into(),
            one.new_uids.into(),
            one.counts.replacements.into(),
            one.counts.new_registrations.into(),
            one.counts.deregistrations.into(),
            one.hotkeys.lost.into(),
            one.hotkeys.gained.into(),
            one.hotkeys.moved.into(),
        ]);
    }
    sheet
}

fn sheet_of_one(change: &SubnetChange) -> Sheet {
    let mut sheet = Sheet::new(&[
        ("netuid", Column::Integer),
        ("uid", Column::Integer),
        ("class", Column::Text),
        ("old_hotkey", Column::Text),
        ("new_hotkey", Column::Text),
        ("previous_uid", Column::Integer),
        ("registered_at", Column::Integer),
    ]);
    for event in &change.events {
        sheet.row([
            change.netuid.into(),
            event.uid.into(),
            event.class.name().into(),
            event.old_hotkey.as_ref().map(Key::as_str).into(),
            event.new_hotkey.as_ref().map(Key::as_str).into(),
            event.previous_uid.into(),
            event.registered_at.into(),
        ]);
    }
    sheet
}
