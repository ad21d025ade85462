//! `chain commit-weights --timelocked`: weights that the chain itself reveals. No salt, no file, nothing to do later.

use super::{
    Act, Call, Role, Sending,
    session::{Session, session},
    weights::arguments,
};
use crate::{commands::chain::failed, failure::Failure};
use chain::submit::{Mechanism, TimelockError, Weights, reveal_plan};
use serde_json::json;

pub(super) async fn commit(sending: &Sending, netuid: u16, mechanism: Mechanism, weights: Weights) -> Result<(), Failure> {
    session(sending, Role::Hotkey, async |session: &mut Session| {
        // At the newest block, final or not: included an epoch later than thought, they would be readable an epoch early.
        let plan = reveal_plan(&session.at, netuid).await.map_err(locked)?;
        let commit = plan.seal(&weights, session.signer).map_err(locked)?;
        session.tell("reveal", json!(plan));
        let (bytes, round, version) = (commit.as_bytes(), commit.round().0, commit.version());
        let mut arguments = arguments(netuid, mechanism, &weights);
        arguments.push(("commit", format!("{} bytes, encrypted", bytes.len()), json!(format!("0x{}", hex::encode(bytes)))));
        arguments.push(("reveal_round", format!("{round} of drand, made at {}", plan.time), json!(round)));
        arguments.push(("commit_reveal_version", version.to_string(), json!(version)));
        let call = Call::CommitTimelockedWeights { netuid, mechanism, commit };
        let act = Act { call, arguments, balance: None, hidden: Some((netuid, weights)) };
        session.plan(&act).await?;
        session.line("Reveal", &format!("by the chain in block {} or soon after, about {}", plan.block, plan.time));
        let chain = session.chain().clone();
        // Somebody may have thought about it for longer than the epoch lasted.
        let still = async || {
            let newest = chain.at(chain.best().await.map_err(failed)?).await.map_err(failed)?;
            if reveal_plan(&newest, netuid).await.map_err(locked)?.block == plan.block {
                return Ok(());
            }
            Err(Failure::general("an epoch has ended meanwhile, and these weights could be read too early; nothing was sent")
                .advise("the same once more"))
        };
        session.carry_out(&act, still).await.map(drop)
    })
    .await
}

fn locked(error: TimelockError) -> Failure {
    let what = format!("{error}; nothing was sent");
    match error {
        TimelockError::Read(error) => failed(error),
        TimelockError::Open(_) => Failure::general(what).advise("chutes-miner chain set-weights"),
        _ => Failure::general(what),
    }
}
