//! The report: `status.workload`, written when it changed and only then.

use cluster::{Result, apply::ssa_status};
use crd::{ChuteDeployment, chute_deployment::Workload};
use kube::Api;
use serde_json::json;

/// Machine-readable reasons of a [`Workload`].
pub mod reason {
    /// Another pod holds one of the GPUs.
    pub const GPU_BUSY: &str = "GpuBusy";
    /// One of the GPUs fell off the bus.
    pub const GPU_LOST: &str = "GpuLost";
    /// The launch was granted, but its Secret cannot be found.
    pub const TOKEN_MISSING: &str = "LaunchTokenMissing";
    /// The image cannot be pulled.
    pub const IMAGE_PULL: &str = "ImagePull";
    /// A container cannot be created or started.
    pub const CANNOT_START: &str = "CannotStart";
    /// The node refused the pod: not enough of something.
    pub const UNSCHEDULABLE: &str = "Unschedulable";
    /// The node went away under the pod.
    pub const NODE_LOST: &str = "NodeLost";
    /// The node evicted the pod.
    pub const EVICTED: &str = "Evicted";
    /// A container ended with an error.
    pub const CRASHED: &str = "Crashed";
    /// The chute ended without an error.
    pub const COMPLETED: &str = "Completed";
    /// The chute was not ready in time.
    pub const NOT_READY_IN_TIME: &str = "NotReadyInTime";
    /// Somebody deleted the Job.
    pub const JOB_DELETED: &str = "JobDeleted";
    /// Somebody deleted the pod.
    pub const POD_DELETED: &str = "PodDeleted";
    /// Somebody deleted the Service, and its node ports are not known.
    pub const SERVICE_DELETED: &str = "ServiceDeleted";
    /// The API server, or an admission policy of it, refused an object.
    pub const CREATE_REFUSED: &str = "CreateRefused";
    /// The pod is being ended.
    pub const POD_ENDING: &str = "PodEnding";
    /// The pod is gone; the Service stands until the operator releases it.
    pub const POD_GONE: &str = "PodGone";
    /// The Service's predecessor is still being deleted.
    pub const SERVICE_ENDING: &str = "ServiceEnding";
}

/// Writes the report. The caller has compared it with what stands there.
pub(crate) async fn write(api: &Api<ChuteDeployment>, manager: &str, name: &str, workload: &Workload) -> Result<()> {
    ssa_status(api, manager, name, json!({ "workload": workload })).await.map(|_| ())
}

/// Cuts a text for people to what the schema allows, on one line.
pub(crate) fn short(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(1000).collect()
}
