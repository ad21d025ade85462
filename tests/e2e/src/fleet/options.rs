//! What a caller may choose about a fleet.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

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
}

impl FleetOptions {
    /// The demo's fleet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), form: Form::Own, driver: Driver::Agent, real: true, chutes: true, verify_seconds: 3.0 }
    }
}
