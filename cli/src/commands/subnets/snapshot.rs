//! `subnets snapshot`: a look at all subnets, into a file.

use super::{document, now::moment};
use crate::{
    args::Output,
    commands::chain::{Endpoints, failed, network},
    failure::{Failure, Kind},
    output,
};
use chain::{survey, tracker::snapshot::SnapshotError};
use clap::Args as ClapArgs;
use serde_json::json;
use std::path::PathBuf;

/// Take a snapshot of all subnets.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    after_help = "Examples:\n  chutes-miner subnets snapshot --dir snapshots\n  \
        chutes-miner subnets snapshot --dir snapshots --endpoint ws://127.0.0.1:9944\n\n\
        All of it is read at one block. One an hour or a day is plenty; what comes and\ngoes between two is told by registration blocks."
)]
pub(super) struct Take {
    /// Folder of the snapshots, made if it is not there
    #[arg(long, visible_alias = "data-dir", value_name = "DIR", default_value = "snapshots")]
    dir: PathBuf,
    /// Network to write into it, if its nodes do not tell
    #[arg(long)]
    network: Option<String>,
    /// How to print what was written
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    nodes: Endpoints,
}

pub(super) async fn run(args: Take) -> Result<(), Failure> {
    let cannot = |error: &dyn std::fmt::Display| Failure::general(format!("{} cannot be written: {error}", args.dir.display()));
    // Before minutes of reading.
    std::fs::create_dir_all(&args.dir).map_err(|error| cannot(&error))?;
    let (chain, given) = args.nodes.chain()?;
    let at = args.nodes.at(&chain).await?;
    let network = match &args.network {
        Some(network) => network.clone(),
        None => network(&chain, given).await?,
    };
    let timestamp = moment(&at, args.nodes.block().is_some()).await?;
    let taken = survey::snapshot(&at, &network, &timestamp).await.map_err(failed)?;
    if taken.snapshot.subnets.is_empty() {
        let why = taken.failed.values().next().map_or("the node knows none", String::as_str);
        return Err(Failure::new(Kind::RemoteFailed, format!("no subnet could be read: {why}")).advise("--endpoint URL, another node"));
    }
    let path = taken.snapshot.write(&args.dir).map_err(|error| match error {
        SnapshotError::Io(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Failure::general(format!("{} has a snapshot of block {} already", args.dir.display(), at.block().number))
        }
        SnapshotError::Io(error) => cannot(&error),
        other => cannot(&other),
    })?;
    let uids: usize = taken.snapshot.subnets.values().map(|one| one.uid_hotkey_map.len()).sum();
    let count = taken.snapshot.subnets.len();
    if args.output == Output::Json {
        output::json_indented(&json!({
            "file": path.display().to_string(),
            "network": network,
            "block": at.block(),
            "subnets": count,
            "uids": uids,
            "failed": document(&taken.failed),
        }));
    } else {
        let line = format!("{count} subnets with {uids} UIDs of {network} at block {}, in\n{}", at.block().number, path.display());
        output::line(&line);
    }
    for (netuid, why) in taken.failed.iter().take(5) {
        output::note(&format!("left out subnet {netuid}: {why}"));
    }
    if taken.failed.len() > 5 {
        output::note(&format!("left out {} more subnets; -o json names them", taken.failed.len() - 5));
    }
    Ok(())
}
