//! `chain status`: whether the chain moves.

use super::{
    Endpoints,
    endpoints::{failed, named, network},
    exact,
};
use crate::{
    args::Output,
    failure::Failure,
    output::{self, printable},
};
use chain::read::ReadError;
use clap::Args as ClapArgs;
use jiff::Timestamp;
use serde_json::json;
use std::fmt::Write as _;

/// Whether the chain moves, and through which node it is read.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    after_help = "Examples:\n  chutes-miner chain status\n  chutes-miner chain status --endpoint ws://127.0.0.1:9944 -o json"
)]
pub(super) struct Status {
    /// How to print it
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    nodes: Endpoints,
}

pub(super) async fn run(args: Status) -> Result<(), Failure> {
    let (chain, given) = args.nodes.chain()?;
    let at = args.nodes.at(&chain).await?;
    let network = network(&chain, given).await?;
    let genesis = chain.genesis().await.map_err(failed)?;
    let (name, best) = (chain.name().await.map_err(failed)?, chain.best().await.map_err(failed)?);
    let subnets = at.subnets().await.map_err(failed)?;
    // A runtime without it is no reason to say nothing of the rest.
    let cost = match at.subnet_registration_cost().await {
        Ok(rao) => Some(rao),
        Err(error) if error.is_passing() => return Err(failed(error)),
        Err(_) => None,
    };
    // A chain without a clock says 1970.
    let time = match at.time().await {
        Ok(time) => Some(time).filter(|time| time.as_second() > 0),
        Err(error @ ReadError::Rpc(_)) => return Err(failed(error)),
        Err(_) => None,
    };
    let endpoint = chain.endpoint().await;
    let age = time.map(|time| Timestamp::now().as_second() - time.as_second());
    let (block, version) = (at.block(), at.runtime().spec_version());
    if args.output == Output::Json {
        output::json_indented(&json!({
            "network": network,
            "chain": name,
            "endpoint": endpoint,
            "genesis": hex(&genesis),
            "block": block,
            "block_time": time.map(|time| time.to_string()),
            "block_age_seconds": age,
            "best_block": best.number,
            "spec_version": version,
            "subnets": subnets,
            "subnet_registration_rao": cost,
        }));
        return Ok(());
    }
    let mut text = String::new();
    let mut line = |what: &str, value: &str| {
        let _ = writeln!(text, "{what:<17}{}", printable(value));
    };
    line("Network", &format!("{network} ({name})"));
    line("Endpoint", &endpoint.unwrap_or_else(|| "-".to_owned()));
    line("Genesis", &format!("{}..", hex(&genesis).get(..18).unwrap_or_default()));
    line(if args.nodes.block().is_some() { "Block" } else { "Final block" }, &named(block));
    line("Made", &age.map_or_else(|| "unknown".to_owned(), |age| format!("{} ago", output::span(age))));
    line("Newest block", &best.number.to_string());
    line("Runtime", &version.to_string());
    line("Subnets", &subnets.len().to_string());
    line("A new subnet", &cost.map_or_else(|| "-".to_owned(), |rao| format!("{} TAO", exact(rao))));
    output::text(&text);
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}
