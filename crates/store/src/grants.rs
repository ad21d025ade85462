//! Granting a launch: the decision, the GPUs, the deployment and its first phase, all or nothing.

use protocol::ids::{ChuteId, ChuteVersion, DeploymentId, GpuUuid, JobId, ServerName, Ss58};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::decisions::insert;
use crate::rows::{ordered, uuid};
use crate::{Decision, DecisionKind, Deployment, Epoch, Error, NewDecision, Store, Topic, claims, deployments, outbox};

/// A deployment that is wanted.
#[derive(Debug, Clone)]
pub struct NewDeployment {
    /// Its id, chosen by the caller and the same on every retry.
    pub id: DeploymentId,
    /// What runs.
    pub chute_id: ChuteId,
    /// In which version.
    pub version: ChuteVersion,
    /// Where.
    pub server: ServerName,
    /// For whom.
    pub validator: Ss58,
    /// On which GPUs: at least one, none twice.
    pub gpus: Vec<GpuUuid>,
    /// The namespace of its ChuteDeployment.
    pub node_namespace: String,
    /// The job it serves, if any.
    pub job_id: Option<JobId>,
    /// Names the action: the same key is granted once.
    pub action_key: String,
    /// The reason for machines.
    pub reason_code: String,
    /// The reason for people.
    pub reason: String,
}

/// A launch that may go on.
#[derive(Debug, Clone, PartialEq)]
pub struct Granted {
    /// The decision behind it.
    pub decision: Decision,
    /// The row, in its phase of now.
    pub deployment: Deployment,
    /// False where an earlier call had granted it.
    pub fresh: bool,
}

impl Store {
    /// Grants a launch in one transaction. The same action key again returns what was granted then, which may have ended since.
    ///
    /// # Errors
    /// [`Error::Superseded`] for a leader of the past, [`Error::ClaimConflict`] where a GPU is held,
    /// [`Error::AlreadyExists`] where the id is taken, [`Error::Invalid`] where the action key stands for something else.
    pub async fn grant_launch(&self, epoch: Epoch, new: &NewDeployment) -> Result<Granted, Error> {
        let id = uuid(&new.id)?;
        let gpus = ordered(&new.gpus);
        if gpus.is_empty() || gpus.len() != new.gpus.len() {
            return Err(Error::Invalid(format!("deployment {} needs at least one GPU, and none twice", new.id)));
        }
        self.within(async {
            let mut tx = self.begin_as(epoch).await?;
            let decided = insert(
                &mut tx,
                epoch,
                &NewDecision {
                    kind: DecisionKind::Launch,
                    action_key: &new.action_key,
                    subject: serde_json::json!({
                        "deployment": new.id, "chute": new.chute_id, "version": new.version, "server": new.server,
                        "gpus": new.gpus, "job": new.job_id,
                    }),
                    reason_code: &new.reason_code,
                    reason: &new.reason,
                },
            )
            .await?;
            if decided.fresh {
                claims::lock(&mut tx, &gpus).await?;
                if let Some(claim) = claims::holders(&mut tx, &gpus).await?.into_iter().next() {
                    return Err(Error::ClaimConflict { gpu: claim.gpu, holder: Some(claim.deployment) });
                }
                insert_deployment(&mut tx, id, new, decided.decision.id).await?;
                claims::grant(&mut tx, &gpus, id, &new.server, decided.decision.id).await?;
                deployments::add_phase(&mut tx, id, "Pending", &new.reason_code, None).await?;
                outbox::announce(&mut tx, Topic::Deployments).await?;
            }
            let deployment = deployments::find(&mut tx, id).await?;
            let deployment = deployment.filter(|found| found.decision == decided.decision.id && ordered(&found.gpus) == gpus);
            let Some(deployment) = deployment else {
                let key = &new.action_key;
                return Err(Error::Invalid(format!("action key `{key}` granted something else before; choose another")));
            };
            self.commit(tx).await?;
            Ok(Granted { decision: decided.decision, deployment, fresh: decided.fresh })
        })
        .await
    }
}

pub(crate) async fn insert_deployment(connection: &mut PgConnection, id: Uuid, new: &NewDeployment, decision: Uuid) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO deployments (id, chute_id, version, server, validator, gpus, node_namespace, job_id, decision)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(id)
    .bind(new.chute_id.as_str())
    .bind(new.version.as_str())
    .bind(new.server.as_str())
    .bind(new.validator.as_str())
    .bind(new.gpus.iter().map(GpuUuid::as_str).collect::<Vec<_>>())
    .bind(&new.node_namespace)
    .bind(new.job_id.as_ref().map(JobId::as_str))
    .bind(decision)
    .execute(connection)
    .await?;
    Ok(())
}
