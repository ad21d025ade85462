//! The control cluster as the API uses it: cached reads, few and small writes.

use async_trait::async_trait;
use crd::{Chute, ChuteDeployment, GepettoPolicy, GpuServer, Validator, gpu_server::Hold};
use jiff::Timestamp;
use protocol::ids::Ss58;
use serde::Serialize;
use std::sync::Arc;

/// Everything the API reads, at one moment, from the watch caches.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The servers, by name.
    pub servers: Vec<Arc<GpuServer>>,
    /// The deployments.
    pub deployments: Vec<Arc<ChuteDeployment>>,
    /// The chutes.
    pub chutes: Vec<Arc<Chute>>,
    /// The validators.
    pub validators: Vec<Arc<Validator>>,
    /// The policy in force.
    pub policy: Option<Arc<GepettoPolicy>>,
    /// How old each cache is.
    pub sources: Vec<Source>,
}

/// How fresh a source is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Source {
    /// Its name, such as `gpuservers`.
    pub name: String,
    /// Seconds since it last said anything; absent if it never did.
    pub age_s: Option<u64>,
    /// Whether its first list was read completely.
    pub complete: bool,
}

/// A cache this many seconds old was not refreshed although it should have been: a healthy watch hears something every 200 s.
const OLD_S: u64 = 300;

impl Source {
    /// Whether it never said anything, or nothing for too long.
    #[must_use]
    pub fn is_old(&self) -> bool {
        self.age_s.is_none_or(|age| age > OLD_S)
    }
}

/// The operator's signs of life, as its Leases on the control cluster tell them. Times are by the operator's clock.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OperatorSigns {
    /// The leader's Lease; absent if no operator ever led here.
    pub leader: Option<Beat>,
    /// What the planner said last; absent if it never said anything.
    pub planner: Option<PlannerBeat>,
}

/// A Lease in short.
#[derive(Clone, Debug, PartialEq)]
pub struct Beat {
    /// Who holds it; absent if it was given back.
    pub holder: Option<String>,
    /// When its holder took it.
    pub since: Option<Timestamp>,
    /// When it was renewed last.
    pub renewed: Option<Timestamp>,
    /// How many seconds it is to be believed without renewal.
    pub believed_s: u64,
}

/// The planner's sign of life, and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannerBeat {
    /// The Lease.
    pub beat: Beat,
    /// Whether plans are made.
    pub planning: bool,
    /// Reason code of that.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// A bound token for an agent.
#[derive(Clone)]
pub struct AgentToken {
    /// The token; never logged.
    pub token: service::redact::Redacted<String>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Why the control cluster did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FleetError {
    /// It is there already.
    #[error("it exists already")]
    Exists,
    /// It is not there.
    #[error("it does not exist")]
    NotFound,
    /// Somebody else changed it meanwhile.
    #[error("it was changed meanwhile")]
    Changed,
    /// Kubernetes refused what was asked, with its reason.
    #[error("Kubernetes refused it: {0}")]
    Refused(String),
    /// Kubernetes did not answer.
    #[error("Kubernetes did not answer: {0}")]
    Away(String),
}

/// What the API does on the control cluster.
#[async_trait]
pub trait Fleet: Send + Sync {
    /// Everything, from the caches.
    fn view(&self) -> View;
    /// The operator's signs of life, read from the control cluster now.
    async fn operator(&self) -> Result<OperatorSigns, FleetError>;
    /// Wakes at every change of a server. The number means nothing.
    fn server_changes(&self) -> tokio::sync::watch::Receiver<u64>;
    /// Makes a server's own namespace if it is missing.
    async fn ensure_namespace(&self, server: &str) -> Result<(), FleetError>;
    /// Keeps a kubeconfig in the server's own namespace and returns the Secret's name.
    async fn keep_kubeconfig(&self, server: &str, kubeconfig: &str) -> Result<String, FleetError>;
    /// Creates the server.
    async fn create_server(&self, server: &GpuServer) -> Result<GpuServer, FleetError>;
    /// The server as the control cluster holds it at this moment, whatever the caches say.
    async fn server(&self, name: &str) -> Result<GpuServer, FleetError>;
    /// Pins a node key, and where its agent is, if it still is the server that was seen (by UID) with the key that was pinned then.
    async fn pin(&self, seen: &GpuServer, node_key: &Ss58, agent_api: &str) -> Result<GpuServer, FleetError>;
    /// Sets the hold of that owner unless it has one, or lifts it with `None`. Touches no other hold.
    async fn set_hold(&self, server: &str, owner: &str, hold: Option<Hold>) -> Result<GpuServer, FleetError>;
    /// Confirms and asks for the deletion of exactly this server (by UID).
    async fn delete_server(&self, server: &GpuServer, lost: bool) -> Result<(), FleetError>;
    /// Asks for the end of one deployment.
    async fn stop_deployment(&self, deployment: &ChuteDeployment) -> Result<(), FleetError>;
    /// A token of one hour for the server's agent.
    async fn agent_token(&self, server: &str) -> Result<AgentToken, FleetError>;
}
