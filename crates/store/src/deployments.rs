//! Deployments, the history of their phases, and their end.

use jiff::Timestamp;
use protocol::ids::{ChuteId, ChuteVersion, DeploymentId, GpuUuid, JobId, ServerName, Ss58};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{FromRow, Row as _};
use uuid::Uuid;

use crate::rows::{At, Columns as _, uuid};
use crate::{Epoch, Error, FreedBy, Store, Topic, claims, launches, outbox};

/// A deployment and the phase it is in.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    /// Its id.
    pub id: DeploymentId,
    /// What runs.
    pub chute_id: ChuteId,
    /// In which version.
    pub version: ChuteVersion,
    /// Where.
    pub server: ServerName,
    /// For whom.
    pub validator: Ss58,
    /// On which GPUs.
    pub gpus: Vec<GpuUuid>,
    /// The namespace of its ChuteDeployment.
    pub node_namespace: String,
    /// The job it serves, if any.
    pub job_id: Option<JobId>,
    /// The decision that made it.
    pub decision: Uuid,
    /// When it was decided.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why.
    pub end_reason: Option<String>,
    /// Its latest phase.
    pub phase: String,
    /// The machine-readable reason of that phase.
    pub phase_reason: String,
    /// Since when it is in it.
    pub phase_at: Timestamp,
}

impl<'row> FromRow<'row, PgRow> for Deployment {
    fn from_row(row: &'row PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.deployment("id")?,
            chute_id: row.id("chute_id")?,
            version: row.id("version")?,
            server: row.id("server")?,
            validator: row.id("validator")?,
            gpus: row.gpus("gpus")?,
            node_namespace: row.try_get("node_namespace")?,
            job_id: row.maybe_id("job_id")?,
            decision: row.try_get("decision")?,
            created_at: row.at("created_at")?,
            ended_at: row.maybe_at("ended_at")?,
            end_reason: row.try_get("end_reason")?,
            phase: row.try_get("phase")?,
            phase_reason: row.try_get("phase_reason")?,
            phase_at: row.at("phase_at")?,
        })
    }
}

/// One move of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseChange {
    /// Into which phase.
    pub phase: String,
    /// The machine-readable reason.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

impl Store {
    /// A deployment by id.
    pub async fn deployment(&self, id: &DeploymentId) -> Result<Option<Deployment>, Error> {
        let id = uuid(id)?;
        self.within(async { find(&mut *self.pool.acquire().await?, id).await }).await
    }

    /// Every deployment that has not ended, oldest first.
    pub async fn deployments_open(&self) -> Result<Vec<Deployment>, Error> {
        self.within(async {
            let query = sqlx::query_as("SELECT * FROM deployments_now WHERE ended_at IS NULL ORDER BY created_at, id");
            Ok(query.fetch_all(&self.pool).await?)
        })
        .await
    }

    /// The latest deployments, ended ones too, newest first.
    pub async fn deployments_recent(&self, limit: u32) -> Result<Vec<Deployment>, Error> {
        self.within(async {
            let query = sqlx::query_as("SELECT * FROM deployments_now ORDER BY created_at DESC, id DESC LIMIT $1");
            Ok(query.bind(i64::from(limit)).fetch_all(&self.pool).await?)
        })
        .await
    }

    /// Notes that a deployment was seen in a phase; the same as the last one is no news and returns false.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown deployment, [`Error::AlreadyEnded`] for one that is over.
    pub async fn record_phase(&self, id: &DeploymentId, phase: &str, reason: &str, at: Timestamp) -> Result<bool, Error> {
        let key = uuid(id)?;
        self.within(async {
            let mut tx = self.begin().await?;
            if lock(&mut tx, key).await? {
                return Err(Error::AlreadyEnded(id.clone()));
            }
            let news = add_phase(&mut tx, key, phase, reason, Some(at)).await?;
            if news {
                outbox::announce(&mut tx, Topic::Deployments).await?;
            }
            self.commit(tx).await?;
            Ok(news)
        })
        .await
    }

    /// All moves of a deployment, oldest first.
    pub async fn phases(&self, id: &DeploymentId) -> Result<Vec<PhaseChange>, Error> {
        let id = uuid(id)?;
        self.within(async {
            let rows = sqlx::query("SELECT phase, reason, at FROM deployment_phases WHERE deployment = $1 ORDER BY id")
                .bind(id)
                .fetch_all(&self.pool)
                .await?;
            rows.iter()
                .map(|row| Ok(PhaseChange { phase: row.try_get("phase")?, reason: row.try_get("reason")?, at: row.at("at")? }))
                .collect()
        })
        .await
    }

    /// Ends a deployment: frees its GPUs by `proof`, gives up its open launch attempt, closes its decisions, and writes the
    /// last phase. Returns false where it had ended before.
    pub async fn end_deployment(&self, epoch: Epoch, id: &DeploymentId, phase: &str, reason: &str, proof: &FreedBy) -> Result<bool, Error> {
        let key = uuid(id)?;
        self.within(async {
            let mut tx = self.begin_as(epoch).await?;
            let ended = lock(&mut tx, key).await?;
            let freed = claims::free(&mut tx, key, proof).await?;
            if !ended {
                launches::abandon_open(&mut tx, key, reason).await?;
                add_phase(&mut tx, key, phase, reason, None).await?;
                close(&mut tx, key, reason).await?;
            }
            if !ended || !freed.is_empty() {
                outbox::announce(&mut tx, Topic::Deployments).await?;
            }
            self.commit(tx).await?;
            Ok(!ended)
        })
        .await
    }
}

pub(crate) async fn find(connection: &mut PgConnection, id: Uuid) -> Result<Option<Deployment>, Error> {
    Ok(sqlx::query_as("SELECT * FROM deployments_now WHERE id = $1").bind(id).fetch_optional(connection).await?)
}

/// Locks a deployment's row until the end of the transaction; returns whether it has ended.
pub(crate) async fn lock(connection: &mut PgConnection, id: Uuid) -> Result<bool, Error> {
    let ended: Option<bool> = sqlx::query_scalar("SELECT ended_at IS NOT NULL FROM deployments WHERE id = $1 FOR UPDATE")
        .bind(id)
        .fetch_optional(connection)
        .await?;
    ended.ok_or_else(|| Error::NotFound(format!("deployment {id}")))
}

/// Appends a phase unless it is the one the deployment is in. Without a time it is the database's.
pub(crate) async fn add_phase(
    connection: &mut PgConnection,
    id: Uuid,
    phase: &str,
    reason: &str,
    at: Option<Timestamp>,
) -> Result<bool, Error> {
    let done = sqlx::query(
        "INSERT INTO deployment_phases (deployment, phase, reason, at)
         SELECT $1, $2, $3, coalesce($4, clock_timestamp())
         WHERE NOT EXISTS (
             SELECT FROM (SELECT phase, reason FROM deployment_phases WHERE deployment = $1 ORDER BY id DESC LIMIT 1) AS last
             WHERE last.phase = $2 AND last.reason = $3)",
    )
    .bind(id)
    .bind(phase)
    .bind(reason)
    .bind(at.map(At))
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn close(connection: &mut PgConnection, id: Uuid, reason: &str) -> Result<(), Error> {
    sqlx::query("UPDATE deployments SET ended_at = greatest(clock_timestamp(), created_at), end_reason = $2 WHERE id = $1")
        .bind(id)
        .bind(reason)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "UPDATE decisions SET finished_at = greatest(clock_timestamp(), created_at), outcome = $2
         WHERE finished_at IS NULL
           AND (id = (SELECT decision FROM deployments WHERE id = $1) OR action_key = 'stop/' || $1::text)",
    )
    .bind(id)
    .bind(reason)
    .execute(connection)
    .await?;
    Ok(())
}
