//! Compute intervals: the life of an instance by the validator's own times.

use jiff::Timestamp;
use protocol::ids::{ChuteId, ChuteVersion, ConfigId, DeploymentId, InstanceId, ServerName, Ss58};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row as _};

use crate::rows::{At, Columns as _, uuid};
use crate::{Error, Store};

/// An instance as the validator tells it, as far as it has been told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceRecord {
    /// Its id at the validator.
    pub instance: InstanceId,
    /// Ours, where it is.
    pub deployment: Option<DeploymentId>,
    /// The launch config it was made with.
    pub config: Option<ConfigId>,
    /// Whose instance it is.
    pub validator: Ss58,
    /// What runs.
    pub chute_id: ChuteId,
    /// In which version.
    pub version: ChuteVersion,
    /// Where.
    pub server: ServerName,
    /// On how many GPUs.
    pub gpu_count: u32,
    /// Whether its owner pays for it, instead of everybody's requests.
    pub private: bool,
    /// The validator's time of creation.
    pub created_at: Timestamp,
    /// The validator's time of verification.
    pub verified_at: Option<Timestamp>,
    /// The validator's time of activation; it earns from here on.
    pub activated_at: Option<Timestamp>,
    /// The validator's time of deletion.
    pub deleted_at: Option<Timestamp>,
    /// The validator's reason.
    pub deletion_reason: Option<String>,
}

impl<'row> FromRow<'row, PgRow> for InstanceRecord {
    fn from_row(row: &'row PgRow) -> sqlx::Result<Self> {
        let deployment = row.try_get::<Option<uuid::Uuid>, _>("deployment")?;
        Ok(Self {
            instance: row.id("instance_id")?,
            deployment: deployment.map(|_| row.deployment("deployment")).transpose()?,
            config: row.maybe_id("config_id")?,
            validator: row.id("validator")?,
            chute_id: row.id("chute_id")?,
            version: row.id("version")?,
            server: row.id("server")?,
            gpu_count: row.try_get::<i32, _>("gpu_count")?.unsigned_abs(),
            private: row.try_get("private")?,
            created_at: row.at("created_at")?,
            verified_at: row.maybe_at("verified_at")?,
            activated_at: row.maybe_at("activated_at")?,
            deleted_at: row.maybe_at("deleted_at")?,
            deletion_reason: row.try_get("deletion_reason")?,
        })
    }
}

impl Store {
    /// Writes what became known of an instance; what is written already stays as it is. Its end closes its multiplier too.
    /// Returns whether anything was new.
    pub async fn record_instance(&self, seen: &InstanceRecord) -> Result<bool, Error> {
        let deployment = seen.deployment.as_ref().map(uuid).transpose()?;
        let gpu_count = i32::try_from(seen.gpu_count).map_err(|_| Error::Invalid("more GPUs than can be counted".to_owned()))?;
        self.within(async {
            let mut tx = self.begin().await?;
            let done = sqlx::query(
                "INSERT INTO compute_intervals AS known
                     (instance_id, deployment, config_id, validator, chute_id, version, server, gpu_count, private,
                      created_at, verified_at, activated_at, deleted_at, deletion_reason)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
                 ON CONFLICT (instance_id) DO UPDATE SET
                     deployment = coalesce(known.deployment, excluded.deployment),
                     config_id = coalesce(known.config_id, excluded.config_id),
                     verified_at = coalesce(known.verified_at, excluded.verified_at),
                     activated_at = coalesce(known.activated_at, excluded.activated_at),
                     deleted_at = coalesce(known.deleted_at, excluded.deleted_at),
                     deletion_reason = coalesce(known.deletion_reason, excluded.deletion_reason)
                 WHERE (known.deployment IS NULL AND excluded.deployment IS NOT NULL)
                    OR (known.config_id IS NULL AND excluded.config_id IS NOT NULL)
                    OR (known.verified_at IS NULL AND excluded.verified_at IS NOT NULL)
                    OR (known.activated_at IS NULL AND excluded.activated_at IS NOT NULL)
                    OR (known.deleted_at IS NULL AND excluded.deleted_at IS NOT NULL)
                    OR (known.deletion_reason IS NULL AND excluded.deletion_reason IS NOT NULL)",
            )
            .bind(seen.instance.as_str())
            .bind(deployment)
            .bind(seen.config.as_ref().map(ConfigId::as_str))
            .bind(seen.validator.as_str())
            .bind(seen.chute_id.as_str())
            .bind(seen.version.as_str())
            .bind(seen.server.as_str())
            .bind(gpu_count)
            .bind(seen.private)
            .bind(At(seen.created_at))
            .bind(seen.verified_at.map(At))
            .bind(seen.activated_at.map(At))
            .bind(seen.deleted_at.map(At))
            .bind(seen.deletion_reason.as_deref())
            .execute(&mut *tx)
            .await?;
            if let Some(deleted) = seen.deleted_at {
                sqlx::query("UPDATE multiplier_segments SET to_at = greatest($2, from_at) WHERE instance_id = $1 AND to_at IS NULL")
                    .bind(seen.instance.as_str())
                    .bind(At(deleted))
                    .execute(&mut *tx)
                    .await?;
            }
            tx.commit().await?;
            Ok(done.rows_affected() == 1)
        })
        .await
    }

    /// Instances that have not been deleted, as far as is known.
    pub async fn instances_open(&self) -> Result<Vec<InstanceRecord>, Error> {
        self.within(async {
            let query = sqlx::query_as("SELECT * FROM compute_intervals WHERE deleted_at IS NULL ORDER BY created_at, instance_id");
            Ok(query.fetch_all(&self.pool).await?)
        })
        .await
    }

    /// An instance by id.
    pub async fn instance(&self, instance: &InstanceId) -> Result<Option<InstanceRecord>, Error> {
        self.within(async {
            let query = sqlx::query_as("SELECT * FROM compute_intervals WHERE instance_id = $1");
            Ok(query.bind(instance.as_str()).fetch_optional(&self.pool).await?)
        })
        .await
    }
}
