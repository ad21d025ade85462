//! The ports of a deployment, in the order in which Service, environment and container list them.

use crate::{Refusal, check::library};
use crd::chute_deployment::{ChuteDeploymentSpec, NodePort};
use k8s_openapi::api::core::v1::Service;

/// The chute itself.
pub(crate) const PRIMARY: u16 = 8000;
/// Its log server.
pub(crate) const LOGGING: u16 = 8001;
/// Its evidence server, in sealed workers.
pub(crate) const ATTESTATION: u16 = 8002;

/// A port of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) port: u16,
    /// `TCP` or `UDP`.
    pub(crate) protocol: &'static str,
    /// Whether a job asked for it.
    pub(crate) extra: bool,
}

/// The ports that a deployment wants.
pub(crate) fn wanted(spec: &ChuteDeploymentSpec) -> Vec<Port> {
    let standard = |port| Port { port, protocol: "TCP", extra: false };
    let mut all = vec![standard(PRIMARY), standard(LOGGING)];
    if spec.chute.tee && library(spec).at_least("0.6.0") {
        all.push(standard(ATTESTATION));
    }
    all.extend(spec.ports.iter().map(|extra| Port {
        port: extra.port,
        protocol: match extra.proto.to_ascii_lowercase().as_str() {
            "tcp" | "http" => "TCP",
            _ => "UDP",
        },
        extra: true,
    }));
    all
}

/// The node ports that the API server gave a Service, in the Service's order; nothing until it gave one to every port.
#[must_use]
pub fn node_ports(service: &Service) -> Option<Vec<NodePort>> {
    let ports = service.spec.as_ref()?.ports.as_ref()?;
    ports
        .iter()
        .map(|port| {
            let node_port = u16::try_from(port.node_port?).ok().filter(|port| *port > 0)?;
            Some(NodePort { port: u16::try_from(port.port).ok()?, node_port })
        })
        .collect()
}

/// The node port of a container port.
pub(crate) fn node_port_of(given: &[NodePort], port: u16) -> Result<u16, Refusal> {
    given.iter().find(|given| given.port == port).map(|given| given.node_port).ok_or(Refusal::NoNodePort { port })
}
