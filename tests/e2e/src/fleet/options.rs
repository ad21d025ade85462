//! What a caller may choose about a fleet.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Which cluster runs the chutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// The server has a cluster of its own, as nearly every fleet has.
    #[default]
    Own,
    /// The server is a node of the control cluster.
    Shared,
}

/// Who realizes deployments on the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Driver {
    /// Our agent.
    #[default]
    Agent,
    /// The operator, over the server's kubeconfig.
    Remote,
}

/// How to start a fleet.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// Where everything goes; made if absent.
    pub dir: PathBuf,
    /// Which cluster runs the chutes.
    pub form: Form,
    /// Who realizes deployments.
    pub driver: Driver,
    /// Whether pods are real (kubelet and containerd) or simulated.
    pub real: bool,
    /// Chutes on offer from the start; the validator has none otherwise.
    pub chutes: bool,
    /// Seconds the validator takes to prove GPUs.
    pub verify_seconds: f64,
    /// Short intervals and capacity by count alone, for tests that do many lives of a chute.
    pub hasty: bool,
    /// Puts something between our programs and the rest; see [`Between`].
    pub between: Between,
    /// More environment for single programs, by program.
    pub env: BTreeMap<String, Vec<(String, String)>>,
}

/// Takes a program, an API server's URL and its CA; gives the URL that the program is told.
pub type ForProgram = Arc<dyn Fn(&str, &str, &str) -> String + Send + Sync>;
/// Takes an API server's URL and its CA; gives the URL that is told.
pub type ForCluster = Arc<dyn Fn(&str, &str) -> String + Send + Sync>;
/// Takes a URL; gives the URL that is told.
pub type ForUrl = Arc<dyn Fn(&str) -> String + Send + Sync>;
/// Takes a program and a port of this machine; gives the port that the program is told.
pub type ForPort = Arc<dyn Fn(&str, u16) -> u16 + Send + Sync>;

/// Called once with the true address of each thing our programs talk to; what it returns is what they are told. A test puts its
/// fault proxies here.
#[derive(Clone, Default)]
pub struct Between {
    /// For a program, the control cluster's API server (URL, CA).
    pub control: Option<ForProgram>,
    /// For the agent and the remote driver, the node cluster's API server (URL, CA).
    pub node: Option<ForCluster>,
    /// The validator (URL).
    pub validator: Option<ForUrl>,
    /// Postgres (port), for a program.
    pub postgres: Option<ForPort>,
}

impl fmt::Debug for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Between").finish_non_exhaustive()
    }
}

impl FleetOptions {
    /// The demo's fleet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            form: Form::Own,
            driver: Driver::Agent,
            real: true,
            chutes: true,
            verify_seconds: 3.0,
            hasty: false,
            between: Between::default(),
            env: BTreeMap::new(),
        }
    }
}
