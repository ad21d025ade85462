//! The agents' own HTTP interface.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// What an agent is told at enrolment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolOrder {
    /// The name it goes by here.
    pub server: String,
    /// Where it buys its tokens: this API over TLS.
    pub control_url: String,
    /// The certificate authority it pins for that.
    pub ca_pem: String,
    /// The hotkey it works for.
    pub miner: String,
    /// The node key of the agent it is for: orders travel in plain text, and another agent must not follow one that was caught.
    /// Agents of the release before do not read it.
    pub node_key: String,
}

/// What an agent says of itself at enrolment. Tolerant: a newer agent may say more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EnrolReply {
    /// Address of its node key.
    pub node_key: String,
    /// A short form of that key, which the agent's log shows too.
    pub fingerprint: Option<String>,
    /// The Kubernetes node's name.
    pub node_name: String,
    /// The Kubernetes node's UID.
    pub node_uid: Option<String>,
    /// Its public address.
    pub address: Option<String>,
    /// How many GPUs it counts.
    pub gpus: Option<u64>,
}

/// What an agent says of itself when it is only asked. Tolerant, as [`EnrolReply`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentStatus {
    /// Address of its node key.
    pub node_key: String,
    /// The Kubernetes node's name.
    pub node_name: String,
    /// The Kubernetes node's UID; absent from agents of the release before, and while the node's cluster does not answer.
    pub node_uid: Option<String>,
    /// The server it is enrolled as, if it is.
    pub server: Option<String>,
}

/// Why an enrolment did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnrolError {
    /// Nobody answers there, or not sensibly.
    #[error("{0}")]
    Unreachable(String),
    /// The agent said no.
    #[error("the agent refused ({status}): {detail}")]
    Refused {
        /// Its HTTP status.
        status: u16,
        /// Its words.
        detail: String,
    },
}

/// Talks to agents.
#[async_trait]
pub trait Agents: Send + Sync {
    /// Asks the agent at this base URL who it is. Changes nothing there.
    async fn look(&self, agent_api: &str) -> Result<AgentStatus, EnrolError>;
    /// Enrols the agent at this base URL.
    async fn enrol(&self, agent_api: &str, order: &EnrolOrder) -> Result<EnrolReply, EnrolError>;
}
