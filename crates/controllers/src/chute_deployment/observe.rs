//! What is seen of a deployment, gathered from the object, its Secret, the validator's lists and, at its end, the ledger.

use cluster::call::get_opt;
use crd::annotations::{CONFIRM_DELETE, FINALIZER, LOST, RELEASE};
use crd::chute_deployment::{Phase, RunState, launch_secret_name};
use crd::{ChuteDeployment, ChuteDeploymentStatus, GpuServer, conditions};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt as _};
use protocol::ids::ConfigId;
use store::{AttemptState, Settled};

use super::status::{CLEAR, DELETABLE, POD_GONE};
use super::step::{Instance, Seen};
use crate::validator_view::{Held, View};
use crate::{Context, Result};

/// The key of the launch config's id in a launch Secret.
pub(super) const CONFIG_KEY: &str = "config-id";

pub(super) async fn observe(ctx: &Context, object: &ChuteDeployment) -> Result<Seen> {
    let now = Timestamp::now();
    let spec = &object.spec;
    let empty = ChuteDeploymentStatus::default();
    let status = object.status.as_ref().unwrap_or(&empty);
    let name = object.name_any();
    let reached = |phase: Phase| status.reached.iter().find(|r| r.phase == phase).map(|r| r.at.0);
    let created = object.metadata.creation_timestamp.as_ref().map_or(now, |at| at.0);
    let since = status.phase.and_then(reached).unwrap_or(created);
    let condition_at =
        |kind: &str| conditions::get(&status.conditions, kind).filter(|c| c.status == "True").map(|c| c.last_transition_time.0);
    let pod_gone_at = condition_at(POD_GONE);
    let clear_at = condition_at(CLEAR);
    let server = ctx.server(spec.server.as_str());

    let needs_secret = matches!(status.phase, None | Some(Phase::Pending | Phase::Stopping)) && pod_gone_at.is_none();
    let secret = if needs_secret { secret_config(ctx, object).await? } else { status.config_id.clone() };

    let view = ctx.validators.view(&spec.validator);
    let row = view.as_deref().and_then(|view| {
        let by_config = status.config_id.as_ref().and_then(|config| view.by_config(config));
        by_config.or_else(|| status.instance_id.as_ref().and_then(|id| view.instances.get(id)))
    });
    let held = Held { instance: status.instance_id.as_ref(), config: status.config_id.as_ref(), gpus: &spec.gpus };
    let clear_since = |since| view.as_deref().and_then(|view| view.clear_since(&held, since));
    let lists_fresh = view.as_deref().is_some_and(|view| view.instances_source().trusted(now, ctx.timing.oldest_list));
    let tells = |view: &View| view.tells_of(&held, row.map(|row| &row.instance_id), now, ctx.timing.oldest_list);
    let lists_tell = lists_fresh && view.as_deref().is_some_and(tells);
    // Kubernetes writes times in whole seconds, cut: a list counts only from the second after.
    let lists_clear = pod_gone_at.and_then(|at| clear_since(at.saturating_add(SignedDuration::from_secs(1)).unwrap_or(at)));

    let ask_the_ledger = status.phase == Some(Phase::Stopping) && (clear_at.is_none() || pod_gone_at.is_none());
    let asked = status.config_id.is_some() || (ask_the_ledger && asked(ctx, object).await?);
    Ok(Seen {
        now,
        phase: status.phase,
        since,
        granted_at: reached(Phase::Granted),
        claimed_at: reached(Phase::Claimed).or(reached(Phase::Verified)),
        reason: status.reason.clone().unwrap_or_default(),
        stopped: spec.run_state == RunState::Stopped,
        deleting: object.metadata.deletion_timestamp.is_some(),
        confirmed: object.annotations().get(CONFIRM_DELETE).is_some_and(|value| *value == name),
        told_unconfirmed: conditions::get(&status.conditions, DELETABLE).is_some(),
        finalizer: object.finalizers().iter().any(|f| f == FINALIZER),
        secret,
        config: status.config_id.clone(),
        workload: status.workload.clone(),
        instance: row.map(|row| Instance { id: row.instance_id.clone(), verified: row.verified, active: row.active }),
        known_instance: status.instance_id.clone(),
        lists_tell,
        instance_gone: row.is_none() && lists_fresh && clear_since(since).is_some() && !doubtful(ctx, object, view.as_deref()),
        pod_gone_at,
        clear_at,
        lists_clear,
        released: object.annotations().contains_key(RELEASE),
        server_lost: server.as_deref().is_some_and(lost),
        asked,
    })
}

/// Whether the absence of the instance may be that of most rows: a list that broke off and yet ended cleanly. That is believed
/// only after a while; the end of a whole chute, which takes many instances at once, has a proof of its own.
fn doubtful(ctx: &Context, object: &ChuteDeployment, view: Option<&View>) -> bool {
    let (Some(view), Some(id)) = (view, object.status.as_ref().and_then(|status| status.instance_id.as_ref())) else { return false };
    let all = ctx.watches.deployments.all();
    let listed_once = all.iter().filter(|other| other.spec.validator == object.spec.validator).filter_map(|other| {
        let status = other.status.as_ref()?;
        let known = matches!(status.phase, Some(Phase::Claimed | Phase::Verified | Phase::Active));
        status.instance_id.as_ref().filter(|_| known)
    });
    let long = SignedDuration::try_from(ctx.timing.landslide).unwrap_or(SignedDuration::MAX);
    let doubtful = view.lacks_most_of(listed_once) && view.lacked_for(id).is_none_or(|lacked| lacked < long);
    if doubtful {
        tracing::debug!(deployment = object.name_any(), instance = %id, "the validator's lists lack most of our instances; not believed yet");
    }
    doubtful
}

/// The object as the API server has it now; nothing if it is gone or another of its name stands there.
pub(super) async fn reread(ctx: &Context, cached: &ChuteDeployment) -> Result<Option<ChuteDeployment>> {
    let api = ctx.deployments_of(&cached.namespace().unwrap_or_default());
    let fresh = get_opt(&api, &cached.name_any()).await?;
    Ok(fresh.filter(|fresh| fresh.metadata.uid == cached.metadata.uid))
}

/// Whether a person confirmed that the server is lost for good.
#[must_use]
pub(crate) fn lost(server: &GpuServer) -> bool {
    let annotations = server.annotations();
    let confirmed = annotations.get(CONFIRM_DELETE).is_some_and(|value| *value == server.name_any());
    confirmed && server.metadata.deletion_timestamp.is_some() && annotations.get(LOST).is_some_and(|value| value == "true")
}

async fn secret_config(ctx: &Context, object: &ChuteDeployment) -> Result<Option<ConfigId>> {
    let api: Api<Secret> = Api::namespaced(ctx.client.clone(), &object.namespace().unwrap_or_default());
    let secret = get_opt(&api, &launch_secret_name(&object.spec.deployment_id)).await?;
    let data = secret.and_then(|secret| secret.data).unwrap_or_default();
    let text = data.get(CONFIG_KEY).and_then(|bytes| std::str::from_utf8(&bytes.0).ok());
    Ok(text.and_then(|text| text.parse().ok()))
}

/// Whether a launch config may exist for it.
async fn asked(ctx: &Context, object: &ChuteDeployment) -> Result<bool> {
    let attempts = ctx.store.attempts(&object.spec.deployment_id).await?;
    Ok(attempts.iter().any(|attempt| attempt.state != AttemptState::Settled(Settled::Refused)))
}
