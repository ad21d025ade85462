//! [`Ledger`] over Postgres.

use crate::ports::ledger::{Ledger, LedgerDown, Remembered, Sums};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use store::{Error, Freshness, Store};

/// Hours that `status` sums up.
const HOURS: u32 = 24;

/// The ledger.
#[derive(Clone, Debug)]
pub struct PostgresLedger {
    store: Store,
}

impl PostgresLedger {
    /// Over an open store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

fn down(error: Error) -> LedgerDown {
    LedgerDown(error.to_string())
}

#[async_trait]
impl Ledger for PostgresLedger {
    async fn remember(&self, signature_key: &str, expires_unix: i64) -> Result<Remembered, LedgerDown> {
        let hash = unhex(signature_key).ok_or_else(|| LedgerDown("not a hash".to_owned()))?;
        let expires = Timestamp::from_second(expires_unix).map_err(|error| LedgerDown(error.to_string()))?;
        match self.store.remember_nonce(&hash, expires).await.map_err(down)? {
            Freshness::Fresh => Ok(Remembered::First),
            Freshness::Replay => Ok(Remembered::Again),
        }
    }

    async fn event(&self, kind: &str, subject: &str, message: &str) {
        tracing::info!(kind, subject, "{message}");
        if let Err(error) = self.store.record_event(kind, subject, message).await {
            tracing::warn!(%error, kind, subject, "an event could not be written down");
        }
    }

    async fn sums(&self) -> Result<Sums, LedgerDown> {
        let to = Timestamp::now();
        let from = to.checked_sub(SignedDuration::from_hours(i64::from(HOURS))).unwrap_or(to);
        let summary = self.store.ledger_summary(from, to).await.map_err(down)?;
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
