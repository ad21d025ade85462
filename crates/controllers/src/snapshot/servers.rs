//! Servers and their GPUs for the planner.

use std::collections::{BTreeMap, BTreeSet};

use crd::conditions::is_true;
use crd::gpu_server::{Attestation, GpuHealth, condition};
use crd::{GpuServer, GpuServerStatus};
use gepetto::snapshot::{Deployment, Gpu, GpuState, Server, ServerState, Stage};
use jiff::Timestamp;
use kube::ResourceExt as _;
use protocol::ids::{DeploymentId, GpuUuid, Ss58};

use crate::Context;
use crate::ledger::micro;
use crate::validator_view::View;

pub(super) fn servers(
    ctx: &Context,
    validator: &Ss58,
    view: &View,
    claims: &BTreeMap<&GpuUuid, &DeploymentId>,
    deployments: &[Deployment],
    now: Timestamp,
) -> Vec<Server> {
    let ending: BTreeSet<&DeploymentId> = deployments.iter().filter(|d| d.stage == Stage::Ending).map(|d| &d.id).collect();
    let all = ctx.watches.servers.all();
    let mut servers: Vec<Server> = all
        .iter()
        .filter(|server| server.spec.validator == *validator)
        .filter_map(|object| {
            let status = object.status.clone().unwrap_or_default();
            let gpus = gpus(&status, usize::from(object.spec.gpu_count), view, claims, &ending);
            Some(Server {
                name: object.name_any().parse().ok()?,
                gpu_ref: object.spec.gpu_ref.clone(),
                tee: object.spec.attestation == Attestation::Tee,
                gpu_hour_micro_usd: micro(object.spec.hourly_cost_per_gpu).unwrap_or(0).unsigned_abs(),
                state: state(ctx, object, &status, now),
                held: object.spec.held(now).is_some(),
                gpus,
            })
        })
        .collect();
    servers.sort_by(|a, b| a.name.cmp(&b.name));
    servers
}

fn state(ctx: &Context, server: &GpuServer, status: &GpuServerStatus, now: Timestamp) -> ServerState {
    if server.metadata.deletion_timestamp.is_some() {
        return ServerState::NotReady;
    }
    // Asked here and not of the condition: between two looks of the server's controller an agent can fall silent.
    if ctx.silent(server, now) {
        return ServerState::Silent;
    }
    let verified = is_true(&status.conditions, condition::VERIFIED);
    if verified && is_true(&status.conditions, condition::READY) { ServerState::Ready } else { ServerState::NotReady }
}

fn gpus(
    status: &GpuServerStatus,
    should: usize,
    view: &View,
    claims: &BTreeMap<&GpuUuid, &DeploymentId>,
    ending: &BTreeSet<&DeploymentId>,
) -> Vec<Gpu> {
    let mut reported = status.present(should);
    // One that was exchanged is none of the server's any more, but whoever holds it holds it.
    reported.extend(status.exchanged(should).into_iter().filter(|gpu| claims.contains_key(&gpu.uuid)));
    reported.sort_by_key(|gpu| gpu.index);
    let state = |gpu: &crd::gpu_server::ReportedGpu| match claims.get(&gpu.uuid) {
        Some(holder) if ending.contains(*holder) => GpuState::Freeing,
        Some(_) => GpuState::Claimed,
        None if gpu.health != GpuHealth::Ok => GpuState::Unhealthy,
        None if view.inventory.contains_key(&gpu.uuid) => GpuState::Occupied,
        None if view.nodes.get(&gpu.uuid).is_none_or(|node| node.verified_at.is_none()) => GpuState::Unproven,
        None => GpuState::Free,
    };
    reported.iter().map(|gpu| Gpu { uuid: gpu.uuid.clone(), state: state(gpu) }).collect()
}
