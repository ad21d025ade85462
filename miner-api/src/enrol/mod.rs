//! Adding a server, and enrolling its agent again: what was asked for, the resource made of it, the agent's enrolment, and the
//! progress shown meanwhile.

mod again;
mod agent_client;
mod build;
mod progress;
mod request;

pub use again::{ReEnrol, same_node};
pub use agent_client::AgentClient;
pub use build::{Facts, build};
pub use progress::{Progress, Step};
pub use request::{AddServer, Driver};

/// What an enrolled agent is told about this control plane.
#[derive(Clone, Debug)]
pub struct EnrolSettings {
    /// Where it buys its tokens, such as `https://203.0.113.1:32443`.
    pub control_url: String,
    /// Our certificate authority, which it pins.
    pub ca_pem: String,
    /// The control cluster's API server as agents reach it.
    pub api_server: String,
    /// The certificate authority of that API server.
    pub api_server_ca_pem: String,
}
