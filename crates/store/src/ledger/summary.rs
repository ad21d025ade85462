//! What the intervals add up to over a span of time.

use jiff::Timestamp;
use protocol::ids::{ChuteId, ServerName};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::rows::{At, Columns as _};
use crate::{Error, Store};

/// What one chute did on one server.
#[derive(Debug, Clone, PartialEq)]
pub struct ComputeLine {
    /// Where.
    pub server: ServerName,
    /// What.
    pub chute_id: ChuteId,
    /// Instances that were active in the span.
    pub instances: u64,
    /// GPU-seconds between activation and end.
    pub paid_gpu_seconds: f64,
    /// GPU-seconds between creation and activation, of instances that came to be active.
    pub warm_up_gpu_seconds: f64,
    /// Seconds times multiplier, what the network counts. The validator's multiplier has the GPUs in it already.
    pub compute_units: f64,
}

/// How long a server's GPUs stood idle for one reason.
#[derive(Debug, Clone, PartialEq)]
pub struct IdleLine {
    /// Where.
    pub server: ServerName,
    /// Why.
    pub reason_code: String,
    /// GPU-seconds.
    pub gpu_seconds: f64,
}

/// What a server cost.
#[derive(Debug, Clone, PartialEq)]
pub struct CostLine {
    /// Which.
    pub server: ServerName,
    /// Millionths of a US dollar.
    pub micro_usd: i64,
}

/// Sums over a span of time. Which active seconds the network really pays for is the reward model's affair.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LedgerSummary {
    /// By server and chute.
    pub compute: Vec<ComputeLine>,
    /// By server and reason.
    pub idle: Vec<IdleLine>,
    /// By server.
    pub cost: Vec<CostLine>,
}

impl LedgerSummary {
    /// GPU-seconds of active instances, of the whole fleet.
    #[must_use]
    pub fn paid_gpu_seconds(&self) -> f64 {
        self.compute.iter().map(|line| line.paid_gpu_seconds).sum()
    }
}

impl Store {
    /// Adds up the ledger from `from` until `to`; open intervals are taken to last until `to`.
    pub async fn ledger_summary(&self, from: Timestamp, to: Timestamp) -> Result<LedgerSummary, Error> {
        if to < from {
            return Err(Error::Invalid(format!("a summary from {from} cannot end earlier, at {to}")));
        }
        Ok(LedgerSummary {
            compute: self.sums(COMPUTE, from, to, compute_line).await?,
            idle: self.sums(IDLE, from, to, idle_line).await?,
            cost: self.sums(COST, from, to, cost_line).await?,
        })
    }

    async fn sums<T>(
        &self,
        query: &'static str,
        from: Timestamp,
        to: Timestamp,
        line: fn(&PgRow) -> sqlx::Result<T>,
    ) -> Result<Vec<T>, Error> {
        self.within(async {
            let rows = sqlx::query(query).bind(At(from)).bind(At(to)).fetch_all(&self.pool).await?;
            rows.iter().map(|row| line(row).map_err(Error::from)).collect()
        })
        .await
    }
}

const COMPUTE: &str = "
    SELECT i.server, i.chute_id, count(*) AS instances,
           sum(i.gpu_count * span_seconds(i.activated_at, i.deleted_at, $1, $2)) AS paid,
           sum(i.gpu_count * span_seconds(i.created_at, i.activated_at, $1, $2)) AS warm_up,
           coalesce(sum(units.sum), 0) AS units
    FROM compute_intervals i
    CROSS JOIN LATERAL (
        SELECT sum(m.multiplier_micro / 1e6::float8
                   * span_seconds(greatest(m.from_at, i.created_at), least(m.to_at, i.deleted_at), $1, $2)) AS sum
        FROM multiplier_segments m WHERE m.instance_id = i.instance_id
    ) units
    WHERE i.activated_at IS NOT NULL AND i.created_at < $2 AND coalesce(i.deleted_at, $2) >= $1
    GROUP BY i.server, i.chute_id ORDER BY i.server, i.chute_id";

const IDLE: &str = "
    SELECT server, reason_code, sum(span_seconds(from_at, to_at, $1, $2)) AS seconds
    FROM idle_intervals WHERE from_at < $2 AND coalesce(to_at, $2) >= $1
    GROUP BY server, reason_code ORDER BY server, reason_code";

const COST: &str = "
    SELECT server, round(sum(gpu_hour_micro_usd * gpu_count * span_seconds(from_at, to_at, $1, $2) / 3600))::bigint AS micro_usd
    FROM cost_intervals WHERE from_at < $2 AND coalesce(to_at, $2) >= $1
    GROUP BY server ORDER BY server";

fn compute_line(row: &PgRow) -> sqlx::Result<ComputeLine> {
    Ok(ComputeLine {
        server: row.id("server")?,
        chute_id: row.id("chute_id")?,
        instances: row.try_get::<i64, _>("instances")?.unsigned_abs(),
        paid_gpu_seconds: row.try_get("paid")?,
        warm_up_gpu_seconds: row.try_get("warm_up")?,
        compute_units: row.try_get("units")?,
    })
}

fn idle_line(row: &PgRow) -> sqlx::Result<IdleLine> {
    Ok(IdleLine { server: row.id("server")?, reason_code: row.try_get("reason_code")?, gpu_seconds: row.try_get("seconds")? })
}

fn cost_line(row: &PgRow) -> sqlx::Result<CostLine> {
    Ok(CostLine { server: row.id("server")?, micro_usd: row.try_get("micro_usd")? })
}
