//! `GpuServer`: a machine with GPUs.

use crate::open_enum;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use protocol::ids::{GpuRef, GpuUuid, Ss58};
use serde::{Deserialize, Serialize};

/// A server whose GPUs earn for a validator. The spec is written by a person or `add-node`.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gepetto.fleet",
    version = "v1alpha1",
    kind = "GpuServer",
    doc = "A machine whose GPUs earn for a validator: where it is, what it costs, who holds it back, and what was seen of it. Namespace `chutes`; written by `add-node` or a person.",
    namespaced,
    status = "GpuServerStatus",
    shortname = "gs",
    category = "fleet",
    printcolumn(name = "PHASE", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "MODEL", type_ = "string", json_path = ".spec.gpuRef"),
    printcolumn(name = "BUSY", type_ = "string", json_path = ".status.busy"),
    printcolumn(name = "HEALTH", type_ = "string", json_path = ".status.health"),
    printcolumn(name = "HOLD", type_ = "string", json_path = ".spec.holds[*].owner"),
    printcolumn(name = "WHY-IDLE", type_ = "string", json_path = ".status.whyIdle"),
    printcolumn(name = "$/H", type_ = "number", json_path = ".spec.hourlyCostPerGpu"),
    printcolumn(name = "SEEN-BY", type_ = "string", json_path = ".status.seenBy"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 50").message("metadata.name must be at most 50 characters: it names a namespace and labels too"),
    validation = Rule::new("!self.metadata.name.contains('.')").message("metadata.name must be a DNS label without dots; put the node's full name in spec.nodeName")
)]
#[x_kube(validation = Rule::new("has(self.driver.agent) != has(self.driver.remote)").message("driver must hold exactly one of agent (our agent runs there) or remote (a sealed worker, reached through its kubeconfig)"))]
#[x_kube(validation = Rule::new("!(self.cluster == 'Shared' && has(self.driver.remote))").message("a server with driver remote has a cluster of its own: set cluster to Own"))]
#[serde(rename_all = "camelCase")]
pub struct GpuServerSpec {
    /// The name of the Kubernetes node that runs the chutes.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("nodeName cannot change: delete the server and add it under its new node name"))]
    pub node_name: String,
    /// Public address (IP or DNS name) that the validator reaches instances at.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("!self.contains('/') && !self.contains(' ') && !self.matches('^[^:]+:[0-9]+$')").message("address must be an IP or a DNS name without scheme, port or path, such as 203.0.113.10"))]
    pub address: String,
    /// The hotkey address of the validator it earns from.
    #[x_kube(validation = Rule::new("self == oldSelf").message("validator cannot change: delete the server and add it for the other validator"))]
    #[x_kube(validation = Rule::new("self.matches('^5[1-9A-HJ-NP-Za-km-z]{47}$')").message("validator must be an SS58 address: 48 characters that begin with 5, such as 5Dt7HZ7Zpw4DppPxFM7Ke3Cm7sDAWhsZXmM5ZAmE7dSVJbcQ"))]
    #[schemars(length(max = 128))]
    pub validator: Ss58,
    /// GPU type by its short name in the validator's catalogue, such as `h100_sxm`.
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9_.-]+$')").message("gpuRef is the short name of the GPU type in the validator's catalogue, such as h100_sxm or pro_6000"))]
    #[schemars(length(max = 64))]
    pub gpu_ref: GpuRef,
    /// How many GPUs the server should have.
    #[schemars(range(min = 1, max = 10))]
    pub gpu_count: u8,
    /// What one GPU of it costs you per hour, in US dollars. Gepetto weighs it against what a chute pays.
    #[schemars(range(min = 0, max = 1000))]
    pub hourly_cost_per_gpu: f64,
    /// How the validator proves the GPUs: `Graval` (advertised by `POST /nodes/`) or `Tee` (a sealed server attests itself).
    #[serde(default)]
    pub attestation: Attestation,
    /// Port at which the validator checks the GPUs.
    #[serde(default = "default_verification_port")]
    #[schemars(range(min = 80, max = 65535))]
    pub verification_port: u16,
    /// `Own`: the server runs a cluster of its own. `Shared`: it is a node of the control cluster.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == oldSelf").message("cluster cannot change: delete the server and add it with the other cluster"))]
    pub cluster: Cluster,
    /// Why nothing new may be placed here; one entry per owner. `lock` sets the hold of owner `person`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["owner".into()]))]
    #[schemars(length(max = 32))]
    pub holds: Vec<Hold>,
    /// Limits of the model cache on the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheLimits>,
    /// Who realizes deployments: our agent, or the operator over the node's kubeconfig.
    #[x_kube(validation = Rule::new("has(self.agent) == has(oldSelf.agent)").message("driver cannot change between agent and remote: two would drive the same server; delete it and add it with the other driver"))]
    pub driver: Driver,
}

fn default_verification_port() -> u16 {
    30443
}

open_enum! {
    /// How a server's GPUs are proven to the validator.
    #[derive(Default)]
    Attestation {
        /// GPUs are advertised one by one and answer timed challenges.
        #[default]
        Graval,
        /// The sealed server attests itself.
        Tee,
    }
}

open_enum! {
    /// Which cluster runs the server's pods.
    #[derive(Default)]
    Cluster {
        /// A cluster of its own; workloads in namespace `chutes` there.
        #[default]
        Own,
        /// The control cluster; workloads in the server's own namespace.
        Shared,
    }
}

/// A reason, owned by somebody, not to place anything on a server.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// Who holds: `person` (the `lock` command), `health`, `proof`, `maintenance`, or a name of your own.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$')").message("the owner of a hold is a word such as person, health or maintenance: letters, digits, - _ and ."))]
    pub owner: String,
    /// Why, for people.
    #[schemars(length(max = 512))]
    pub reason: String,
    /// When it ends by itself; absent means when its owner lifts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

/// The owner of the hold that `lock` sets and `unlock` lifts.
pub const PERSON: &str = "person";

/// Limits of the model cache.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheLimits {
    /// Models unused for longer may go, in days (default 7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3650))]
    pub max_age_days: Option<u32>,
    /// Size the cache is cut back to, in GB (default 500).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000000))]
    pub max_size_gb: Option<u32>,
}

/// Exactly one of the two.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Driver {
    /// Our agent runs on the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentDriver>,
    /// The operator drives the server's own cluster over a kubeconfig; for sealed workers that admit no agent of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteDriver>,
}

/// A server with our agent.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentDriver {
    /// The address of the node key, pinned at enrolment: requests it signs buy the agent's tokens.
    #[x_kube(validation = Rule::new("self.matches('^5[1-9A-HJ-NP-Za-km-z]{47}$')").message("nodeKey must be an SS58 address: 48 characters that begin with 5, such as 5Dt7HZ7Zpw4DppPxFM7Ke3Cm7sDAWhsZXmM5ZAmE7dSVJbcQ"))]
    #[schemars(length(max = 128))]
    pub node_key: Ss58,
    /// Where the agent listens, for enrolment, such as `http://203.0.113.10:32000`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^https?://[^ ]+$')").message("api is the URL of the agent, such as http://203.0.113.10:32000"))]
    pub api: Option<String>,
}

/// A server driven over its kubeconfig.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoteDriver {
    /// Secret in the server's own namespace on the control cluster, key `kubeconfig`.
    pub kubeconfig_secret_ref: SecretRef,
    /// What the node allows: `Sealed` (stock TEE worker: no Secrets, no private variables) or `Open`.
    #[serde(default)]
    pub profile: RemoteProfile,
}

/// A Secret by name.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

open_enum! {
    /// What a remotely driven node admits.
    #[derive(Default)]
    RemoteProfile {
        /// A stock TEE worker: nobody may create Secrets there, so the launch token is a literal variable.
        #[default]
        Sealed,
        /// An ordinary cluster.
        Open,
    }
}

open_enum! {
    /// Where a server stands.
    ServerPhase {
        /// The namespace, the account and the enrolment are being made.
        Provisioning,
        /// Waiting for the first inventory of its GPUs.
        Inventory,
        /// The GPUs are being advertised and proven to the validator.
        Verifying,
        /// Proven; chutes may be placed unless a hold says otherwise.
        Ready,
        /// Something needs a person or a retry; the conditions say what.
        Degraded,
        /// A confirmed deletion stops its chutes and de-registers it.
        Draining,
    }
}

/// What was seen of the server.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GpuServerStatus {
    /// What runs on the node and reports: GPUs, capacity, versions. Written by the agent; by the operator for remote servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Reported>,
    /// Where it stands. Written by the operator, like everything below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<ServerPhase>,
    /// The id under which the validator knows the server (the node's UID).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_id: Option<String>,
    /// The node key that the agent's account was made for: tokens are sold to this key alone, and those of the key before it are dead.
    /// Absent for servers without an agent, and until the account exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub node_key: Option<Ss58>,
    /// GPUs in use over GPUs proven, such as `7/8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<String>,
    /// `8/8 ok`, or the first fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
    /// Why GPUs are idle, one reason code, if any is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_idle: Option<String>,
    /// Who reports on it: `agent` or `operator`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_by: Option<String>,
    /// GPUs proven to the validator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// `Provisioned`, `Enrolled`, `Inventoried`, `Advertised`, `Verified`, `Ready`, `Deletable`, by type.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The generation of the spec this speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// Condition types of a GpuServer.
pub mod condition {
    /// Namespace, account and role exist.
    pub const PROVISIONED: &str = "Provisioned";
    /// The agent holds a token and reports (or the remote kubeconfig works).
    pub const ENROLLED: &str = "Enrolled";
    /// The GPUs were counted and match the spec.
    pub const INVENTORIED: &str = "Inventoried";
    /// The validator took the advert.
    pub const ADVERTISED: &str = "Advertised";
    /// The validator proved the GPUs.
    pub const VERIFIED: &str = "Verified";
    /// All of the above, and its reporter is alive. `Unknown` when the reporter is silent.
    pub const READY: &str = "Ready";
    /// What stands in the way of a deletion that was asked for.
    pub const DELETABLE: &str = "Deletable";
}

/// What the node says of itself. Bounded in size, since a node that was broken into writes what it likes.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reported {
    /// UID of the Kubernetes node; the id the validator knows the server by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub node_uid: Option<String>,
    /// One entry per GPU, in device order.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["uuid".into()]))]
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub gpus: Vec<ReportedGpu>,
    /// What the node can give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    /// Versions of what runs there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<Versions>,
}

/// One GPU as the driver describes it. Units are those of the validator's advert.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportedGpu {
    /// The GPU's UUID as 32 hexadecimal digits.
    pub uuid: GpuUuid,
    /// Device index, from 0.
    pub index: u32,
    /// The driver's name of it, such as `NVIDIA H100 80GB HBM3`.
    #[schemars(length(max = 256))]
    pub name: String,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// CUDA compute capability, major.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub major: Option<u32>,
    /// CUDA compute capability, minor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minor: Option<u32>,
    /// Streaming multiprocessors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processors: Option<u32>,
    /// Highest graphics clock in MHz.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_mhz: Option<u32>,
    /// Whether error-correcting memory is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecc: Option<bool>,
    /// `Ok`, or why not to use it.
    pub health: GpuHealth,
    /// What is wrong, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub detail: Option<String>,
}

open_enum! {
    /// Whether a GPU may be used.
    GpuHealth {
        /// It answers and shows no fault.
        Ok,
        /// It was there and no longer answers (fell off the bus).
        Lost,
        /// It answers and shows a fault, such as uncorrectable memory errors.
        Faulty,
    }
}

/// What a node can give.
#[derive(schemars::JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Capacity {
    /// CPU cores.
    pub cpu: u32,
    /// Memory in GiB, rounded down.
    pub memory_gib: u32,
    /// Ephemeral storage in GiB, rounded down.
    pub disk_gib: u32,
}

/// Versions of what runs on a node.
#[derive(schemars::JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Versions {
    /// Our agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub agent: Option<String>,
    /// The GPU driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub driver: Option<String>,
    /// The kubelet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub kubelet: Option<String>,
    /// The sealed worker's image, on TEE servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub vm: Option<String>,
}

/// What the validator proved.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// The GPUs it proved.
    pub gpus: Vec<GpuUuid>,
    /// When.
    pub verified_at: Time,
}

impl GpuServerSpec {
    /// Whether a hold is in force at this time.
    #[must_use]
    pub fn held(&self, now: Timestamp) -> Option<&Hold> {
        self.holds.iter().find(|hold| hold.until.as_ref().is_none_or(|until| until.0 > now))
    }
}
