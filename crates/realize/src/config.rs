//! What a realizer needs to be told.

use crate::GpuProcesses;
use cluster::metrics::Looks;
use crd::gpu_server::GpuHealth;
use jiff::SignedDuration;
use protocol::ids::{GpuUuid, ServerName, Ss58};
use std::collections::BTreeMap;
use tokio::sync::watch;
use workload::NodeProfile;

/// The health of GPUs, as the agent's inventory sees it. A GPU that is not in it is one that nobody has looked at.
pub type GpuHealthMap = BTreeMap<GpuUuid, GpuHealth>;

/// How long a pod may be in trouble before its deployment counts as failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// From the chute's start to its first readiness, and from the loss of readiness to its return.
    pub ready: SignedDuration,
    /// From the first sight of a trouble that may pass (an image that cannot be pulled, a container that cannot be created).
    pub trouble: SignedDuration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { ready: SignedDuration::from_mins(60), trouble: SignedDuration::from_mins(5) }
    }
}

/// Everything a realizer needs to be told.
#[derive(Clone)]
pub struct RealizeConfig {
    /// The server whose deployments it makes real.
    pub server: ServerName,
    /// Client of the control cluster.
    pub control: kube::Client,
    /// Client of the cluster that runs the server's pods; the same as `control` on a shared cluster.
    pub node: kube::Client,
    /// What the node allows.
    pub profile: NodeProfile,
    /// The miner's hotkey address.
    pub miner: Ss58,
    /// How long pods may be in trouble.
    pub deadlines: Deadlines,
    /// The health of the server's GPUs, as it changes.
    pub gpu_health: watch::Receiver<GpuHealthMap>,
    /// The processes on them.
    pub gpu_processes: GpuProcesses,
    /// Where its counters and the age of its watches are shown while it runs.
    pub looks: Looks,
    /// Field manager of `status.workload`. One name for both drivers, so that a server may change from one to the other.
    pub manager: String,
}

impl RealizeConfig {
    /// The field manager that owns `status.workload`.
    pub const MANAGER: &'static str = "gepetto-agent";
}
