//! `chain events`: what happened in a block.

use super::{
    Endpoints,
    endpoints::{failed, named},
    subnet::shown,
};
use crate::{
    args::Output,
    failure::Failure,
    output::{self, printable},
};
use chain::read::{Event, Phase, scale::Value};
use clap::Args as ClapArgs;
use serde_json::json;
use std::fmt::Write as _;

/// What happened in a block, by the names of its runtime.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    after_help = "Examples:\n  chutes-miner chain events --pallet SubtensorModule\n  \
        chutes-miner chain events --block 7301750 --name NeuronRegistered -o json"
)]
pub(super) struct Events {
    /// Only those of this pallet, such as SubtensorModule
    #[arg(long, value_name = "NAME")]
    pallet: Option<String>,
    /// Only those of this name, such as NeuronRegistered
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// How to print them
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    nodes: Endpoints,
}

pub(super) async fn run(args: Events) -> Result<(), Failure> {
    let (chain, _) = args.nodes.chain()?;
    let at = args.nodes.at(&chain).await?;
    let all = at.events().await.map_err(failed)?;
    let wanted = |asked: &Option<String>, name: &str| asked.as_ref().is_none_or(|asked| asked.eq_ignore_ascii_case(name));
    let count = all.len();
    let events: Vec<Event> =
        all.into_iter().filter(|event| wanted(&args.pallet, &event.pallet) && wanted(&args.name, &event.name)).collect();
    if args.output == Output::Json {
        output::json_indented(&json!({ "block": at.block(), "events": events }));
        return Ok(());
    }
    let mut text = String::new();
    for event in &events {
        let phase = match event.phase {
            Phase::Extrinsic(index) => format!("extrinsic {index}"),
            Phase::Initialization => "before".to_owned(),
            Phase::Finalization => "after".to_owned(),
        };
        let line = format!("{phase:<15}{}.{}{}", event.pallet, event.name, fields(&event.fields));
        let _ = writeln!(text, "{}", output::wrapped(&printable(&line).replace('\n', " "), output::width(), 17));
    }
    let _ = writeln!(text, "{} of {count} events of block {}.", events.len(), named(at.block()));
    output::text(&text);
    Ok(())
}

fn fields(value: &Value) -> String {
    let fields = match value {
        Value::Record(fields) => fields.iter().map(|(name, value)| format!("{name}={}", shown(value))).collect(),
        Value::List(items) => items.iter().map(shown).collect(),
        other => vec![shown(other)],
    };
    fields.iter().map(|field| format!(" {field}")).collect()
}
