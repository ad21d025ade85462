//! Sums of the ledger.

use crate::ports::ledger::{LedgerDown, Sums};
use serde::Serialize;

/// Sums, or why there are none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LedgerReport {
    /// Whether Postgres answered.
    pub available: bool,
    /// Why not.
    pub error: Option<String>,
    /// The sums of the last day; zeros without Postgres.
    #[serde(flatten)]
    pub sums: Sums,
}

pub(super) fn of(sums: Result<Sums, LedgerDown>) -> LedgerReport {
    match sums {
        Ok(sums) => LedgerReport { available: true, error: None, sums },
        Err(error) => LedgerReport { available: false, error: Some(error.to_string()), sums: Sums::default() },
    }
}
