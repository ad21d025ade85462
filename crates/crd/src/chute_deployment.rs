//! `ChuteDeployment`: one copy of a chute on the GPUs of one server.

use crate::open_enum;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use protocol::ids::{ChuteId, ChuteVersion, ConfigId, DeploymentId, GpuUuid, InstanceId, JobId, ServerName, Ss58};
use serde::{Deserialize, Serialize};

/// A decision of the operator to run a chute on certain GPUs. Lives in the server's own namespace. Immutable but for `runState`.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gepetto.fleet",
    version = "v1alpha1",
    kind = "ChuteDeployment",
    doc = "One copy of a chute on GPUs of one server, as gepetto decided it, and how far it came. Lives in the server's own namespace, `chutes-node-<server>`; written by the operator.",
    namespaced,
    status = "ChuteDeploymentStatus",
    shortname = "cdep",
    category = "fleet",
    printcolumn(name = "CHUTE", type_ = "string", json_path = ".spec.chute.name"),
    printcolumn(name = "SERVER", type_ = "string", json_path = ".spec.server"),
    printcolumn(name = "GPUS", type_ = "integer", json_path = ".spec.gpuCount"),
    printcolumn(name = "PHASE", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "REASON", type_ = "string", json_path = ".status.reason"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name == self.spec.deploymentId").message("metadata.name must equal spec.deploymentId")
)]
#[x_kube(validation = Rule::new("self.deploymentId == oldSelf.deploymentId && self.server == oldSelf.server && self.nodeName == oldSelf.nodeName && self.validator == oldSelf.validator && self.chute == oldSelf.chute && self.gpus == oldSelf.gpus && self.gpuCount == oldSelf.gpuCount && self.address == oldSelf.address && self.image == oldSelf.image && self.ports == oldSelf.ports && self.resources == oldSelf.resources && self.cache == oldSelf.cache && has(self.job) == has(oldSelf.job) && (!has(self.job) || self.job == oldSelf.job)").message("a ChuteDeployment is immutable but for runState: to change anything else, set runState to Stopped and let gepetto place a new one"))]
#[x_kube(validation = Rule::new("self.gpuCount == self.gpus.size()").message("gpuCount must equal the number of entries in gpus"))]
#[x_kube(validation = Rule::new("!(oldSelf.runState == 'Stopped' && self.runState == 'Running')").message("a stopped ChuteDeployment cannot run again: gepetto places a new one"))]
#[serde(rename_all = "camelCase")]
pub struct ChuteDeploymentSpec {
    /// Our id of it, a UUID; also the name of this resource, and part of the names of its Job and Service.
    pub deployment_id: DeploymentId,
    /// The name of the GpuServer it runs on.
    pub server: ServerName,
    /// The name of the Kubernetes node it runs on.
    #[schemars(length(min = 1, max = 253))]
    pub node_name: String,
    /// The hotkey address of the validator it earns from.
    pub validator: Ss58,
    /// The chute that runs, as it was when the decision fell.
    pub chute: ChuteRef,
    /// How many GPUs; equals the length of `gpus`.
    #[schemars(range(min = 1, max = 10))]
    pub gpu_count: u8,
    /// The GPUs it may use, as 32 hexadecimal digits each.
    #[schemars(length(min = 1, max = 10), inner(length(max = 64)))]
    #[x_kube(validation = Rule::new("self.all(gpu, gpu.matches('^[0-9a-f]{32}$'))").message("gpus are written as 32 hexadecimal digits, without GPU- and dashes, such as 5f7b1c2d3e4f40518263748596a7b8c9"))]
    #[x_kube(validation = Rule::new("self.all(gpu, self.exists_one(other, other == gpu))").message("gpus must name each GPU once"))]
    pub gpus: Vec<GpuUuid>,
    /// Address at which the validator reaches the instance.
    #[schemars(length(min = 1, max = 253))]
    pub address: String,
    /// Full image reference, registry included.
    #[schemars(length(min = 1, max = 1024))]
    pub image: String,
    /// Ports beyond the standard ones.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub ports: Vec<ExtraPort>,
    /// CPU, memory and disk of the pod; requests equal limits.
    pub resources: PodResources,
    /// Limits of the model cache, given to its cleaner.
    pub cache: Cache,
    /// The job it runs, if it runs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobRef>,
    /// `Stopped` ends it; it never runs again.
    pub run_state: RunState,
}

open_enum! {
    /// What is wanted of a deployment.
    RunState {
        /// It should run.
        Running,
        /// It should end.
        Stopped,
    }
}

/// A chute as it was when the decision fell.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChuteRef {
    /// The validator's id.
    pub id: ChuteId,
    /// The version.
    pub version: ChuteVersion,
    /// The name, for people.
    #[schemars(length(max = 256))]
    pub name: String,
    /// `module:variable`.
    #[schemars(length(max = 256))]
    pub ref_str: String,
    /// Version of the library inside; empty when the validator named none.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub chutes_version: String,
    /// Whether it is for sealed servers.
    #[serde(default)]
    pub tee: bool,
}

/// A port that a job declares.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtraPort {
    /// Port in the container.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// `tcp`, `http` or `udp`, as the validator wrote it.
    #[schemars(length(max = 8))]
    pub proto: String,
}

/// What a pod gets; requests equal limits.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodResources {
    /// CPU cores.
    #[schemars(range(min = 1, max = 4096))]
    pub cpu: u32,
    /// Memory in GiB.
    #[schemars(range(min = 1, max = 65536))]
    pub memory_gib: u32,
    /// Ephemeral storage in GiB.
    #[schemars(range(min = 1, max = 65536))]
    pub disk_gib: u32,
}

/// Limits of the model cache.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cache {
    /// Days after which unused models may go.
    pub max_age_days: u32,
    /// GB the cache is cut back to.
    pub max_size_gb: u32,
}

/// The job a deployment runs.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobRef {
    /// The validator's id of the job.
    pub id: JobId,
}

open_enum! {
    /// Where a deployment stands.
    Phase {
        /// Planned, GPUs claimed.
        Pending,
        /// The launch token was fetched.
        Granted,
        /// Service and Job are applied; the image is pulled, the cache filled.
        Starting,
        /// The validator knows the instance.
        Claimed,
        /// The validator verified it.
        Verified,
        /// It is paid.
        Active,
        /// It is being ended.
        Stopping,
        /// It ended as wanted; nothing is left.
        Stopped,
        /// It ended otherwise; nothing is left.
        Failed,
    }
}

impl Phase {
    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Stopped | Self::Failed)
    }
}

impl ChuteDeployment {
    /// Whether it ended and nothing more will happen.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.status.as_ref().and_then(|status| status.phase).is_some_and(Phase::is_terminal)
    }
}

/// What was seen of the deployment.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChuteDeploymentStatus {
    /// What runs on the node. Written by the agent, or the operator's remote driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<Workload>,
    /// Where it stands. Written by the operator, like everything below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Machine-readable reason of the last move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The launch config it runs with; joins Kubernetes, the validator and the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_id: Option<ConfigId>,
    /// The validator's id of the running copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<InstanceId>,
    /// When each phase was first reached.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["phase".into()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reached: Vec<Reached>,
    /// Conditions, by type.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The generation of the spec this speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// When a phase was first reached.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reached {
    /// The phase.
    pub phase: Phase,
    /// When; set once.
    pub at: Time,
}

open_enum! {
    /// What stands on the node.
    WorkloadState {
        /// Nothing was made yet, or nothing can be: see the reason.
        Waiting,
        /// Service and Job exist; the pod is not running yet.
        Starting,
        /// The pod runs.
        Running,
        /// The pod runs and its readiness probe passes.
        Ready,
        /// The pod ended by itself or could not start: see the reason. Objects may still exist.
        Failed,
        /// The Job is being removed; the pod may still be there.
        Ending,
        /// The pod is gone, seen by its UID, and no object of it is left.
        Gone,
    }
}

/// What the realizer sees on the node. Bounded in size, since a node that was broken into writes what it likes.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// In one word.
    pub state: WorkloadState,
    /// Machine-readable reason, such as `ImagePull`, `Crashed`, `NotReadyInTime`, `GpuLost`, `GpuBusy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub reason: Option<String>,
    /// The same for people, at most 1,000 characters, never with a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
    /// UID of the Job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub job_uid: Option<String>,
    /// UID of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub pod_uid: Option<String>,
    /// Name of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub pod_name: Option<String>,
    /// Node ports by container port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["port".into()]))]
    #[schemars(length(max = 64))]
    pub node_ports: Vec<NodePort>,
    /// Exit code of the chute's container, once it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

/// A port as the world sees it.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodePort {
    /// Port in the container.
    pub port: u16,
    /// Port on the node.
    pub node_port: u16,
}

/// The name of a deployment's resource, Job suffix and Service suffix: the id itself.
#[must_use]
pub fn resource_name(id: &DeploymentId) -> String {
    id.to_string()
}

/// The name of the Secret on the control cluster that holds a deployment's launch token, key `token`.
#[must_use]
pub fn launch_secret_name(id: &DeploymentId) -> String {
    format!("launch-{id}")
}
