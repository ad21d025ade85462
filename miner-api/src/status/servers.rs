//! Servers, and why each idle GPU is idle.

use crate::ports::fleet::View;
use crd::{
    GpuServer,
    gpu_server::{GpuHealth, ReportedGpu, ServerPhase},
};
use jiff::Timestamp;
use protocol::ids::GpuUuid;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A server in one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServerLine {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub phase: String,
    /// GPU type.
    pub model: String,
    /// GPUs it has, or should have until it reported.
    pub gpus: usize,
    /// GPUs that a living deployment holds.
    pub busy: usize,
    /// GPUs that none does, with the reason of each.
    pub idle: Vec<IdleGpu>,
    /// Owners of the holds in force.
    pub holds: Vec<String>,
    /// Health in a few words.
    pub health: Option<String>,
    /// US dollars per GPU and hour.
    pub hourly_cost_per_gpu: f64,
    /// Who reports on it.
    pub seen_by: Option<String>,
}

/// An idle GPU.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IdleGpu {
    /// Its UUID; absent until somebody reported on the server.
    pub gpu: Option<String>,
    /// Reason code.
    pub reason: String,
}

pub(super) fn lines(view: &View, idle_now: &BTreeMap<String, String>, now: Timestamp) -> Vec<ServerLine> {
    view.servers.iter().map(|server| line(server, view, idle_now, now)).collect()
}

fn line(server: &GpuServer, view: &View, idle_now: &BTreeMap<String, String>, now: Timestamp) -> ServerLine {
    let name = server.metadata.name.clone().unwrap_or_default();
    let held: BTreeSet<&GpuUuid> =
        view.deployments.iter().filter(|one| one.spec.server.as_str() == name && !one.is_over()).flat_map(|one| &one.spec.gpus).collect();
    let status = server.status.clone().unwrap_or_default();
    let reported = status.reported.map(|reported| reported.gpus).unwrap_or_default();
    let holds = server
        .spec
        .holds
        .iter()
        .filter(|hold| hold.until.as_ref().is_none_or(|until| until.0 > now))
        .map(|hold| hold.owner.clone())
        .collect();
    let idle = reported
        .iter()
        .filter(|gpu| !held.contains(&gpu.uuid))
        .map(|gpu| IdleGpu { gpu: Some(gpu.uuid.to_string()), reason: why(server, gpu, idle_now, now) });
    // Nobody has seen the GPUs it should have.
    let unseen = if reported.is_empty() { usize::from(server.spec.gpu_count).saturating_sub(held.len()) } else { 0 };
    let unseen = std::iter::repeat_n(IdleGpu { gpu: None, reason: "NotReported".to_owned() }, unseen);
    ServerLine {
        phase: status.phase.map_or_else(|| "New".to_owned(), |phase| phase.to_string()),
        model: server.spec.gpu_ref.to_string(),
        gpus: if reported.is_empty() { usize::from(server.spec.gpu_count) } else { reported.len() },
        busy: held.len(),
        idle: idle.chain(unseen).collect(),
        holds,
        health: status.health,
        hourly_cost_per_gpu: server.spec.hourly_cost_per_gpu,
        seen_by: status.seen_by,
        name,
    }
}

/// What stands nearest in the way comes first: the GPU itself, its proof, a hold, then the strategy's word.
fn why(server: &GpuServer, gpu: &ReportedGpu, idle_now: &BTreeMap<String, String>, now: Timestamp) -> String {
    let status = server.status.clone().unwrap_or_default();
    if gpu.health != GpuHealth::Ok {
        return format!("Gpu{}", gpu.health);
    }
    if !status.proof.is_some_and(|proof| proof.gpus.contains(&gpu.uuid)) {
        return "NotProven".to_owned();
    }
    if server.spec.held(now).is_some() {
        return "ServerHeld".to_owned();
    }
    if status.phase.is_some_and(|phase| phase != ServerPhase::Ready) {
        return "ServerNotReady".to_owned();
    }
    idle_now.get(gpu.uuid.as_str()).cloned().or(status.why_idle).unwrap_or_else(|| "NotPlannedYet".to_owned())
}
