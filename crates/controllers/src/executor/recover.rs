//! What a leader that begins finds, and what every plan finds again: rows without their resource, resources without their claims.

use cluster::apply::create;
use cluster::call::get_opt;
use crd::ChuteDeployment;
use crd::chute_deployment::{Phase, launch_secret_name};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt as _};
use protocol::ids::ConfigId;
use store::{AttemptState, FreedBy, LivePlacement, PodGone, Settled, ValidatorClear};

use super::build;
use crate::chute_deployment::{self, reasons};
use crate::{Context, Error, Result};

/// Done once, before a leader's first plan: claims for what lives, configs for the tokens that lie in Secrets, and then an end
/// to the askings whose answers went with an earlier leader.
///
/// # Errors
/// The store's and the API server's: try again, and do not plan before.
pub async fn recover(ctx: &Context) -> Result<()> {
    let living: Vec<LivePlacement> = ctx.watches.deployments.all().iter().filter_map(|object| placement(object)).collect();
    let rebuilt = ctx.store.rebuild_claims(ctx.epoch, &living).await?;
    for (gpu, deployment) in &rebuilt.claimed {
        tracing::warn!(%gpu, %deployment, "a living deployment did not hold its GPU in the ledger; it does now");
    }
    for dispute in &rebuilt.disputes {
        tracing::error!(?dispute, "two living deployments want one GPU; it stays with its holder of record, and a person must look");
    }
    for attempt in ctx.store.open_attempts().await?.iter().filter(|attempt| attempt.state == AttemptState::Asked) {
        if let Some(row) = ctx.store.deployment(&attempt.deployment).await?
            && let Some(config) = config_in_secret(ctx, &row).await?
        {
            ctx.store.record_config(attempt.id, &config).await?;
        }
    }
    for attempt in ctx.store.abandon_unanswered(ctx.epoch).await? {
        tracing::warn!(deployment = %attempt.deployment, attempt = attempt.attempt, "a launch token was asked for and its answer is lost");
    }
    materialize(ctx).await
}

/// Creates the resources of granted rows that lack one, or ends the rows from which none can be made any more.
///
/// # Errors
/// The store's; what the API server refuses is left to the next time.
pub async fn materialize(ctx: &Context) -> Result<()> {
    let objects = ctx.watches.deployments.all();
    for row in ctx.store.deployments_open().await? {
        if objects.iter().any(|object| object.spec.deployment_id == row.id) {
            continue;
        }
        if let Err(error) = one(ctx, &row).await {
            match error {
                error @ Error::Store(_) => return Err(error),
                error => tracing::warn!(deployment = %row.id, %error, "a granted deployment has no resource yet"),
            }
        }
    }
    Ok(())
}

async fn one(ctx: &Context, row: &store::Deployment) -> Result<()> {
    let api = ctx.deployments_of(&row.node_namespace);
    // The watch may be behind.
    if get_opt(&api, row.id.as_str()).await?.is_some() {
        return Ok(());
    }
    let attempts = ctx.store.attempts(&row.id).await?;
    let asked = attempts.iter().any(|attempt| attempt.state != AttemptState::Settled(Settled::Refused));
    if asked {
        // Something may run: it is taken down in order, never launched a second time.
        create(&api, &build::stopped(ctx, row)?).await?;
        tracing::warn!(deployment = %row.id, "the resource of a launched deployment is gone; another takes it down");
        return Ok(());
    }
    let launchable = build::check(ctx, &row.chute_id, &row.version, &row.server).and_then(|()| build::deployment(ctx, row));
    match launchable {
        Ok(object) => {
            create(&api, &object).await?;
            tracing::info!(deployment = %row.id, "a granted deployment got its resource");
            Ok(())
        }
        Err(why) => {
            let proof = FreedBy { pod_gone: PodGone::NeverCreated, validator_clear: ValidatorClear::NothingAsked };
            ctx.store.end_deployment(ctx.epoch, &row.id, Phase::Stopped.as_str(), reasons::OVERTAKEN, &proof).await?;
            tracing::info!(deployment = %row.id, %why, "a granted deployment ends before it began");
            Ok(())
        }
    }
}

fn placement(object: &ChuteDeployment) -> Option<LivePlacement> {
    let spec = &object.spec;
    let status = object.status.as_ref();
    let phase = status.and_then(|status| status.phase);
    let released = object.annotations().contains_key(crd::annotations::RELEASE);
    // The proof that lets its GPUs go is complete: the leader before may have freed them and died before it said so here.
    let proven = chute_deployment::is_proven_gone(object);
    // A resource without a phase may be made by hand; only what the operator has taken on counts.
    if phase.is_none_or(Phase::is_terminal) || released || proven {
        return None;
    }
    Some(LivePlacement {
        id: spec.deployment_id.clone(),
        chute_id: spec.chute.id.clone(),
        version: spec.chute.version.clone(),
        server: spec.server.clone(),
        validator: spec.validator.clone(),
        gpus: spec.gpus.clone(),
        node_namespace: object.namespace()?,
        job_id: spec.job.as_ref().map(|job| job.id.clone()),
        action_key: String::new(),
        reason_code: "FoundAlive".to_owned(),
        reason: "a living ChuteDeployment was found when a leader began".to_owned(),
    })
}

async fn config_in_secret(ctx: &Context, row: &store::Deployment) -> Result<Option<ConfigId>> {
    let api: Api<Secret> = Api::namespaced(ctx.client.clone(), &row.node_namespace);
    let secret = get_opt(&api, &launch_secret_name(&row.id)).await?;
    let data = secret.and_then(|secret| secret.data).unwrap_or_default();
    Ok(data.get("config-id").and_then(|bytes| std::str::from_utf8(&bytes.0).ok()?.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn stopping(release: bool, proofs: &[&str]) -> ChuteDeployment {
        let annotations = if release { json!({"gepetto.fleet/release": "true"}) } else { json!({}) };
        let proofs: Vec<_> = proofs
            .iter()
            .map(|kind| json!({"type": kind, "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}))
            .collect();
        serde_json::from_value(json!({
            "apiVersion": "gepetto.fleet/v1alpha1", "kind": "ChuteDeployment",
            "metadata": {"name": "d", "namespace": "chutes-node-gpu-0", "annotations": annotations},
            "spec": {
                "deploymentId": "3f0f9f9e-0b1a-4c5d-8e7f-112233445566", "server": "gpu-0", "nodeName": "gpu-0",
                "validator": "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj",
                "chute": {"id": "c", "version": "v", "name": "n", "refStr": "a:b"},
                "gpuCount": 1, "gpus": ["0123abcd0123012301230123456789ab"], "address": "a", "image": "i",
                "resources": {"cpu": 1, "memoryGib": 1, "diskGib": 1}, "cache": {"maxAgeDays": 1, "maxSizeGb": 1}, "runState": "Stopped",
            },
            "status": {"phase": "Stopping", "conditions": proofs},
        }))
        .unwrap()
    }

    #[test]
    fn what_is_proven_gone_claims_its_gpus_no_second_time() {
        assert!(placement(&stopping(false, &[])).is_some());
        assert!(placement(&stopping(false, &["PodGone"])).is_some(), "the validator may still hold it");
        assert!(placement(&stopping(false, &["PodGone", "ValidatorClear"])).is_none());
        assert!(placement(&stopping(true, &[])).is_none());
    }
}
