//! Sending, until it is known what became of it.

use super::{super::outcome, Session};
use crate::{
    commands::chain::endpoints::named,
    failure::{Failure, Kind},
    output,
};
use chain::{
    read::{AccountId, Chain},
    submit::{Outcome, Prepared, SubmitError, Trace},
};
use serde_json::json;
use std::{convert::Infallible, time::Duration};
use tokio::time::sleep;

/// Between two looks at the newest block while waiting.
const LOOK: Duration = Duration::from_secs(6);
/// Looks after which it is said that nothing happened.
const QUIET: u32 = 10;

impl Session {
    pub(super) async fn send(&mut self, prepared: Prepared<'_>) -> Result<Outcome, Failure> {
        let (nonce, last_block) = (prepared.signing().nonce, prepared.trace().last_block);
        let tell = |trace: Trace| {
            let (hash, last_block) = (format!("0x{}", hex::encode(trace.hash)), trace.last_block);
            output::note(&format!("sending {hash}; waiting for a block to take it, up to {last_block}"));
            self.report.insert("extrinsic".to_owned(), json!(hash));
            self.report.insert("valid_from_block".to_owned(), json!(trace.birth.number.saturating_add(1)));
            self.report.insert("valid_until_block".to_owned(), json!(last_block));
            self.sent = Some(trace);
        };
        let submitted = tokio::select! {
            biased;
            submitted = prepared.submit_telling(tell) => submitted,
            never = progress(&self.chain, self.signer, nonce, last_block) => match never {},
        };
        let known = match submitted {
            Ok(known) => known,
            Err(error) => {
                let lost = matches!(error, SubmitError::Unknown { .. });
                let failure = self.unsent(error);
                if !lost {
                    self.sent = None;
                }
                return Err(failure);
            }
        };
        self.sent = None;
        self.tell("outcome", json!(known));
        self.line("Included", &format!("block {}, extrinsic {}, final", named(known.block), known.index));
        if let Some(fee) = known.fee_rao {
            self.line("Fee paid", &self.amount(fee));
        }
        match &known.failure {
            None => {
                self.tell("result", json!("done"));
                Ok(known)
            }
            Some(failure) => {
                self.tell("result", json!("failed"));
                Err(outcome::failed(failure, known.fee_rao))
            }
        }
    }

    /// Words for an extrinsic that has no outcome.
    pub(super) fn unsent(&mut self, error: SubmitError) -> Failure {
        let (result, failure) = outcome::unsent(error, &self.sending.nodes);
        self.tell("result", json!(result));
        failure
    }

    /// Words for somebody who waits no longer.
    pub(super) fn interrupted(&mut self) -> Failure {
        let Some(sent) = self.sent else {
            // What is final stays so, whoever stops reading.
            let known = self.report.contains_key("outcome");
            self.report.entry("result").or_insert(json!("interrupted"));
            let what = if known { "interrupted; it was done, and not all of it was read back" } else { "interrupted; nothing was sent" };
            return Failure::new(Kind::Interrupted, what);
        };
        let hash = hex::encode(sent.hash);
        let what = format!("interrupted; the extrinsic 0x{hash} may be on its way, and in a block up to {}", sent.last_block);
        self.tell("result", json!("unknown"));
        Failure::new(Kind::Interrupted, what).advise(outcome::how_to_look(&sent, &self.sending.nodes))
    }
}

/// Says how far it is, for as long as it is waited for. The nonce tells of a block that is not final yet; what came of it is read when it is.
async fn progress(chain: &Chain, signer: AccountId, nonce: u32, last_block: u64) -> Infallible {
    let (mut included, mut looks) = (false, 0);
    loop {
        sleep(LOOK).await;
        looks += 1;
        let Ok(best) = chain.best().await else { continue };
        let Ok(at) = chain.at(best).await else { continue };
        let passed = at.account(signer).await.is_ok_and(|account| account.nonce > nonce);
        if passed && !included {
            output::note(&format!("block {} or one before it took it; waiting for it to be final", best.number));
            (included, looks) = (true, 0);
        } else if looks % QUIET == 0 {
            let what = if included { "not final yet".to_owned() } else { format!("no block took it yet; it is valid up to {last_block}") };
            output::note(&format!("block {}: {what}", best.number));
        }
    }
}
