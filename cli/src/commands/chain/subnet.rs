//! `chain subnet`: one subnet with its pool and its hyperparameters.

use super::{
    Endpoints,
    endpoints::{failed, named},
    exact,
    subnets::optional,
};
use crate::{
    args::Output,
    failure::Failure,
    output::{self, printable},
};
use chain::{
    read::{At, DynamicInfo, Hyperparameters, SubnetInfo, scale::Value},
    tracker::days,
};
use clap::Args as ClapArgs;
use serde_json::json;
use std::fmt::Write as _;

/// One subnet: places, owner, pool, and all hyperparameters by the runtime's own names.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    after_help = "Examples:\n  chutes-miner chain subnet 64\n  chutes-miner chain subnet 64 -o json | jq .hyperparameters"
)]
pub(super) struct Subnet {
    /// The subnet
    netuid: u16,
    /// How to print it
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    nodes: Endpoints,
}

/// What the runtime tells of a subnet.
struct Told {
    info: SubnetInfo,
    /// Whether one can register; `None` for a runtime without the item.
    open: Option<bool>,
    pool: Option<DynamicInfo>,
    parameters: Option<Hyperparameters>,
}

pub(super) async fn run(args: Subnet) -> Result<(), Failure> {
    let (chain, _) = args.nodes.chain()?;
    let at = args.nodes.at(&chain).await?;
    let netuid = args.netuid;
    let told = Told {
        info: at.subnet_info(netuid).await.map_err(failed)?,
        open: optional(at.storage("SubtensorModule", "NetworkRegistrationAllowed", (netuid,)).await).map_err(failed)?.flatten(),
        // Older runtimes had no pools.
        pool: optional(at.dynamic_info(netuid).await).map_err(failed)?,
        parameters: optional(at.hyperparameters(netuid).await).map_err(failed)?,
    };
    if args.output == Output::Json {
        output::json_indented(&json!({
            "block": at.block(),
            "subnet": told.info,
            "registration_allowed": told.open,
            "pool": told.pool,
            "hyperparameters": told.parameters,
        }));
    } else {
        output::text(&render(&told, &at));
    }
    Ok(())
}

fn render(told: &Told, at: &At) -> String {
    let mut text = String::new();
    let mut line = |what: &str, value: &str| {
        let _ = writeln!(text, "{what:<16}{}", printable(value).replace('\n', " "));
    };
    let Told { info, open, pool, parameters } = told;
    let pool = pool.as_ref();
    let identity = info.identity.as_ref().map(|identity| identity.subnet_name.0.as_str());
    let name = identity.filter(|name| !name.is_empty()).or_else(|| pool.map(|pool| pool.subnet_name.0.as_str())).unwrap_or_default();
    line("Subnet", &format!("{} {name}", info.netuid));
    line("Block", &named(at.block()));
    line("Owner", &info.owner.to_string());
    if let Some(pool) = pool {
        line("Owner's hotkey", &pool.owner_hotkey.to_string());
        let age = at.block().number.saturating_sub(pool.network_registered_at);
        line("Made", &format!("block {}, {:.1} days ago", pool.network_registered_at, days(age)));
    }
    line("UIDs", &format!("{} of {}, at most {} validate", info.subnetwork_n, info.max_allowed_uids, info.max_allowed_validators));
    let closed = if *open == Some(false) { ", but none is allowed now" } else { "" };
    line("Registration", &format!("{} TAO{closed}", exact(info.burn)));
    let immune = days(info.immunity_period.into()) * 24.0;
    line("Immunity", &format!("{} blocks, {immune:.1} h", info.immunity_period));
    line("Epoch", &format!("every {} blocks; the last was {} blocks ago", u32::from(info.tempo) + 1, info.blocks_since_last_step));
    // The root network has no alpha.
    if let Some(pool) = pool.filter(|_| info.netuid != 0) {
        line("Pool", &format!("{} TAO, {} alpha", exact(pool.tao_in), exact(pool.alpha_in)));
        line("Alpha outside", &exact(pool.alpha_out));
        let price = pool.spot_price().map_or_else(|| "-".to_owned(), |price| format!("{price:.9} TAO"));
        line("Alpha price", &price);
        line("Averaged price", &format!("{} TAO", pool.moving_price));
    }
    let Some(parameters) = parameters else { return text };
    text.push_str("\nHyperparameters\n");
    let width = parameters.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0) + 2;
    for (name, value) in parameters.iter() {
        let _ = writeln!(text, "  {:<width$}{}", printable(name), printable(&shown(value)).replace('\n', " "));
    }
    text
}

/// A value as people write it; fixed-point numbers to their last digit.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Fixed(number) => number.to_string(),
        other => match serde_json::to_value(other) {
            Ok(serde_json::Value::String(text)) => text,
            Ok(other) => other.to_string(),
            Err(_) => String::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chain::read::{AccountId, Fixed};

    #[test]
    fn values_are_shown_exactly_and_without_quotes() {
        let fixed = Value::Fixed(Fixed::new(true, 3 << 31, 32).unwrap());
        let list = Value::List(vec![Value::Unsigned(7), Value::Bool(true)]);
        let account = AccountId([3; 32]);
        let values = [fixed, Value::Text("a".to_owned()), Value::Unsigned(u128::MAX), list, Value::Account(account)];
        let wanted = ["-1.5", "a", "340282366920938463463374607431768211455", "[7,true]", &account.to_string()];
        assert_eq!(values.each_ref().map(shown), wanted);
    }
}
