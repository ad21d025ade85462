//! [`Ledger`] over Postgres.

mod failing;

use crate::ports::ledger::{Ledger, LedgerDown, Remembered, Sums};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use store::{Error, Freshness, Store};
use tokio::time::Instant;

/// Hours that `status` sums up.
const HOURS: u32 = 24;
/// So many of the latest deployments are looked at for launches that fail; as many as the planner looks at.
const RECENT: u32 = 500;

/// After a failure nobody asks again for so long: each try would hold a request for seconds.
const REST: Duration = Duration::from_secs(3);

/// The ledger.
#[derive(Clone, Debug)]
pub struct PostgresLedger {
    store: Store,
    failed: Arc<Mutex<Option<(Instant, String)>>>,
}

impl PostgresLedger {
    /// Over an open store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, failed: Arc::default() }
    }

    /// Asks, unless Postgres failed to answer just now.
    async fn ask<T>(&self, question: impl Future<Output = Result<T, Error>>) -> Result<T, LedgerDown> {
        if let Some((at, why)) = &*self.failed.lock().unwrap_or_else(PoisonError::into_inner)
            && at.elapsed() < REST
        {
            return Err(LedgerDown(why.clone()));
        }
        let answer = question.await;
        let failure = answer.as_ref().err().filter(|error| error.is_unavailable()).map(|error| (Instant::now(), error.to_string()));
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = failure;
        answer.map_err(|error| LedgerDown(error.to_string()))
    }
}

#[async_trait]
impl Ledger for PostgresLedger {
    async fn remember(&self, signature_key: &str, expires_unix: i64) -> Result<Remembered, LedgerDown> {
        let hash = unhex(signature_key).ok_or_else(|| LedgerDown("not a hash".to_owned()))?;
        let expires = Timestamp::from_second(expires_unix).map_err(|error| LedgerDown(error.to_string()))?;
        match self.ask(self.store.remember_nonce(&hash, expires)).await? {
            Freshness::Fresh => Ok(Remembered::First),
            Freshness::Replay => Ok(Remembered::Again),
        }
    }

    async fn event(&self, kind: &str, subject: &str, message: &str) {
        tracing::info!(kind, subject, "{message}");
        if let Err(error) = self.ask(self.store.record_event(kind, subject, message)).await {
            tracing::warn!(%error, kind, subject, "an event could not be written down");
        }
    }

    async fn sums(&self) -> Result<Sums, LedgerDown> {
        let to = Timestamp::now();
        let from = to.checked_sub(SignedDuration::from_hours(i64::from(HOURS))).unwrap_or(to);
        let summary = self.ask(self.store.ledger_summary(from, to)).await?;
        let mut sums = Sums { hours: HOURS, ..Sums::default() };
        for line in &summary.compute {
            *sums.gpu_seconds_by_server.entry(line.server.to_string()).or_default() += line.paid_gpu_seconds;
            *sums.gpu_seconds_by_chute.entry(line.chute_id.to_string()).or_default() += line.paid_gpu_seconds;
        }
        for line in &summary.idle {
            *sums.idle_seconds_by_reason.entry(line.reason_code.clone()).or_default() += line.gpu_seconds;
        }
        let micro: i64 = summary.cost.iter().map(|line| line.micro_usd).sum();
        #[expect(clippy::cast_precision_loss, reason = "a day's cost in micro-dollars is far below 2^52")]
        let usd = micro as f64 / 1e6;
        sums.cost_usd = usd;
        sums.failing = failing::rows(&self.ask(self.store.deployments_recent(RECENT)).await?, to);
        Ok(sums)
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_back() {
        assert_eq!(unhex("00ff7f"), Some(vec![0, 255, 127]));
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("zz"), None);
        assert_eq!(unhex("ü"), None);
    }
}
