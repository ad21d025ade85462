//! Decide, then do: the row under the leader's epoch first, the resource after it, under a name that follows from the row.
//!
//! Everything here may be repeated: the same action key is decided once, the same name is created once.

mod build;
mod recover;

use cluster::apply::create;
use gepetto::{Action, Launch, Plan, Reason, Stop};
use protocol::ids::{DeploymentId, Ss58};
use serde_json::json;
use store::NewDeployment;
use uuid::Uuid;

use crate::chute_deployment::reasons;
use crate::{Context, Error, Result, patch};

pub use recover::{materialize, recover};

/// Carries a plan out. What fails is left to the next plan; only the loss of leadership ends the work.
///
/// # Errors
/// [`store::Error::Superseded`].
pub async fn execute(ctx: &Context, validator: &Ss58, plan: &Plan, launch_too: bool) -> Result<()> {
    for action in &plan.actions {
        let (what, result) = match action {
            Action::Stop(stop) => ("stop", self::stop(ctx, stop).await),
            Action::Launch(launch) if launch_too => ("launch", self::launch(ctx, validator, launch).await),
            Action::Launch(_) => continue,
        };
        ctx.metrics.action(what, result.is_ok());
        match result {
            Ok(()) => {}
            Err(error @ Error::Store(store::Error::Superseded { .. })) => return Err(error),
            Err(error) => tracing::warn!(what, %error, "an action was not carried out"),
        }
    }
    Ok(())
}

/// The id of a deployment follows from its action, so that a repeated action meets its own earlier effect.
#[must_use]
pub fn deployment_id(action_key: &str) -> DeploymentId {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, action_key.as_bytes()).into()
}

async fn launch(ctx: &Context, validator: &Ss58, launch: &Launch) -> Result<()> {
    let new = NewDeployment {
        id: deployment_id(&launch.action_key),
        chute_id: launch.chute.clone(),
        version: launch.version.clone(),
        server: launch.server.clone(),
        validator: validator.clone(),
        gpus: launch.gpus.clone(),
        node_namespace: crd::node_namespace(launch.server.as_str()),
        job_id: None,
        action_key: launch.action_key.clone(),
        reason_code: reasons::PLANNED.to_owned(),
        reason: launch.why.clone(),
    };
    // Before the row: a launch that cannot be built would only be a row to clean up.
    build::check(ctx, &new.chute_id, &new.version, &new.server)?;
    let granted = ctx.store.grant_launch(ctx.epoch, &new).await?;
    tracing::info!(deployment = %new.id, chute = %new.chute_id, server = %new.server, gpus = new.gpus.len(), fresh = granted.fresh, "granted");
    let object = build::deployment(ctx, &granted.deployment)?;
    create(&ctx.deployments_of(&new.node_namespace), &object).await?;
    Ok(())
}

async fn stop(ctx: &Context, stop: &Stop) -> Result<()> {
    let code = match stop.reason {
        Reason::ChuteWithdrawn => reasons::CHUTE_WITHDRAWN,
        other => other.code(),
    };
    end(ctx, &stop.deployment, code, "the validator does not offer the chute any more").await
}

/// Decides to stop a deployment and tells its resource so.
///
/// # Errors
/// The store's and the API server's; that it ended already is none.
pub async fn end(ctx: &Context, id: &DeploymentId, reason: &str, message: &str) -> Result<()> {
    match ctx.store.decide_stop(ctx.epoch, id, reason, message).await {
        Ok(_) | Err(store::Error::NotFound(_)) => {}
        Err(store::Error::AlreadyEnded(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let found = ctx.watches.deployments.all().into_iter().find(|object| object.spec.deployment_id == *id);
    let Some(object) = found else { return Ok(()) };
    let api = ctx.deployments_of(object.metadata.namespace.as_deref().unwrap_or_default());
    patch::merge(&api, &object, json!({ "spec": { "runState": "Stopped" } })).await
}
