//! Who holds which GPU.
//!
//! A claim is granted with the decision that needs it and freed by proof: the pod is gone, and after that the validator
//! holds nothing on the GPU. The exclusion constraint of `gpu_claims` stands behind every check made here.

use jiff::Timestamp;
use protocol::ids::{DeploymentId, GpuUuid, InstanceId, ServerName};
use sqlx::FromRow;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::types::Json;
use uuid::Uuid;

use crate::rows::{Columns as _, uuid};
use crate::{Epoch, Error, Store, Topic, deployments, outbox};

/// A GPU in somebody's hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Which GPU.
    pub gpu: GpuUuid,
    /// Who holds it.
    pub deployment: DeploymentId,
    /// Where it was when it was granted.
    pub server: ServerName,
    /// Since when.
    pub granted_at: Timestamp,
}

impl<'row> FromRow<'row, PgRow> for Claim {
    fn from_row(row: &'row PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            gpu: row.id("gpu")?,
            deployment: row.deployment("deployment")?,
            server: row.id("server")?,
            granted_at: row.at("granted_at")?,
        })
    }
}

/// What shows that GPUs are free again. Both halves are needed, and it is written into the ledger.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FreedBy {
    /// On the node.
    pub pod_gone: PodGone,
    /// At the validator.
    pub validator_clear: ValidatorClear,
}

/// How it is known that no pod uses the GPUs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PodGone {
    /// No workload was ever applied for the deployment.
    NeverCreated,
    /// Its pods, by UID, were seen to be gone.
    Gone {
        /// Every pod UID the deployment had.
        uids: Vec<String>,
        /// When the last of them was seen to be gone.
        at: Timestamp,
    },
    /// A person declared the whole server lost.
    ServerLost {
        /// Who.
        by: String,
        /// When.
        at: Timestamp,
    },
}

impl PodGone {
    fn at(&self) -> Option<Timestamp> {
        match self {
            Self::NeverCreated => None,
            Self::Gone { at, .. } | Self::ServerLost { at, .. } => Some(*at),
        }
    }
}

/// How it is known that the validator holds no instance on the GPUs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValidatorClear {
    /// Its complete list, asked for at that time, has none.
    CompleteList {
        /// When the list was asked for.
        as_of: Timestamp,
    },
    /// It answered to the deletion of the instance.
    Deleted {
        /// The instance.
        instance: InstanceId,
        /// When it answered.
        at: Timestamp,
    },
    /// No launch config was ever handed out, so there cannot be an instance.
    NothingAsked,
}

impl FreedBy {
    /// A list from before the pod was gone says nothing about what the pod claimed afterwards.
    fn check(&self) -> Result<(), Error> {
        let Some(gone) = self.pod_gone.at() else { return Ok(()) };
        match &self.validator_clear {
            ValidatorClear::CompleteList { as_of } if *as_of < gone => {
                Err(Error::Invalid(format!("the validator's list of {as_of} is older than the pod's end at {gone}; list again")))
            }
            _ => Ok(()),
        }
    }
}

impl Store {
    /// Every GPU that is held.
    pub async fn open_claims(&self) -> Result<Vec<Claim>, Error> {
        self.within(async {
            let query =
                sqlx::query_as("SELECT gpu, deployment, server, granted_at FROM gpu_claims WHERE freed_at IS NULL ORDER BY server, gpu");
            Ok(query.fetch_all(&self.pool).await?)
        })
        .await
    }

    /// Frees what a deployment holds; returns the GPUs this call freed, none where they were free before.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown deployment, [`Error::Invalid`] where the proof contradicts itself or the launch attempts.
    pub async fn free_claims(&self, epoch: Epoch, deployment: &DeploymentId, proof: &FreedBy) -> Result<Vec<GpuUuid>, Error> {
        let id = uuid(deployment)?;
        self.within(async {
            let mut tx = self.begin_as(epoch).await?;
            deployments::lock(&mut tx, id).await?;
            let freed = free(&mut tx, id, proof).await?;
            if !freed.is_empty() {
                outbox::announce(&mut tx, Topic::Deployments).await?;
            }
            self.commit(tx).await?;
            Ok(freed)
        })
        .await
    }
}

/// Serialises everybody who wants one of these GPUs until the end of the transaction.
///
/// Without it two inserts may each wait for the other inside the exclusion constraint, which Postgres resolves by a
/// deadlock after a second. `gpus` must be sorted: see [`crate::rows::ordered`].
pub(crate) async fn lock(connection: &mut PgConnection, gpus: &[String]) -> Result<(), Error> {
    // The first number separates these locks from others' advisory locks; it has no meaning.
    sqlx::query("SELECT pg_advisory_xact_lock(20741, hashtext(gpu)) FROM unnest($1::text[]) WITH ORDINALITY AS wanted(gpu, place)")
        .bind(gpus)
        .execute(connection)
        .await?;
    Ok(())
}

/// Who holds any of these GPUs; asked under [`lock`] the answer stays true.
pub(crate) async fn holders(connection: &mut PgConnection, gpus: &[String]) -> Result<Vec<Claim>, Error> {
    let query =
        sqlx::query_as("SELECT gpu, deployment, server, granted_at FROM gpu_claims WHERE freed_at IS NULL AND gpu = ANY($1) ORDER BY gpu");
    Ok(query.bind(gpus).fetch_all(connection).await?)
}

pub(crate) async fn grant(
    connection: &mut PgConnection,
    gpus: &[String],
    deployment: Uuid,
    server: &ServerName,
    decision: Uuid,
) -> Result<(), Error> {
    // Not before the last holder's end, even where the clock has been set back since.
    sqlx::query(
        "INSERT INTO gpu_claims (gpu, deployment, server, decision, granted_at)
         SELECT gpu, $2, $3, $4,
                greatest(clock_timestamp(), (SELECT max(freed_at) FROM gpu_claims AS past WHERE past.gpu = wanted.gpu))
         FROM unnest($1::text[]) AS wanted(gpu)",
    )
    .bind(gpus)
    .bind(deployment)
    .bind(server.as_str())
    .bind(decision)
    .execute(connection)
    .await?;
    Ok(())
}

/// The caller has locked the deployment, so that nobody asks for a config between the look and the freeing.
pub(crate) async fn free(connection: &mut PgConnection, deployment: Uuid, proof: &FreedBy) -> Result<Vec<GpuUuid>, Error> {
    proof.check()?;
    if proof.validator_clear == ValidatorClear::NothingAsked {
        let asked: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM launch_attempts WHERE deployment = $1 AND state <> 'refused')")
            .bind(deployment)
            .fetch_one(&mut *connection)
            .await?;
        if asked {
            return Err(Error::Invalid(format!(
                "a launch config was asked for deployment {deployment}; only the validator's list or its answer to the \
                 delete shows that it holds nothing"
            )));
        }
    }
    let rows = sqlx::query(
        "UPDATE gpu_claims SET freed_at = greatest(clock_timestamp(), granted_at), freed_by = $2
         WHERE deployment = $1 AND freed_at IS NULL RETURNING gpu",
    )
    .bind(deployment)
    .bind(Json(proof))
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Ok(row.id("gpu")?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_older_than_the_pods_end_frees_nothing() {
        let gone: Timestamp = "2026-01-01T00:00:10Z".parse().unwrap();
        let proof = |as_of: &str| FreedBy {
            pod_gone: PodGone::Gone { uids: vec!["a".into()], at: gone },
            validator_clear: ValidatorClear::CompleteList { as_of: as_of.parse().unwrap() },
        };
        assert!(matches!(proof("2026-01-01T00:00:09Z").check(), Err(Error::Invalid(_))));
        assert!(proof("2026-01-01T00:00:10Z").check().is_ok());
    }
}
