//! `chain metagraph`: the UIDs of a subnet, from a node or from a file.

use super::{
    Endpoints,
    endpoints::{failed, named, network, short},
};
use crate::{
    args::Output,
    failure::{Failure, Kind},
    output::{self, Table, printable},
};
use chain::read::{
    ReadError,
    metagraph::{self, Column, Metagraph as Graph},
    ratio,
};
use clap::{Args as ClapArgs, ValueEnum};
use serde_json::json;
use std::{fmt::Write as _, path::PathBuf};

/// The UIDs of a subnet.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    after_help = "Examples:\n  chutes-miner chain metagraph 64 --limit 0\n  chutes-miner chain metagraph 64 --full --save 64.json\n  \
        chutes-miner chain metagraph 64 --load 64.json --wide\n  chutes-miner chain metagraph 64 --load 64.json --sync --save 64.json\n\n\
        S stake, I incentive, E emission (alpha an epoch), C consensus, Tv validator\ntrust, D dividends, days since registration; * may validate. \
        The runtime no\nlonger computes rank and trust."
)]
pub(super) struct Metagraph {
    /// The subnet
    netuid: u16,
    /// With weights and bonds, several times the size; -o json and --save have them
    #[arg(long, conflicts_with = "load")]
    full: bool,
    /// Write it into a file, which replaces an older one
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Read it from a file instead of a node
    #[arg(long, value_name = "FILE", conflicts_with_all = ["block", "archive"])]
    load: Option<PathBuf>,
    /// After --load: read it anew if the chain has a newer final block
    #[arg(long, requires = "load")]
    sync: bool,
    /// What to order by, the greatest first; uid: the least
    #[arg(long, value_enum, default_value_t = Sort::Incentive)]
    sort_by: Sort,
    /// Also whole keys, axons, rank R, trust T, the number of weights W and bonds B, in long lines
    #[arg(long)]
    wide: bool,
    /// Rows of the table; 0 for all
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,
    /// How to print it
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    nodes: Endpoints,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sort {
    Uid,
    Stake,
    Incentive,
    Emission,
    Dividends,
}

pub(super) async fn run(args: Metagraph) -> Result<(), Failure> {
    let (graph, of) = match &args.load {
        Some(path) => load(&args, path).await?,
        None => {
            let (chain, given) = args.nodes.chain()?;
            let at = args.nodes.at(&chain).await?;
            let graph = Graph::fetch(&at, args.netuid, args.full).await.map_err(failed)?;
            (graph, network(&chain, given).await?)
        }
    };
    if let Some(path) = &args.save {
        metagraph::save(path, &of, &graph).map_err(failed)?;
    }
    if args.output == Output::Json {
        let mut told = serde_json::to_value(&graph).unwrap_or_default();
        for (row, one) in graph.neurons.iter().enumerate() {
            told["neurons"][row]["axon"]["address"] = json!(one.axon.socket_address());
        }
        output::json_indented(&told);
    } else {
        output::text(&render(&graph, &args, if args.wide { u16::MAX } else { output::width() }));
    }
    if let Some(path) = &args.save {
        output::note(&format!("saved {} metagraph to {}", if graph.full { "the full" } else { "the lite" }, path.display()));
    }
    Ok(())
}

async fn load(args: &Metagraph, path: &std::path::Path) -> Result<(Graph, String), Failure> {
    let missing = |error: ReadError| match std::fs::metadata(path) {
        Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => Failure::new(Kind::NotFound, error.to_string()),
        _ => failed(error),
    };
    let (of, mut graph) = metagraph::load(path).map_err(missing)?;
    if graph.netuid != args.netuid {
        let what = format!("{} is of subnet {}, not {}", path.display(), graph.netuid, args.netuid);
        return Err(Failure::new(Kind::Usage, what));
    }
    if args.sync {
        let (chain, _) = args.nodes.chain()?;
        if chain.genesis().await.map_err(failed)? != graph.genesis {
            return Err(Failure::general(format!("{} is of another chain than the node", path.display())).advise("--endpoint URL"));
        }
        let newer = graph.sync(&chain).await.map_err(failed)?;
        let what = if newer { "read anew at" } else { "nothing newer than" };
        output::note(&format!("{what} block {}", graph.block.number));
    }
    Ok((graph, of))
}

/// With as many digits as a row has room for.
fn amount(value: f64) -> String {
    if value < 1000.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

fn render(graph: &Graph, args: &Metagraph, width: u16) -> String {
    let letters = [Column::Stake, Column::Incentive, Column::Emission, Column::Consensus, Column::ValidatorTrust, Column::Dividends];
    let [stake, incentive, emission, consensus, trust, dividends] = letters.map(|column| graph.column(column));
    let key = match args.sort_by {
        Sort::Uid => None,
        Sort::Stake => Some(&stake),
        Sort::Incentive => Some(&incentive),
        Sort::Emission => Some(&emission),
        Sort::Dividends => Some(&dividends),
    };
    let value = |list: &[f64], row: usize| list.get(row).copied().unwrap_or(f64::NAN);
    let mut rows: Vec<usize> = (0..graph.neurons.len()).collect();
    if let Some(key) = key {
        // Stable: equals stay in the order of their UIDs.
        rows.sort_by(|a, b| value(key, *b).total_cmp(&value(key, *a)));
    }
    rows.truncate(if args.limit == 0 { usize::MAX } else { args.limit });
    const HEADINGS: [&str; 15] = ["UID", "Hotkey", "S", "I", "E", "C", "Tv", "D", "Days", "R", "T", "W", "B", "Axon", "Coldkey"];
    let mut table = Table::new(if args.wide { &HEADINGS } else { &HEADINGS[..9] }, width);
    for row in &rows {
        let Some(one) = graph.neurons.get(*row) else { continue };
        let age = one.registered_at.map(|registered| chain::tracker::days(graph.block.number.saturating_sub(registered)));
        let hotkey = one.hotkey.to_string();
        let narrow = [
            format!("{}{}", one.uid, if one.validator_permit { "*" } else { "" }),
            if args.wide { hotkey } else { short(&hotkey) },
            amount(value(&stake, *row)),
            format!("{:.4}", value(&incentive, *row)),
            format!("{:.3}", value(&emission, *row)),
            format!("{:.3}", value(&consensus, *row)),
            format!("{:.3}", value(&trust, *row)),
            format!("{:.3}", value(&dividends, *row)),
            age.map_or_else(|| "-".to_owned(), |age| format!("{age:.1}")),
        ];
        if !args.wide {
            table.row(narrow);
            continue;
        }
        let [uid, hotkey, s, i, e, c, tv, d, days] = narrow;
        let counted = |list: &[(u16, u16)]| if graph.full { list.len().to_string() } else { "-".to_owned() };
        let (r, t) = (format!("{:.3}", ratio(one.rank)), format!("{:.3}", ratio(one.trust)));
        let axon = one.axon_address().unwrap_or_else(|| "-".to_owned());
        let (w, b) = (counted(&one.weights), counted(&one.bonds));
        table.row([uid, hotkey, s, i, e, c, tv, d, days, r, t, w, b, axon, one.coldkey.to_string()]);
    }
    let mut text = table.render();
    let name = printable(&graph.name).replace('\n', " ");
    let all = graph.neurons.len();
    let shown = if rows.len() < all { format!("{} of {all} UIDs (--limit 0 shows all)", rows.len()) } else { format!("{all} UIDs") };
    let price = graph.spot_price().map_or_else(String::new, |price| format!(", alpha at {price:.6} TAO"));
    let burn = graph.burn.map_or_else(String::new, |burn| format!(", registration {} TAO", super::exact(burn)));
    let line = format!("Subnet {} {name} at block {}: {shown}{price}{burn}.", graph.netuid, named(graph.block));
    let _ = writeln!(text, "\n{}", output::wrapped(&line, output::width(), 0));
    text
}
