//! `chain outcome`: what became of an extrinsic that was sent before.

use super::outcome::failed as did_nothing;
use crate::{
    args::Output,
    commands::chain::{Nodes, endpoints::named, exact, failed, network},
    failure::{Failure, Kind},
    output,
};
use chain::{
    read::{Block, Chain},
    submit::{Found, Outcome, Trace},
};
use clap::Args as ClapArgs;
use serde_json::{Map, Value, json};
use std::{fmt::Write as _, time::Duration};

/// For how long nodes are borne with that cannot be read.
const PATIENCE: Duration = Duration::from_secs(20);
/// Extrinsics are valid for 4,096 blocks at most, as this program signs them.
const MOST_BLOCKS: u64 = 4096;

/// What became of an extrinsic that was sent before.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    override_usage = "chutes-miner chain outcome [OPTIONS] <HASH>\n           --from-block <NUMBER> --to-block <NUMBER>",
    after_help = "Example:\n  chutes-miner chain outcome 0x5f..e1 --from-block 6852687 --to-block 6852814\n\n\
        A command that was interrupted after sending says these numbers. What no final\n\
        block up to the last has never will be in one, and may be sent again."
)]
pub(in crate::commands::chain) struct Look {
    /// Its hash: 0x and 64 hexadecimal digits
    #[arg(value_parser = hash)]
    hash: [u8; 32],
    /// The first block that may have it
    #[arg(long, value_name = "NUMBER")]
    from_block: u64,
    /// The last block that may have it
    #[arg(long, value_name = "NUMBER")]
    to_block: u64,
    /// How to print it
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// A node that keeps old blocks; may be repeated
    #[arg(long, value_name = "URL")]
    archive: Vec<String>,
    #[command(flatten)]
    nodes: Nodes,
}

fn hash(text: &str) -> Result<[u8; 32], String> {
    let bytes = hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok();
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| "0x and 64 hexadecimal digits are wanted".to_owned())
}

pub(in crate::commands::chain) async fn run(args: Look) -> Result<(), Failure> {
    let (from, to) = (args.from_block, args.to_block);
    let Some(birth) = from.checked_sub(1).filter(|_| from <= to && to - from < MOST_BLOCKS) else {
        let what = format!("--from-block is 1 or more and not after --to-block, and they are less than {MOST_BLOCKS} apart");
        return Err(Failure::new(Kind::Usage, what));
    };
    let (chain, given) = args.nodes.with_archive(&args.archive)?;
    let network = network(&chain, given).await?;
    let birth = chain.block(birth).await.map_err(failed)?;
    let trace = Trace { hash: args.hash, birth, last_block: to };
    let (mut told, ended) = found(&chain, &trace).await?;
    if args.output == Output::Table {
        output::text(&told.text);
        return ended;
    }
    told.tell("network", json!(network));
    told.tell("from_block", json!(from));
    told.tell("error", json!(ended.as_ref().err().map(Failure::what)));
    output::json_indented(&Value::Object(told.report));
    ended
}

/// What is known, for programs and for people.
#[derive(Default)]
struct Told {
    report: Map<String, Value>,
    text: String,
}

impl Told {
    fn tell(&mut self, name: &str, value: Value) {
        self.report.insert(name.to_owned(), value);
    }

    fn line(&mut self, name: &str, value: &str) {
        let _ = writeln!(self.text, "{}", output::wrapped(&format!("{name:<10}{value}"), output::width(), 10));
    }
}

async fn found(chain: &Chain, trace: &Trace) -> Result<(Told, Result<(), Failure>), Failure> {
    let mut told = Told::default();
    let (hash, from, to) = (format!("0x{}", hex::encode(trace.hash)), trace.birth.number.saturating_add(1), trace.last_block);
    told.tell("extrinsic", json!(hash));
    told.tell("to_block", json!(to));
    let (result, ended) = match trace.look(chain, PATIENCE).await.map_err(failed)? {
        Found::In { block, index } => {
            told.tell("block", json!(block));
            told.tell("index", json!(index));
            told.line("Included", &format!("block {}, extrinsic {index}, final", named(block)));
            included(chain, block, index, &mut told).await
        }
        Found::NotYet { newest } => {
            told.tell("newest_block", json!(newest));
            let what = format!("no final block up to {} has {hash}, and later ones up to {to} may", newest.number);
            let failure = Failure::new(Kind::TimedOut, what);
            ("not_yet", Err(failure.advise("this again in some minutes; until then, do not send it again")))
        }
        Found::Never => {
            let what = format!("no block from {from} to {to} has {hash}: if it was valid in these only, it is in none and never will be");
            ("expired", Err(Failure::general(what).advise("sending it again; that is safe now")))
        }
    };
    told.tell("result", json!(result));
    Ok((told, ended))
}

/// What came of it, as its block's events say.
async fn included(chain: &Chain, block: Block, index: u32, told: &mut Told) -> (&'static str, Result<(), Failure>) {
    let read = async { Outcome::read(&chain.at(block).await?, index).await };
    match read.await {
        Ok(outcome) => {
            told.tell("outcome", json!(outcome));
            if let Some(fee) = outcome.fee_rao {
                told.line("Fee paid", &format!("{} TAO", exact(fee)));
            }
            if let Some(failure) = &outcome.failure {
                return ("failed", Err(did_nothing(failure, outcome.fee_rao)));
            }
            told.line("Result", "it did what it was to do");
            ("done", Ok(()))
        }
        Err(error) => {
            let why = failed(error);
            let what = format!("block {} has it; whether it did anything cannot be read: {}", block.number, why.what());
            ("included", Err(Failure::new(why.kind, what).advise("--archive URL names a node that keeps old blocks")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_32_bytes() {
        let digits = "ab".repeat(32);
        assert_eq!((hash(&digits), hash(&format!("0x{digits}"))), (Ok([0xab; 32]), Ok([0xab; 32])));
        for bad in ["", "0x", "0xab", &digits[1..], &format!("{digits}ab"), &digits.replace('b', "g")] {
            assert!(hash(bad).is_err(), "{bad}");
        }
    }
}
