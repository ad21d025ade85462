//! `subnets follow`: every registration, replacement, swap and trim, block by block, into Postgres.

use super::database::{Ledger, connect, failed};
use crate::{
    args::Output,
    failure::{Failure, Kind},
    output::{self, note},
};
use chain::{
    follow::{FollowError, Follower, Taken},
    read::{Chain, ChainConfig, ReadError, rpc::RpcError},
};
use clap::Args as ClapArgs;
use serde_json::json;
use std::time::Duration;
use store::{Error, FollowKey};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep},
};

/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(10);
/// Waits while the chain or the database cannot be reached.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Keep every change of UIDs, block by block, in Postgres.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    after_help = "Examples:\n  chutes-miner subnets follow --database-url URL\n  \
        chutes-miner subnets follow --database-url URL --netuid 64 --endpoint ws://127.0.0.1:9944\n\n\
        It goes on where it was stopped. Nodes keep about an hour of the past; after longer\n\
        it needs an archive, or leaves the blocks in between out and writes down which\n\
        (table chain_gaps). Tenures are in chain_tenures, prices in chain_prices."
)]
pub(super) struct Follow {
    /// finney, test, local, or addresses (ws://, wss://), with commas
    #[arg(long, value_name = "WHERE")]
    endpoint: Option<String>,
    /// Endpoint that keeps old blocks; known for finney
    #[arg(long, value_name = "WHERE")]
    archive: Option<String>,
    /// Where to keep it; the ledger's database will do
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: String,
    /// Only this subnet
    #[arg(long, value_name = "N")]
    netuid: Option<u16>,
    /// Block to begin with, at the first start; else the newest
    #[arg(long, value_name = "BLOCK")]
    from_block: Option<u64>,
    /// Stop after this block
    #[arg(long, value_name = "BLOCK")]
    until_block: Option<u64>,
    /// Fail rather than leave out blocks that no node keeps any more
    #[arg(long)]
    no_gaps: bool,
    /// How to print changes; json: one document a line
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(super) async fn run(args: Follow) -> Result<(), Failure> {
    let mut last = None;
    tokio::select! {
        outcome = follow(&args, &mut last) => outcome?,
        // Being stopped is how it ends. What is under way is taken in wholly or not at all.
        stopped = stopped() => stopped.map_err(|error| Failure::general(format!("cannot wait for an interrupt: {error}")))?,
    }
    match last {
        Some(block) => note(&format!("stopped after block {block}; the next start goes on from there")),
        None => note("stopped before the first block"),
    }
    Ok(())
}

/// Waits to be stopped: by a person, or by what runs it.
async fn stopped() -> std::io::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminated.recv() => Ok(()),
    }
}

async fn follow(args: &Follow, last: &mut Option<u64>) -> Result<(), Failure> {
    let mut config = match &args.endpoint {
        Some(endpoint) => ChainConfig::parse(endpoint),
        None => ChainConfig::from_environment(|name| std::env::var(name).ok()),
    }
    .map_err(usage)?;
    if let Some(archive) = &args.archive {
        config.archive = ChainConfig::parse(archive).map_err(usage)?.endpoints;
    }
    let store = connect(&args.database_url)?;
    store.migrate().await.map_err(|error| failed(&error))?;
    // Whichever endpoint answers, it has to be of this chain.
    let genesis = Chain::new(config.clone()).genesis().await.map_err(|error| unread(&error))?;
    config.genesis = Some(genesis);
    let chain = Chain::new(config);
    let key = FollowKey { genesis, netuid: args.netuid };
    let begun = store.follows().await.map_err(|error| failed(&error))?.into_iter().find(|follow| follow.key == key);
    *last = begun.map(|follow| follow.block.number);
    if let (Some(last), Some(until)) = (*last, args.until_block)
        && last >= until
    {
        return Ok(());
    }
    let mut follower = Follower::new(chain.clone(), Ledger { store, key }, args.netuid, args.from_block);
    if !args.no_gaps {
        follower = follower.leaving_out();
    }
    let (mut wait, mut told, mut doubt) = (WAITS.0, None::<Instant>, false);
    loop {
        match follower.next().await {
            Ok(taken) => {
                *last = Some(taken.block.number);
                (wait, doubt) = (WAITS.0, false);
                tell(&taken, args.output);
                if told.is_none_or(|told| told.elapsed() >= PROGRESS) {
                    progress(&chain, &taken).await;
                    told = Some(Instant::now());
                }
                if args.until_block.is_some_and(|until| taken.block.number >= until) {
                    return Ok(());
                }
            }
            Err(error) if passes(&error, !args.no_gaps && last.is_some()) || doubt && is_elsewhere(&error) => {
                // What the database gave no answer to may have been written all the same, even after it was asked where it is.
                doubt = !is_elsewhere(&error) && (doubt || matches!(&error, FollowError::Sink(error) if error.is_unavailable()));
                note(&format!("{error}; trying again in {} s", wait.as_secs()));
                sleep(wait).await;
                wait = (wait * 2).min(WAITS.1);
            }
            Err(FollowError::Read(error)) => return Err(unread(&error)),
            Err(FollowError::Sink(error)) => return Err(failed(&error)),
            Err(error @ FollowError::AnotherChain(_)) => {
                return Err(Failure::general(error.to_string()).advise("another endpoint, or another database"));
            }
        }
    }
}

/// Whether it is worth while to try again. A node that keeps few blocks is waited for as long as others may follow.
fn passes(error: &FollowError<Error>, waits: bool) -> bool {
    match error {
        FollowError::Read(ReadError::Rpc(RpcError::Discarded { .. })) => waits,
        FollowError::Read(error) => error.is_passing() || matches!(error, ReadError::NoSuchBlock(_)),
        FollowError::Sink(error) => error.is_unavailable(),
        FollowError::AnotherChain(_) => false,
    }
}

/// Whether the position is another than was thought.
fn is_elsewhere(error: &FollowError<Error>) -> bool {
    matches!(error, FollowError::Sink(Error::AlreadyExists(_)))
}

fn usage(error: impl std::fmt::Display) -> Failure {
    Failure::new(Kind::Usage, error.to_string())
}

fn unread(error: &ReadError) -> Failure {
    let kind = if error.is_passing() { Kind::Unreachable } else { Kind::General };
    Failure::new(kind, error.to_string()).advise("another --endpoint; for blocks of long ago, --archive")
}

/// The changes of a block; of the first one, which are all that is there, only their number.
fn tell(taken: &Taken, form: Output) {
    let block = taken.block.number;
    if taken.first {
        note(&format!("begun with block {block}: {} UIDs", taken.running));
        return;
    }
    if let Some(one) = taken.changes.left_out {
        let unknown = taken.changes.closed.len();
        let (from, to) = (one.from, one.to);
        let which = if from == to { format!("block {from} is") } else { format!("blocks {from} to {to} are") };
        let nowhere = || "no node keeps them any more, and --archive names none that does".to_owned();
        let why = taken.undecodable.as_ref().map_or_else(nowhere, |why| format!("the state cannot be decoded: {why}"));
        note(&format!(
            "{which} left out: {why}. {unknown} tenures ended there at a moment that is not known, and who came and went is not seen"
        ));
        if matches!(form, Output::Json) {
            output::json(&json!({ "event": "left_out", "from": from, "to": to }));
        }
    }
    let say = |netuid: u16, uid: u16, what: &str, hotkey: String, registered_at: u64| match form {
        Output::Table => output::line(&format!("{block:>8}  {netuid:>3}/{uid:<4}  {what:<15}  {hotkey}")),
        Output::Json => output::json(&json!({
            "block": block, "netuid": netuid, "uid": uid, "event": what, "hotkey": hotkey, "registered_at": registered_at,
        })),
    };
    for one in &taken.changes.closed {
        say(one.netuid, one.uid, one.end.name(), one.place.hotkey.to_string(), one.place.registered_at);
    }
    for one in &taken.changes.opened {
        let what = if one.continues.is_some() { "goes_on" } else { "registered" };
        say(one.netuid, one.uid, what, one.place.hotkey.to_string(), one.place.registered_at);
        if one.passed {
            say(one.netuid, one.uid, "replaced", one.place.hotkey.to_string(), one.place.registered_at);
        }
    }
}

async fn progress(chain: &Chain, taken: &Taken) {
    // A node that does not answer is noticed at the next block.
    let Ok(finalized) = chain.finalized().await else { return };
    let behind = match finalized.number.saturating_sub(taken.block.number) {
        0 => "the newest final one".to_owned(),
        blocks => format!("{blocks} behind"),
    };
    note(&format!("block {}, {behind}: {} UIDs", taken.block.number, taken.running));
}
