//! Cost intervals: what a server costs, dated.

use jiff::Timestamp;
use protocol::ids::ServerName;
use sqlx::Row as _;

use crate::rows::{At, Columns as _};
use crate::{Error, Store};

impl Store {
    /// Notes that each of a server's `gpu_count` GPUs costs this much per hour from `at` on, in millionths of a US dollar.
    /// The figures that hold already are no news and return false, and so do figures from before the last.
    pub async fn record_cost(&self, server: &ServerName, gpu_hour_micro_usd: i64, gpu_count: u32, at: Timestamp) -> Result<bool, Error> {
        let gpu_count = i32::try_from(gpu_count).map_err(|_| Error::Invalid("more GPUs than can be counted".to_owned()))?;
        self.within(async {
            let mut tx = self.begin().await?;
            let open = sqlx::query(
                "SELECT id, gpu_hour_micro_usd, gpu_count, from_at FROM cost_intervals
                 WHERE server = $1 AND to_at IS NULL FOR UPDATE",
            )
            .bind(server.as_str())
            .fetch_optional(&mut *tx)
            .await?;
            if let Some(open) = open {
                let same = open.try_get::<i64, _>("gpu_hour_micro_usd")? == gpu_hour_micro_usd
                    && open.try_get::<i32, _>("gpu_count")? == gpu_count;
                if same || at < open.at("from_at")? {
                    return Ok(false);
                }
                sqlx::query("UPDATE cost_intervals SET to_at = $2 WHERE id = $1")
                    .bind(open.try_get::<i64, _>("id")?)
                    .bind(At(at))
                    .execute(&mut *tx)
                    .await?;
            }
            sqlx::query("INSERT INTO cost_intervals (server, gpu_hour_micro_usd, gpu_count, from_at) VALUES ($1, $2, $3, $4)")
                .bind(server.as_str())
                .bind(gpu_hour_micro_usd)
                .bind(gpu_count)
                .bind(At(at))
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Notes that a server costs nothing any more from `at` on; returns false where nothing was running up.
    pub async fn end_cost(&self, server: &ServerName, at: Timestamp) -> Result<bool, Error> {
        self.within(async {
            let done = sqlx::query("UPDATE cost_intervals SET to_at = greatest($2, from_at) WHERE server = $1 AND to_at IS NULL")
                .bind(server.as_str())
                .bind(At(at))
                .execute(&self.pool)
                .await?;
            Ok(done.rows_affected() == 1)
        })
        .await
    }
}
