//! The ledger as the API uses it.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// Whether a signature was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remembered {
    /// Never.
    First,
    /// Before.
    Again,
}

/// Postgres did not answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct LedgerDown(pub String);

/// Sums of the ledger over the last day, for `status`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sums {
    /// Over how many hours.
    pub hours: u32,
    /// Paid GPU-seconds by server.
    pub gpu_seconds_by_server: BTreeMap<String, f64>,
    /// Paid GPU-seconds by chute id.
    pub gpu_seconds_by_chute: BTreeMap<String, f64>,
    /// Idle GPU-seconds by reason code.
    pub idle_seconds_by_reason: BTreeMap<String, f64>,
    /// Cost in US dollars.
    pub cost_usd: f64,
    /// Why each GPU that is idle now is idle, by GPU UUID.
    pub idle_now: BTreeMap<String, String>,
    /// Launches that failed in a row, by reason.
    pub failing: Vec<Failing>,
}

/// Launches that failed, each without one of the same chute on the same server having gone well since.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Failing {
    /// Reason code.
    pub reason: String,
    /// Which.
    pub pairs: Vec<FailingPair>,
}

/// A chute that does not start on a server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FailingPair {
    /// The validator's id of the chute.
    pub chute_id: String,
    /// The server.
    pub server: String,
    /// How many in a row.
    pub failures: u32,
    /// When the last one ended.
    pub last: Timestamp,
}

/// What the API asks of Postgres and Redis.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Notes a signature until a time (Unix seconds) and says whether it was there.
    async fn remember(&self, signature_key: &str, expires_unix: i64) -> Result<Remembered, LedgerDown>;
    /// Writes down what a person did. Losing one is logged, not fatal.
    async fn event(&self, kind: &str, subject: &str, message: &str);
    /// Sums for `status`.
    async fn sums(&self) -> Result<Sums, LedgerDown>;
}
