//! A deployment's row.

use super::{chute, gpu, time};
use crd::{
    Chute, ChuteDeployment, GpuServer,
    chute_deployment::{Phase, Workload},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// The container port whose node port is called the deployment's port.
const MAIN_PORT: u16 = 8000;

/// One deployment with its GPUs and its chute.
#[must_use]
pub fn deployment(deployment: &Arc<ChuteDeployment>, server: Option<&GpuServer>, server_id: &str, chutes: &[Arc<Chute>]) -> Value {
    let spec = &deployment.spec;
    let status = deployment.status.clone().unwrap_or_default();
    let reached = |phase| status.reached.iter().find(|reached| reached.phase == phase).map(|reached| time::wire(reached.at.0));
    let reported = server.and_then(|server| server.status.as_ref()).and_then(|status| status.reported.as_ref());
    let gpus: Vec<Value> = match (server, reported) {
        (Some(server), Some(reported)) => reported
            .gpus
            .iter()
            .filter(|one| spec.gpus.contains(&one.uuid))
            .map(|one| gpu::gpu(one, server, server_id, &[deployment]))
            .collect(),
        // The list's length is what people read; a server that has not reported still holds these GPUs.
        _ => spec.gpus.iter().map(|uuid| json!({ "gpu_id": uuid, "server_id": server_id, "deployment_id": spec.deployment_id })).collect(),
    };
    let listed = chutes.iter().find(|chute| chute.spec.chute_id == spec.chute.id);
    json!({
        "deployment_id": spec.deployment_id,
        "instance_id": status.instance_id,
        "validator": spec.validator,
        "host": spec.address,
        "port": status.workload.as_ref().and_then(port),
        "chute_id": spec.chute.id,
        "server_id": server_id,
        "version": spec.chute.version,
        "active": status.phase == Some(Phase::Active),
        "verified_at": reached(Phase::Verified),
        "activated_at": reached(Phase::Active),
        "stub": false,
        "job_id": spec.job.as_ref().map(|job| &job.id),
        "config_id": status.config_id,
        "created_at": time::created(&deployment.metadata),
        "preemptible": spec.job.is_none(),
        "gpus": gpus,
        "chute": chute::chute(listed.map(AsRef::as_ref), deployment),
        "phase": status.phase,
        "reason": status.reason,
    })
}

fn port(workload: &Workload) -> Option<u16> {
    let ports = &workload.node_ports;
    ports.iter().find(|port| port.port == MAIN_PORT).or(ports.first()).map(|port| port.node_port)
}
