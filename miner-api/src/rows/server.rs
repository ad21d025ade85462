//! A server's row.

use super::{deployment, gpu, time};
use crate::ports::fleet::View;
use crd::{
    ChuteDeployment, GpuServer,
    gpu_server::{Attestation, PERSON, Reported},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// The rows of all servers, by name.
#[must_use]
pub fn servers(view: &View, now: Timestamp) -> Vec<Value> {
    view.servers.iter().map(|one| server(one, view, now)).collect()
}

/// The id under which the validator knows the server; empty until its node was seen.
#[must_use]
pub fn server_id(server: &GpuServer) -> &str {
    let status = server.status.as_ref();
    let reported = status.and_then(|status| status.reported.as_ref()).and_then(|reported| reported.node_uid.as_deref());
    status.and_then(|status| status.server_id.as_deref()).or(reported).unwrap_or_default()
}

/// Whether a person locked it.
#[must_use]
pub fn is_locked(server: &GpuServer, now: Timestamp) -> bool {
    server.spec.holds.iter().any(|hold| hold.owner == PERSON && hold.until.as_ref().is_none_or(|until| until.0 > now))
}

/// The row of one server, with its GPUs and living deployments.
#[must_use]
pub fn server(server: &GpuServer, view: &View, now: Timestamp) -> Value {
    let name = server.metadata.name.as_deref().unwrap_or_default();
    let id = server_id(server);
    let status = server.status.clone().unwrap_or_default();
    let reported = status.reported.unwrap_or_default();
    let own: Vec<&Arc<ChuteDeployment>> =
        view.deployments.iter().filter(|one| one.spec.server.as_str() == name && !one.is_over()).collect();
    let gpus: Vec<Value> = reported.gpus.iter().map(|one| gpu::gpu(one, server, id, &own)).collect();
    let gpu_count = if gpus.is_empty() { usize::from(server.spec.gpu_count) } else { gpus.len() };
    json!({
        "server_id": id,
        "validator": server.spec.validator,
        "name": name,
        "ip_address": server.spec.address,
        "agent_api": server.spec.driver.agent.as_ref().and_then(|agent| agent.api.as_ref()),
        "verification_port": server.spec.verification_port,
        "status": status.phase,
        "created_at": time::created(&server.metadata),
        "labels": server.metadata.labels.clone().unwrap_or_default(),
        "seed": null,
        "gpu_count": gpu_count,
        "cpu_per_gpu": cpu_per_gpu(&reported, gpu_count),
        "memory_per_gpu": memory_per_gpu(&reported, gpu_count),
        "hourly_cost": server.spec.hourly_cost_per_gpu,
        "locked": is_locked(server, now),
        "kubeconfig": null,
        "is_tee": server.spec.attestation == Attestation::Tee,
        "gpus": gpus,
        "deployments": own.iter().map(|one| deployment::deployment(one, Some(server), id, &view.chutes)).collect::<Vec<_>>(),
        "node_name": server.spec.node_name,
        "holds": server.spec.holds,
        "why_idle": status.why_idle,
        "health": status.health,
    })
}

/// The existing miner's share of cores: two kept for the node, at most four a GPU.
fn cpu_per_gpu(reported: &Reported, gpus: usize) -> u64 {
    let cores = reported.capacity.as_ref().map_or(0, |capacity| u64::from(capacity.cpu)).saturating_sub(2);
    match gpus as u64 {
        0 => 1,
        gpus if cores <= gpus => 1,
        gpus => (cores / gpus).min(4),
    }
}

/// The existing miner's share of memory in GiB: six kept for the node, four fifths of the rest, at most as much as a GPU has.
fn memory_per_gpu(reported: &Reported, gpus: usize) -> u64 {
    let total = reported.capacity.as_ref().map_or(0, |capacity| u64::from(capacity.memory_gib)).saturating_sub(6);
    let of_gpu = reported.gpus.first().map_or(32, |gpu| gpu.memory_bytes >> 30);
    match gpus as u64 {
        0 => 1,
        gpus if total <= gpus => 1,
        gpus => (total * 4 / 5 / gpus).min(of_gpu),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crd::gpu_server::{Capacity, GpuHealth, ReportedGpu};

    fn reported(cpu: u32, memory_gib: u32, gpu_mib: u64) -> Reported {
        let gpu = ReportedGpu {
            uuid: "0123456789abcdef0123456789abcdef".parse().unwrap(),
            index: 0,
            name: "NVIDIA H100".into(),
            memory_bytes: gpu_mib << 20,
            major: None,
            minor: None,
            processors: None,
            clock_mhz: None,
            ecc: None,
            health: GpuHealth::Ok,
            detail: None,
        };
        Reported { capacity: Some(Capacity { cpu, memory_gib, disk_gib: 100 }), gpus: vec![gpu], ..Reported::default() }
    }

    #[test]
    fn shares_per_gpu_are_those_of_the_existing_miner() {
        // 527988888 KiB are 503 GiB.
        let big = reported(64, 503, 81_559);
        assert_eq!((cpu_per_gpu(&big, 2), memory_per_gpu(&big, 2)), (4, 79));
        let small = reported(8, 32, 16_384);
        assert_eq!((cpu_per_gpu(&small, 2), memory_per_gpu(&small, 2)), (3, 10));
        assert_eq!((cpu_per_gpu(&Reported::default(), 8), memory_per_gpu(&Reported::default(), 0)), (1, 1));
    }
}
