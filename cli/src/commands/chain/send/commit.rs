//! `chain commit-weights` and `chain reveal-weights`: weights that others see only when they can no longer copy them.
//!
//! What is committed to can be revealed only with its salt, so the salt is on disk before anything is sent.

use super::{
    Act, Call, Role, Sending,
    session::{Session, session},
    timelocked,
    weights::{Given, arguments},
};
use crate::{commands::chain::failed, failure::Failure, hotkey::expand, output};
use chain::{
    read::AccountId,
    submit::{Mechanism, Weights},
    wallet::store,
};
use clap::Args as ClapArgs;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;

/// Numbers of salt, 16 bits each: what cannot be guessed in the hour that it is kept.
const SALT: usize = 8;
/// What a file says of itself.
const FORMAT: &str = "chutes-miner weights to reveal, 1";

/// Commit to weights that are revealed later, signed by the hotkey.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    override_usage = "chutes-miner chain commit-weights [OPTIONS] <--timelocked|--save <FILE>>\n           <NETUID> [UID=WEIGHT]...",
    after_help = "Examples:\n  chutes-miner chain commit-weights 2 7=1 9=0.5 --timelocked --dry-run\n  \
        chutes-miner chain commit-weights 2 7=1 9=0.5 --save weights.json\n\n\
        Timelocked weights are encrypted, and the chain itself reveals them. The others\n\
        are revealed with reveal-weights and the salt in the file, which is written\n\
        before anything is sent: without it they can never be revealed."
)]
pub(in crate::commands::chain) struct CommitWeights {
    /// The subnet
    netuid: u16,
    #[command(flatten)]
    given: Given,
    /// The chain itself reveals them, when the beacon drand has come so far
    #[arg(long, conflicts_with = "save")]
    timelocked: bool,
    /// The file to be, with what reveals them; never over another
    #[arg(long, value_name = "FILE", required_unless_present = "timelocked")]
    save: Option<String>,
    #[command(flatten)]
    sending: Sending,
}

/// Reveal weights that were committed to, signed by the same hotkey.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    after_help = "Example:\n  chutes-miner chain reveal-weights weights.json --dry-run\n\n\
        The chain takes them in a later epoch only, as many as the subnet says; the\ndry run tells whether it is time."
)]
pub(in crate::commands::chain) struct RevealWeights {
    /// What commit-weights saved
    file: String,
    #[command(flatten)]
    sending: Sending,
}

/// What reveals weights.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    format: String,
    /// Of the chain, in hexadecimal digits.
    genesis: String,
    netuid: u16,
    #[serde(default)]
    mechanism: u8,
    hotkey: AccountId,
    uids: Vec<u16>,
    values: Vec<u16>,
    version_key: u64,
    salt: Vec<u16>,
    /// What the chain has, in hexadecimal digits.
    commitment: String,
}

pub(in crate::commands::chain) async fn commit(args: CommitWeights) -> Result<(), Failure> {
    let weights = args.given.weights()?;
    let Some(save) = &args.save else { return timelocked::commit(&args.sending, args.netuid, args.given.mechanism, weights).await };
    let (netuid, mechanism, path) = (args.netuid, args.given.mechanism, expand(save));
    store::check_place(&path, false)
        .map_err(|error| Failure::general(error.to_string()).advise("--save FILE, one that is not there yet"))?;
    let salt = salt()?;
    session(&args.sending, Role::Hotkey, async |session: &mut Session| {
        let hotkey = session.signer;
        let commitment = weights.mechanism_commitment(hotkey, netuid, mechanism, &salt);
        let mut arguments = arguments(netuid, mechanism, &weights);
        arguments.push(("commit_hash", format!("0x{}", hex::encode(commitment)), json!(format!("0x{}", hex::encode(commitment)))));
        let kept = Kept {
            format: FORMAT.to_owned(),
            genesis: hex::encode(session.chain().genesis().await.map_err(failed)?),
            netuid,
            mechanism: mechanism.number(),
            hotkey,
            uids: weights.uids().to_vec(),
            values: weights.values().to_vec(),
            version_key: weights.version_key(),
            salt,
            commitment: hex::encode(commitment),
        };
        let act = Act {
            call: if mechanism == Mechanism::MAIN {
                Call::CommitWeights { netuid, commitment }
            } else {
                Call::CommitMechanismWeights { netuid, mechanism, commitment }
            },
            arguments,
            balance: None,
            hidden: Some((netuid, weights)),
        };
        session.plan(&act).await?;
        // On disk, and so is its name, when this returns.
        let write = async || write(&path, &kept);
        let sent = session.carry_out(&act, write).await;
        if path.exists() {
            session.tell("saved", json!(path.display().to_string()));
        }
        if sent?.is_some() {
            session.line("Reveal them", &format!("in a later epoch with: chutes-miner chain reveal-weights {}", path.display()));
        }
        Ok(())
    })
    .await
}

pub(in crate::commands::chain) async fn reveal(args: RevealWeights) -> Result<(), Failure> {
    let path = expand(&args.file);
    let (kept, mechanism, weights) = read(&path)?;
    session(&args.sending, Role::Hotkey, async |session: &mut Session| {
        let genesis = hex::encode(session.chain().genesis().await.map_err(failed)?);
        let differs = |what: String| Err(Failure::general(format!("{}: {what}; nothing was sent", path.display())));
        if genesis != kept.genesis {
            return differs("these weights were committed to on another chain".to_owned());
        }
        if session.signer != kept.hotkey {
            return differs(format!("{} committed to these weights, not {}", kept.hotkey, session.signer));
        }
        let (netuid, salt) = (kept.netuid, kept.salt);
        let mut arguments = arguments(netuid, mechanism, &weights);
        arguments.push(("salt", format!("from {}", path.display()), json!(null)));
        let act = Act {
            call: if mechanism == Mechanism::MAIN {
                Call::RevealWeights { netuid, weights, salt }
            } else {
                Call::RevealMechanismWeights { netuid, mechanism, weights, salt }
            },
            arguments,
            balance: None,
            hidden: None,
        };
        session.plan(&act).await?;
        session.carry_out(&act, async || Ok(())).await.map(drop)
    })
    .await
}

fn salt() -> Result<Vec<u16>, Failure> {
    let mut bytes = [0; 2 * SALT];
    getrandom::fill(&mut bytes).map_err(|error| Failure::general(format!("the system gives no random numbers: {error}")))?;
    Ok(bytes.chunks_exact(2).map(|pair| pair.iter().fold(0, |number, byte| number << 8 | u16::from(*byte))).collect())
}

fn write(path: &Path, kept: &Kept) -> Result<(), Failure> {
    let bytes = serde_json::to_vec_pretty(kept).map_err(|error| Failure::general(error.to_string()))?;
    store::write(path, &bytes, false).map_err(|error| Failure::general(format!("{error}; nothing was sent")))?;
    output::note(&format!("saved to {} what reveals these weights; keep it until they are revealed", path.display()));
    Ok(())
}

/// What was kept, with its commitment computed anew.
fn read(path: &Path) -> Result<(Kept, Mechanism, Weights), Failure> {
    let text = service::secret_file(path).map_err(|error| Failure::general(error.to_string()))?;
    let wrong = |what: &str| Failure::general(format!("{}: {what}", path.display())).advise("a file that chain commit-weights saved");
    let kept: Kept = serde_json::from_str(&text).map_err(|_| wrong("this is no file of weights to reveal"))?;
    if kept.format != FORMAT || kept.uids.len() != kept.values.len() {
        return Err(wrong("this is no file of weights to reveal, or one of another version"));
    }
    let pairs = kept.uids.iter().copied().zip(kept.values.iter().copied());
    let weights = Weights::new(pairs, kept.version_key).map_err(|error| wrong(&error.to_string()))?;
    let mechanism = Mechanism::new(kept.mechanism).map_err(|error| wrong(&error.to_string()))?;
    if hex::encode(weights.mechanism_commitment(kept.hotkey, kept.netuid, mechanism, &kept.salt)) != kept.commitment {
        return Err(wrong("the commitment is not one to these weights"));
    }
    Ok((kept, mechanism, weights))
}
