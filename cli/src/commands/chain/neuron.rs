//! `chain neuron`: one UID with everything about it.

use super::{
    Endpoints,
    endpoints::{failed, named},
    exact,
    subnets::optional,
};
use crate::{
    args::Output,
    failure::{Failure, Kind},
    output::{self, printable},
};
use chain::read::{AccountId, At, Neuron as Read, ratio};
use clap::Args as ClapArgs;
use serde_json::json;
use std::fmt::Write as _;

/// One UID of a subnet.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    after_help = "Examples:\n  chutes-miner chain neuron 64 17\n  \
        chutes-miner chain neuron 64 5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj"
)]
pub(super) struct Neuron {
    /// The subnet
    netuid: u16,
    /// Its UID, or the hotkey on it
    #[arg(value_name = "UID|HOTKEY")]
    which: Which,
    /// How to print it
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    nodes: Endpoints,
}

#[derive(Clone, Copy, Debug)]
enum Which {
    Uid(u16),
    Hotkey(AccountId),
}

impl std::str::FromStr for Which {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse()
            .map(Self::Uid)
            .or_else(|_| text.parse().map(Self::Hotkey))
            .map_err(|_| "neither a UID (0 to 65535) nor an SS58 address")
    }
}

pub(super) async fn run(args: Neuron) -> Result<(), Failure> {
    let (chain, _) = args.nodes.chain()?;
    let at = args.nodes.at(&chain).await?;
    let netuid = args.netuid;
    let uid = match args.which {
        Which::Uid(uid) => uid,
        Which::Hotkey(hotkey) => match at.uid(netuid, hotkey).await.map_err(failed)? {
            Some(uid) => uid,
            None => return Err(elsewhere(&at, netuid, hotkey).await),
        },
    };
    let Some(neuron) = at.neuron(netuid, uid).await.map_err(failed)? else {
        let what = format!("subnet {netuid} has no UID {uid} at block {}", at.block().number);
        return Err(Failure::new(Kind::NotFound, what));
    };
    let registered: Option<u64> = at.storage("SubtensorModule", "BlockAtRegistration", (netuid, uid)).await.map_err(failed)?;
    // 0 is the default of the map: nobody was registered in the first block.
    let registered = registered.filter(|block| *block > 0);
    // The neuron itself only tells what is staked on it as alpha, not what that weighs.
    let whole = optional(at.selective_metagraph(netuid).await).map_err(failed)?;
    let weighed = whole.filter(|whole| whole.hotkeys.as_ref().and_then(|all| all.get(usize::from(uid))) == Some(&neuron.hotkey));
    let weighed = weighed.and_then(|whole| whole.total_stake?.get(usize::from(uid)).copied());
    if args.output == Output::Json {
        let mut told = json!(neuron);
        told["axon_info"]["address"] = json!(neuron.axon_info.socket_address());
        output::json_indented(&json!({ "block": at.block(), "registered_at": registered, "total_stake": weighed, "neuron": told }));
    } else {
        output::text(&render(&neuron, &at, registered, weighed));
    }
    Ok(())
}

async fn elsewhere(at: &At, netuid: u16, hotkey: AccountId) -> Failure {
    let what = format!("{hotkey} is not registered on subnet {netuid} at block {}", at.block().number);
    let failure = Failure::new(Kind::NotFound, what);
    // Nice to know, and no more.
    match at.netuids_of(hotkey).await {
        Ok(others) if !others.is_empty() => {
            let others: Vec<String> = others.iter().map(u16::to_string).collect();
            failure.advise(format!("it is on subnet {}", others.join(", ")))
        }
        _ => failure,
    }
}

fn render(neuron: &Read, at: &At, registered: Option<u64>, weighed: Option<u64>) -> String {
    let mut text = String::new();
    let mut line = |what: &str, value: &str| {
        let _ = writeln!(text, "{what:<16}{}", printable(value));
    };
    line("Subnet, UID", &format!("{}, {}", neuron.netuid, neuron.uid));
    line("Block", &named(at.block()));
    line("Hotkey", &neuron.hotkey.to_string());
    line("Coldkey", &neuron.coldkey.to_string());
    let age = |block: u64| format!("block {block}, {:.1} days ago", chain::tracker::days(at.block().number.saturating_sub(block)));
    line("Registered", &registered.map_or_else(|| "unknown".to_owned(), age));
    let stake = neuron.stake.iter().fold(0_u64, |sum, (_, one)| sum.saturating_add(*one));
    line("Stake", &weighed.map_or_else(|| "unknown".to_owned(), |weighed| format!("{} as the chain weighs it", exact(weighed))));
    line("Alpha staked", &exact(stake));
    line("Emission", &format!("{} alpha an epoch", exact(neuron.emission)));
    for (what, score) in [
        ("Incentive", neuron.incentive),
        ("Consensus", neuron.consensus),
        ("Validator trust", neuron.validator_trust),
        ("Dividends", neuron.dividends),
    ] {
        line(what, &format!("{:.5}", ratio(score)));
    }
    line("May validate", if neuron.validator_permit { "yes" } else { "no" });
    line("Weights set", &age(neuron.last_update));
    let serving = neuron.axon_info.socket_address();
    line("Axon", &serving.map_or_else(|| "none announced".to_owned(), |serving| serving.to_string()));
    if !neuron.weights.is_empty() || !neuron.bonds.is_empty() {
        line("Weights, bonds", &format!("{}, {} (-o json lists them)", neuron.weights.len(), neuron.bonds.len()));
    }
    text
}
