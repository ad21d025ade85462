//! Multiplier segments: the rate of one instance over time, with where the figure came from.

use jiff::Timestamp;
use protocol::ids::InstanceId;
use sqlx::Row as _;

use crate::rows::{At, Columns as _};
use crate::{Error, Store};

/// A rate and how long it held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiplierSegment {
    /// In millionths; the instance's GPUs are counted in.
    pub multiplier_micro: i64,
    /// Where the figure came from.
    pub source: String,
    /// From when.
    pub from: Timestamp,
    /// Until when; none for the one that holds now.
    pub to: Option<Timestamp>,
}

impl Store {
    /// Notes the multiplier of an instance from `at` on, in millionths; the figure that holds already is no news and returns
    /// false, and so do one from before the last and one that comes after the instance's books were closed.
    pub async fn record_multiplier(
        &self,
        instance: &InstanceId,
        multiplier_micro: i64,
        source: &str,
        at: Timestamp,
    ) -> Result<bool, Error> {
        self.within(async {
            let mut tx = self.begin().await?;
            // Locked, so that nobody closes the books between this look and the new segment.
            let ended = sqlx::query("SELECT deleted_at IS NOT NULL AS ended FROM compute_intervals WHERE instance_id = $1 FOR UPDATE")
                .bind(instance.as_str())
                .fetch_optional(&mut *tx)
                .await?;
            if ended.map(|row| row.try_get::<bool, _>("ended")).transpose()? == Some(true) {
                return Ok(false);
            }
            let open = sqlx::query(
                "SELECT id, multiplier_micro, source, from_at FROM multiplier_segments
                 WHERE instance_id = $1 AND to_at IS NULL FOR UPDATE",
            )
            .bind(instance.as_str())
            .fetch_optional(&mut *tx)
            .await?;
            if let Some(open) = open {
                let same =
                    open.try_get::<i64, _>("multiplier_micro")? == multiplier_micro && open.try_get::<String, _>("source")? == source;
                if same || at < open.at("from_at")? {
                    return Ok(false);
                }
                sqlx::query("UPDATE multiplier_segments SET to_at = $2 WHERE id = $1")
                    .bind(open.try_get::<i64, _>("id")?)
                    .bind(At(at))
                    .execute(&mut *tx)
                    .await?;
            }
            sqlx::query("INSERT INTO multiplier_segments (instance_id, multiplier_micro, source, from_at) VALUES ($1, $2, $3, $4)")
                .bind(instance.as_str())
                .bind(multiplier_micro)
                .bind(source)
                .bind(At(at))
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    /// The rates of an instance, oldest first.
    pub async fn multipliers(&self, instance: &InstanceId) -> Result<Vec<MultiplierSegment>, Error> {
        self.within(async {
            let rows = sqlx::query(
                "SELECT multiplier_micro, source, from_at, to_at FROM multiplier_segments
                 WHERE instance_id = $1 ORDER BY from_at, id",
            )
            .bind(instance.as_str())
            .fetch_all(&self.pool)
            .await?;
            rows.iter()
                .map(|row| {
                    Ok(MultiplierSegment {
                        multiplier_micro: row.try_get("multiplier_micro")?,
                        source: row.try_get("source")?,
                        from: row.at("from_at")?,
                        to: row.maybe_at("to_at")?,
                    })
                })
                .collect()
        })
        .await
    }
}
