//! The way back of a server that somebody deleted: only once confirmed, and only when nothing of it is left anywhere.

use cluster::apply::{Propagation, delete_uid};
use cluster::call::get_opt;
use cluster::controller::Action;
use crd::annotations::{CONFIRM_DELETE, FINALIZER};
use crd::chute_deployment::{Phase, RunState};
use crd::conditions::State;
use crd::gpu_server::{Attestation, ServerPhase, condition};
use crd::{ChuteDeployment, GpuServer};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt as _};
use protocol::ids::{GpuUuid, ServerId, ServerName};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use store::{DecisionKind, NewDecision};

use super::api;
use super::status::Draft;
use crate::chute_deployment::reasons;
use crate::{Context, Error, Result, executor, patch};

pub(super) async fn reconcile(ctx: &Context, server: &GpuServer, name: &ServerName) -> Result<Action> {
    if !server.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        return Ok(Action::Await);
    }
    let mut draft = Draft::of(server, Timestamp::now());
    let going: Vec<Arc<ChuteDeployment>> = deployments(ctx, name);
    let confirmed = server.annotations().get(CONFIRM_DELETE).is_some_and(|value| *value == server.name_any());
    if !confirmed {
        let message = what_would_be_lost(name, &going);
        draft.note(condition::DELETABLE, State::False, "NotConfirmed", &message);
        draft.conclude(ctx, name);
        draft.write(ctx).await?;
        ctx.events.warning(server, "NotConfirmed", "Delete", message).await;
        return Ok(Action::Requeue(ctx.timing.recheck));
    }
    draft.status.phase = Some(ServerPhase::Draining);
    let waits = drain(ctx, server, name, &going).await?;
    if let Some(what) = waits {
        draft.note(condition::DELETABLE, State::False, "WaitingForChutes", &what);
        draft.write(ctx).await?;
        return Ok(Action::Requeue(ctx.timing.recheck.min(std::time::Duration::from_secs(5))));
    }
    de_register(ctx, server).await?;
    ctx.ledger.server_removed(name).await?;
    ctx.store.close_saga(ctx.epoch, "advertise", name.as_str()).await?;
    ctx.remotes.forget(name.as_str());
    remove_namespace(ctx, name).await?;
    if let Some(decision) = ctx.store.decision(&withdraw_key(server)).await? {
        ctx.store.finish_decision(ctx.epoch, decision.id, "Removed").await?;
    }
    ctx.events.normal(server, "Removed", "Delete", "drained, de-registered, its books closed").await;
    patch::drop_finalizer(&api(ctx), server).await?;
    Ok(Action::Await)
}

fn deployments(ctx: &Context, name: &ServerName) -> Vec<Arc<ChuteDeployment>> {
    let all = ctx.watches.deployments.all();
    all.into_iter().filter(|object| object.spec.server == *name && !object.is_over()).collect()
}

fn what_would_be_lost(name: &ServerName, going: &[Arc<ChuteDeployment>]) -> String {
    let paid = going.iter().filter(|object| object.status.as_ref().and_then(|s| s.phase) == Some(Phase::Active)).count();
    format!(
        "it would stop {} deployments, {paid} of them paid, and de-register the server; to carry the deletion out: \
         chutes-miner delete-node --name {name}, or kubectl -n chutes annotate gpuserver {name} {CONFIRM_DELETE}={name}",
        going.len()
    )
}

fn withdraw_key(server: &GpuServer) -> String {
    format!("withdraw/{}", server.uid().unwrap_or_default())
}

/// Decides, stops all, and says what it still waits for.
async fn drain(ctx: &Context, server: &GpuServer, name: &ServerName, going: &[Arc<ChuteDeployment>]) -> Result<Option<String>> {
    let decision = NewDecision {
        kind: DecisionKind::Withdraw,
        action_key: &withdraw_key(server),
        subject: json!({ "server": name }),
        reason_code: "Confirmed",
        reason: "a person confirmed the deletion of the server",
    };
    ctx.store.decide(ctx.epoch, &decision).await?;
    for object in going.iter().filter(|object| object.spec.run_state != RunState::Stopped) {
        executor::end(ctx, &object.spec.deployment_id, reasons::SERVER_REMOVED, "its server is being removed").await?;
    }
    if !going.is_empty() {
        return Ok(Some(format!("{} deployments end", going.len())));
    }
    if !ctx.watches.deployments.freshness.within(ctx.timing.oldest_watch) {
        return Err(Error::Waiting("the list of deployments is too old to say that none is left".to_owned()));
    }
    let held = ctx.store.open_claims().await?.into_iter().filter(|claim| claim.server == *name).count();
    let open = ctx.store.deployments_open().await?.into_iter().filter(|row| row.server == *name).count();
    let left = held + open > 0;
    Ok(left.then(|| format!("{held} GPUs are still held, {open} deployments are not closed")))
}

/// Every GPU the validator may know by us.
async fn de_register(ctx: &Context, server: &GpuServer) -> Result<()> {
    let validator = &server.spec.validator;
    let Some(client) = ctx.validators.client(validator) else {
        return Err(Error::Waiting(format!("there is no Validator resource with hotkey {validator} to de-register at; create it again")));
    };
    let status = server.status.clone().unwrap_or_default();
    let id: Option<ServerId> = status.server_id.as_deref().and_then(|id| id.parse().ok());
    if server.spec.attestation == Attestation::Tee {
        if let Some(id) = &id {
            client.delete_server(id).await?;
        }
        return Ok(());
    }
    let mut gpus: BTreeSet<GpuUuid> = status.reported.unwrap_or_default().gpus.into_iter().map(|gpu| gpu.uuid).collect();
    gpus.extend(status.proof.map(|proof| proof.gpus).unwrap_or_default());
    if let Some(view) = ctx.validators.view(validator) {
        // A GPU that is in the report but listed under another server is that server's.
        gpus.retain(|gpu| view.nodes.get(gpu).is_none_or(|row| row.server_id.is_none() || row.server_id == id));
        gpus.extend(view.nodes.values().filter(|row| id.is_some() && row.server_id == id).map(|row| row.uuid.clone()));
    }
    for gpu in &gpus {
        client.delete_node(gpu).await?;
    }
    Ok(())
}

async fn remove_namespace(ctx: &Context, name: &ServerName) -> Result<()> {
    let spaces: Api<Namespace> = Api::all(ctx.client.clone());
    let space = crd::node_namespace(name.as_str());
    if let Some(found) = get_opt(&spaces, &space).await? {
        delete_uid(&spaces, &space, &found.uid().unwrap_or_default(), Propagation::Background).await?;
    }
    Ok(())
}
