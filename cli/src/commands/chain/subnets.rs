//! `chain subnets`: all subnets with what a place costs and what their alpha is worth.

use super::{
    Endpoints,
    endpoints::{failed, named},
};
use crate::{
    args::Output,
    failure::Failure,
    output::{self, Table, printable},
};
use chain::read::{At, DynamicInfo, Fixed, RAO_PER_TAO, ReadError, SubnetInfo};
use clap::Args as ClapArgs;
use serde_json::json;
use std::{collections::BTreeMap, fmt::Write as _};

/// All subnets: places, price of a registration, price of alpha.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    after_help = "Examples:\n  chutes-miner chain subnets\n  chutes-miner chain subnets -o json | jq '.subnets[] | select(.netuid == 64)'"
)]
pub(super) struct Subnets {
    /// How to print it
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    nodes: Endpoints,
}

/// A subnet with what other calls tell of it.
struct Line {
    info: SubnetInfo,
    name: String,
    /// Price of one alpha in TAO.
    price: Option<f64>,
}

pub(super) async fn run(args: Subnets) -> Result<(), Failure> {
    let (chain, _) = args.nodes.chain()?;
    let at = args.nodes.at(&chain).await?;
    let lines = read(&at).await.map_err(failed)?;
    if args.output == Output::Json {
        let rows = lines.iter().map(|line| {
            let mut row = serde_json::to_value(&line.info).unwrap_or_default();
            row["name"] = json!(line.name);
            row["alpha_price_tao"] = json!(line.price);
            row
        });
        output::json_indented(&json!({ "block": at.block(), "subnets": rows.collect::<Vec<_>>() }));
        return Ok(());
    }
    let mut table = Table::new(&["Netuid", "Name", "UIDs", "Register TAO", "Alpha TAO", "Tempo", "Immune (h)"], output::width());
    for Line { info, name, price } in &lines {
        table.row([
            info.netuid.to_string(),
            cut(&printable(name).replace('\n', " ")),
            format!("{}/{}", info.subnetwork_n, info.max_allowed_uids),
            format!("{:.6}", tao(info.burn)),
            price.map_or_else(|| "-".to_owned(), |price| format!("{price:.6}")),
            info.tempo.to_string(),
            format!("{:.1}", f64::from(info.immunity_period) * 12.0 / 3600.0),
        ]);
    }
    let mut text = table.render();
    let _ = writeln!(text, "\n{} subnets at block {}.", lines.len(), named(at.block()));
    output::text(&text);
    Ok(())
}

async fn read(at: &At) -> Result<Vec<Line>, ReadError> {
    let mut infos = at.subnet_infos().await?;
    infos.sort_by_key(|info| info.netuid);
    // A node that does not answer the largest call, or a runtime without pools, still tells the rest.
    let pools = optional(at.dynamic_infos().await)?.unwrap_or_default();
    let pools: BTreeMap<u16, DynamicInfo> = pools.into_iter().map(|pool| (pool.netuid, pool)).collect();
    let roots: BTreeMap<u16, Fixed> =
        if pools.is_empty() { optional(at.storage_map("Swap", "AlphaSqrtPrice", ()).await)?.unwrap_or_default() } else { BTreeMap::new() };
    let line = |info: SubnetInfo| {
        let pool = pools.get(&info.netuid);
        let identity = info.identity.as_ref().map(|identity| identity.subnet_name.0.clone());
        let name = identity.filter(|name| !name.is_empty()).or_else(|| pool.map(|pool| pool.subnet_name.0.clone())).unwrap_or_default();
        let root = || roots.get(&info.netuid).map(|root| root.to_f64().powi(2));
        // The root network has no alpha.
        let price = if info.netuid == 0 { None } else { pool.and_then(DynamicInfo::spot_price).or_else(root) };
        Line { name, price, info }
    };
    Ok(infos.into_iter().map(line).collect())
}

/// None for what the node or the runtime does not have; what may be there later stays an error.
pub(super) fn optional<T>(result: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_passing() => Err(error),
        Err(_) => Ok(None),
    }
}

/// A name in a column of 18 characters.
fn cut(name: &str) -> String {
    if name.chars().count() <= 18 { name.to_owned() } else { name.chars().take(17).chain(['…']).collect() }
}

#[allow(clippy::cast_precision_loss, reason = "for a table; -o json has the rao")]
fn tao(rao: u64) -> f64 {
    rao as f64 / RAO_PER_TAO as f64
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_name_that_is_cut_shows_it() {
        for (name, shown) in
            [("chutes", "chutes"), ("eighteen letters..", "eighteen letters.."), ("nineteen letters...", "nineteen letters.…")]
        {
            assert_eq!(cut(name), shown);
        }
        assert_eq!(cut(&"ü".repeat(30)), format!("{}…", "ü".repeat(17)));
    }
}
