//! `subnets`: what the tracker says, from snapshot files, an endpoint, or both.

mod analyze;
mod as_before;
mod compare;
mod cost;
mod database;
mod eviction;
mod follow;
mod followed;
mod forecast;
mod now;
mod recommend;
mod snapshot;
mod survival;

use crate::{
    failure::{Failure, Kind},
    output::{self, sheet::Sheet},
};
use chain::tracker::{
    analysis::{Analyzer, Counting, Ignored},
    compare::Class,
    folder,
    snapshot::Subnet,
};
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf};

/// Competition, prices and prospects on subnets, from snapshots.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    after_help = "Snapshots are the files of the existing tracker (snapshot_*.json, also .gz). What they\n\
        do not carry, such as prices, is not guessed. --endpoint looks at the chain, too."
)]
pub(crate) struct Subnets {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take a snapshot of all subnets
    Snapshot(snapshot::Take),
    /// Which subnets are contested most
    Analyze(analyze::Analyze),
    /// What changed between two snapshots
    Compare(compare::Compare),
    /// What a place costs
    Cost(cost::Cost),
    /// How long UIDs live
    Survival(survival::Survival),
    /// How close UIDs are to being pruned
    Eviction(eviction::Eviction),
    /// What a registration will cost
    Forecast(forecast::Forecast),
    /// Where a place would pay
    Recommend(recommend::Recommend),
    /// Keep every change, block by block, in Postgres
    Follow(follow::Follow),
}

pub(crate) async fn run(args: Subnets) -> Result<(), Failure> {
    match args.command {
        Command::Snapshot(args) => snapshot::run(args).await,
        Command::Analyze(args) => analyze::run(args).await,
        Command::Compare(args) => compare::run(args).await,
        Command::Cost(args) => cost::run(args).await,
        Command::Survival(args) => survival::run(args).await,
        Command::Eviction(args) => eviction::run(args).await,
        Command::Forecast(args) => forecast::run(args).await,
        Command::Recommend(args) => recommend::run(args).await,
        Command::Follow(args) => follow::run(args).await,
    }
}

/// Where the snapshots are.
#[derive(Clone, Debug, ClapArgs)]
struct Folder {
    /// Folder of the snapshots
    #[arg(long, visible_alias = "data-dir", value_name = "DIR", default_value = "snapshots")]
    dir: PathBuf,
    /// Network of the snapshots; those of others are ignored
    #[arg(long, default_value = "finney")]
    network: String,
    /// Look at the chain, too: finney, test, local or a node's address; may be repeated. Files may be missing then
    #[arg(long, value_name = "URL")]
    endpoint: Vec<String>,
}

impl Folder {
    /// Reads the snapshots one after another, and then the chain if that was asked for: these subnets of it, or all if none is named.
    async fn watch(&self, counting: Counting, netuids: &[u16]) -> Result<Analyzer, Failure> {
        let missing = |what: String| {
            Failure::new(Kind::NotFound, what).advise("--dir DIR says where the snapshots are; --endpoint URL looks at the chain instead")
        };
        let mut analyzer = Analyzer::new(self.network.clone(), counting);
        let mut none = true;
        let files = match folder::stream(&self.dir) {
            Ok(files) => Some(files),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !self.endpoint.is_empty() => None,
            Err(error) => return Err(missing(format!("{} cannot be read: {error}", self.dir.display()))),
        };
        for (path, snapshot) in files.into_iter().flatten() {
            none = false;
            analyzer.add(&path.file_name().unwrap_or_default().to_string_lossy(), snapshot);
            // So that an interrupt is seen between two files.
            tokio::task::yield_now().await;
        }
        if !self.endpoint.is_empty() {
            let snapshot = now::read(&self.endpoint, &self.network, netuids).await?;
            analyzer.add("the chain now", Ok(snapshot));
        } else if none {
            return Err(missing(format!("no snapshots (snapshot_*.json) in {}", self.dir.display())));
        }
        Ok(analyzer)
    }
}

/// How to give the answer.
#[derive(Clone, Debug, ClapArgs)]
struct Out {
    /// How to print it
    #[arg(long, short, value_enum, default_value_t = Form::Table)]
    output: Form,
    /// Write the answer into a file instead
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Table,
    Json,
    Csv,
    Parquet,
}

impl Out {
    /// Gives the answer in the form that was asked for.
    fn give(&self, table: impl FnOnce(u16) -> String, json: impl FnOnce() -> Value, sheet: impl FnOnce() -> Sheet) -> Result<(), Failure> {
        let bytes = match self.output {
            Form::Table => table(output::width()).into_bytes(),
            Form::Json if self.file.is_none() => {
                output::json_indented(&json());
                return Ok(());
            }
            Form::Json => format!("{:#}\n", json()).into_bytes(),
            Form::Csv => sheet().csv()?,
            Form::Parquet if self.file.is_none() && output::seen() => {
                return Err(Failure::new(Kind::Usage, "Parquet is nothing to look at").advise("--file FILE"));
            }
            Form::Parquet => sheet().parquet()?,
        };
        match &self.file {
            None => output::bytes(&bytes),
            Some(path) => {
                std::fs::write(path, bytes).map_err(|error| Failure::general(format!("{} cannot be written: {error}", path.display())))?
            }
        }
        Ok(())
    }
}

/// Refuses what nobody can look ahead: beyond a year there is no forecast.
fn check_days(days: f64) -> Result<(), Failure> {
    if days > 0.0 && days <= 365.0 { Ok(()) } else { Err(Failure::new(Kind::Usage, "--days must be more than 0 and at most 365")) }
}

/// A price in US dollars.
fn dollars(text: &str) -> Result<f64, String> {
    let price = text.trim().parse().ok().filter(|price| (0.0..=1e9).contains(price));
    price.ok_or_else(|| "no amount of US dollars".to_owned())
}

/// A document of something that always is one.
fn document(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// The last good state of a subnet.
fn state(analyzer: &Analyzer, netuid: u16) -> Result<&Subnet, Failure> {
    let missing = || Failure::new(Kind::NotFound, format!("no snapshot shows subnet {netuid}"));
    analyzer.states().get(&netuid).ok_or_else(missing)
}

/// A number for a table; `-` for none.
fn shown(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

/// What kinds of change there were, in words.
fn told_apart(classes: &BTreeMap<Class, u64>) -> String {
    let words = |class: &Class| class.name().replace("re_registered", "re-registered").replace('_', " ");
    classes.iter().map(|(class, count)| format!("{count} {}", words(class))).collect::<Vec<_>>().join(", ")
}

/// A sentence on lines that fit.
fn sentence(text: &str, width: u16) -> String {
    format!("{}\n", output::wrapped(text, width, 0))
}

/// What was left out, for people: each reason with how often, at most a few.
fn note_ignored(analyzer: &Analyzer) {
    let analysis = analyzer.analysis();
    let ignored = analysis.ignored;
    let mut by_snapshot: BTreeMap<&str, Vec<&Ignored>> = BTreeMap::new();
    for one in &ignored {
        by_snapshot.entry(&one.snapshot).or_default().push(one);
    }
    let count = by_snapshot.len();
    for (snapshot, list) in by_snapshot.iter().take(5) {
        let Some(first) = list.first() else { continue };
        match first.netuid {
            None => output::note(&format!("ignored {snapshot}: {}", first.reason)),
            Some(netuid) => output::note(&format!("ignored {} subnet(s) of {snapshot}; the first, {netuid}: {}", list.len(), first.reason)),
        }
    }
    if count > 5 {
        // Where there is no period, there is no JSON of it.
        let where_told = if analysis.subnets.is_empty() { "" } else { "; -o json of analyze names them" };
        output::note(&format!("ignored all or part of {} more snapshots{where_told}", count - 5));
    }
}

#[cfg(test)]
mod tests {
    use crate::args::Args;
    use clap::CommandFactory as _;

    #[test]
    fn help_is_short_and_fits_eighty_columns() {
        let command = Args::command();
        let subnets = command.find_subcommand("subnets").unwrap();
        let names: Vec<&str> = subnets.get_subcommands().map(clap::Command::get_name).filter(|name| *name != "help").collect();
        assert_eq!(names, ["snapshot", "analyze", "compare", "cost", "survival", "eviction", "forecast", "recommend", "follow"]);
        for words in
            names.iter().map(|name| vec!["chutes-miner", "subnets", name, "--help"]).chain([vec!["chutes-miner", "subnets", "--help"]])
        {
            let text = Args::command().term_width(80).try_get_matches_from(&words).unwrap_err().to_string();
            assert!(text.lines().count() <= 60, "{words:?} has {} lines:\n{text}", text.lines().count());
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{words:?}:\n{text}");
        }
    }
}
