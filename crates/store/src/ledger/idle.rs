//! Idle intervals: which GPU earned nothing, and why.

use jiff::Timestamp;
use protocol::ids::{GpuUuid, ServerName};

use crate::rows::At;
use crate::{Error, Store};

/// A GPU that stands idle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdleGpu {
    /// Which.
    pub gpu: GpuUuid,
    /// Why, for machines.
    pub reason_code: String,
}

impl Store {
    /// Notes which of a server's GPUs stand idle from `at` on. GPUs of the server that are not named are busy; the ones idle
    /// for the reason they were idle for before are no news. Returns how many intervals began or ended.
    pub async fn record_idle(&self, server: &ServerName, idle: &[IdleGpu], at: Timestamp) -> Result<u64, Error> {
        let gpus: Vec<&str> = idle.iter().map(|idle| idle.gpu.as_str()).collect();
        let reasons: Vec<&str> = idle.iter().map(|idle| idle.reason_code.as_str()).collect();
        self.within(async {
            let mut tx = self.begin().await?;
            // A GPU that moved here ends what it began elsewhere.
            let ended = sqlx::query(
                "UPDATE idle_intervals AS open SET to_at = greatest($4, from_at)
                 WHERE to_at IS NULL AND (server = $1 OR gpu = ANY($2))
                   AND NOT EXISTS (SELECT FROM unnest($2::text[], $3::text[]) AS now(gpu, reason_code)
                                   WHERE open.server = $1 AND now.gpu = open.gpu AND now.reason_code = open.reason_code)",
            )
            .bind(server.as_str())
            .bind(&gpus)
            .bind(&reasons)
            .bind(At(at))
            .execute(&mut *tx)
            .await?;
            let began = sqlx::query(
                "INSERT INTO idle_intervals (gpu, server, reason_code, from_at)
                 SELECT now.gpu, $1, now.reason_code, $4 FROM unnest($2::text[], $3::text[]) AS now(gpu, reason_code)
                 WHERE NOT EXISTS (SELECT FROM idle_intervals AS open WHERE open.gpu = now.gpu AND open.to_at IS NULL)",
            )
            .bind(server.as_str())
            .bind(&gpus)
            .bind(&reasons)
            .bind(At(at))
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(ended.rows_affected() + began.rows_affected())
        })
        .await
    }
}
