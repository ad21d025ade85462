//! Deciding to stop a deployment.

use protocol::ids::DeploymentId;

use crate::rows::uuid;
use crate::{Decided, DecisionKind, Epoch, Error, NewDecision, Store, Topic, decisions, deployments, outbox};

impl Store {
    /// Decides to stop a deployment. It is decided once: later calls, whatever their reason, return the first row.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown deployment; [`Error::AlreadyEnded`] where it ended without anybody's decision.
    pub async fn decide_stop(&self, epoch: Epoch, deployment: &DeploymentId, reason_code: &str, reason: &str) -> Result<Decided, Error> {
        let id = uuid(deployment)?;
        let action_key = stop_key(deployment);
        self.within(async {
            let mut tx = self.begin_as(epoch).await?;
            let ended = deployments::lock(&mut tx, id).await?;
            let new = NewDecision {
                kind: DecisionKind::Stop,
                action_key: &action_key,
                subject: serde_json::json!({ "deployment": deployment }),
                reason_code,
                reason,
            };
            let decided = decisions::insert(&mut tx, epoch, &new).await?;
            if decided.fresh {
                if ended {
                    return Err(Error::AlreadyEnded(deployment.clone()));
                }
                outbox::announce(&mut tx, Topic::Deployments).await?;
            }
            self.commit(tx).await?;
            Ok(decided)
        })
        .await
    }

    /// The decision to stop a deployment, where there is one.
    pub async fn stop_decision(&self, deployment: &DeploymentId) -> Result<Option<crate::Decision>, Error> {
        self.decision(&stop_key(deployment)).await
    }
}

/// The end of a deployment closes the decision of this key too.
fn stop_key(deployment: &DeploymentId) -> String {
    format!("stop/{deployment}")
}
