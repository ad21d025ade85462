//! Claims of what was found alive: done before a leader's first plan, so that a lost or older database grants nothing twice.

use protocol::ids::{DeploymentId, GpuUuid};
use sqlx::postgres::PgConnection;

use crate::rows::{ordered, uuid};
use crate::{Claim, DecisionKind, Epoch, Error, NewDecision, NewDeployment, Store, claims, decisions, deployments, grants};

/// A ChuteDeployment or a living pod found in Kubernetes. Its action key is not used: adopting has its own.
pub type LivePlacement = NewDeployment;

/// A GPU that two living placements want.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimDispute {
    /// Which GPU.
    pub gpu: GpuUuid,
    /// Who was found on it.
    pub found: DeploymentId,
    /// Who holds it in the ledger.
    pub holder: DeploymentId,
}

/// What [`Store::rebuild_claims`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// GPUs claimed for what was found on them.
    pub claimed: Vec<(GpuUuid, DeploymentId)>,
    /// GPUs that stay with their holder of record; people have to look.
    pub disputes: Vec<ClaimDispute>,
}

impl Store {
    /// Claims the GPUs of everything found alive that does not hold them yet. It never frees anything, and done twice it does
    /// nothing the second time.
    pub async fn rebuild_claims(&self, epoch: Epoch, from: &[LivePlacement]) -> Result<Rebuilt, Error> {
        let mut rebuilt = Rebuilt::default();
        for placement in from {
            // One transaction each: a fleet's worth would hold its locks for too long.
            self.within(async {
                let mut tx = self.begin_as(epoch).await?;
                adopt(&mut tx, epoch, placement, &mut rebuilt).await?;
                self.commit(tx).await
            })
            .await?;
        }
        Ok(rebuilt)
    }
}

async fn adopt(connection: &mut PgConnection, epoch: Epoch, found: &LivePlacement, rebuilt: &mut Rebuilt) -> Result<(), Error> {
    let id = uuid(&found.id)?;
    let gpus = ordered(&found.gpus);
    // Nothing to claim; and one odd object must not keep the others from their claims.
    if gpus.is_empty() {
        return Ok(());
    }
    claims::lock(connection, &gpus).await?;
    let held: Vec<Claim> = claims::holders(connection, &gpus).await?;
    for claim in held.iter().filter(|claim| claim.deployment != found.id) {
        let (gpu, holder) = (claim.gpu.clone(), claim.deployment.clone());
        rebuilt.disputes.push(ClaimDispute { gpu, found: found.id.clone(), holder });
    }
    let missing: Vec<String> = gpus.into_iter().filter(|gpu| held.iter().all(|claim| claim.gpu != gpu.as_str())).collect();
    let known = deployments::find(connection, id).await?;
    if missing.is_empty() && known.is_some() {
        return Ok(());
    }
    let decision = match known {
        Some(deployment) => deployment.decision,
        None => {
            let new = NewDecision {
                kind: DecisionKind::Adopt,
                action_key: &format!("adopt/{}", found.id),
                subject: serde_json::json!({
                    "deployment": found.id, "chute": found.chute_id, "version": found.version, "server": found.server,
                    "gpus": found.gpus, "job": found.job_id,
                }),
                reason_code: &found.reason_code,
                reason: &found.reason,
            };
            let decision = decisions::insert(connection, epoch, &new).await?.decision.id;
            grants::insert_deployment(connection, id, found, decision).await?;
            deployments::add_phase(connection, id, "Pending", &found.reason_code, None).await?;
            decision
        }
    };
    claims::grant(connection, &missing, id, &found.server, decision).await?;
    for gpu in missing {
        let gpu = GpuUuid::try_from(gpu).map_err(|error| Error::Invalid(error.to_string()))?;
        rebuilt.claimed.push((gpu, found.id.clone()));
    }
    Ok(())
}
