//! What a caller may choose about a lab.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which nodes the lab has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Nodes {
    /// A control plane alone; pods stay pending.
    #[default]
    None,
    /// Nodes kept alive by kwok: their pods become running and ready at once,
    /// without any process behind them.
    Simulated {
        /// How many, named `sim-0`, `sim-1` and so on.
        count: u32,
        /// `nvidia.com/gpu` of each.
        gpus: u32,
    },
    /// One kubelet with its own containerd in a network namespace of its own.
    Real {
        /// The node's name.
        name: String,
        /// `nvidia.com/gpu` the node claims to have; nothing is behind it.
        gpus: u32,
    },
}

impl Nodes {
    /// One real node without GPUs.
    pub fn real(name: impl Into<String>) -> Self {
        Self::Real { name: name.into(), gpus: 0 }
    }

    /// Simulated nodes of eight GPUs each.
    pub fn simulated(count: u32) -> Self {
        Self::Simulated { count, gpus: 8 }
    }
}

/// Where containerd looks for images of a registry host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirror {
    /// The host as image references name it, with its port if they have one.
    pub host: String,
    /// The URL to ask instead, as in `http://198.18.0.1:30500`; the lab's own
    /// registry where absent.
    pub endpoint: Option<String>,
}

impl Mirror {
    /// Maps `host` to the lab's own registry.
    pub fn to_lab(host: impl Into<String>) -> Self {
        Self { host: host.into(), endpoint: None }
    }
}

/// Everything [`Lab::up`](crate::Lab::up) wants to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of the lab; made if absent, emptied by `down`.
    pub dir: PathBuf,
    /// The cluster's name in the kubeconfig.
    pub name: String,
    /// Which nodes it has.
    pub nodes: Nodes,
    /// Labels put on every node of the lab.
    pub node_labels: BTreeMap<String, String>,
    /// Ports for Services of type NodePort.
    pub node_ports: RangeInclusive<u16>,
    /// Whether the API server listens on all addresses of the machine rather
    /// than on loopback, so that pods of *another* lab reach it at their
    /// [`host_ip`](crate::RealNode::host_ip). A lab with a real node always does.
    pub expose: bool,
    /// Further names or addresses in the API server's certificate.
    pub sans: Vec<String>,
    /// Registry hosts with an endpoint of their own. Every host not named here
    /// leads to the lab's own registry, so image references need no change.
    pub mirrors: Vec<Mirror>,
    /// Resources the real node claims to have, whatever the machine gives it, as in `cpu: "192"`: its kubelet admits pods by
    /// them. With claims the kubelet reports its status only once, lest it take them back.
    pub claims: BTreeMap<String, String>,
    /// Whether the audit log records reads too, not only changes.
    pub audit_reads: bool,
    /// Further flags by component, as in `kube-controller-manager`.
    pub extra_args: BTreeMap<String, Vec<String>>,
    /// How long each step may take before `up` gives up.
    pub timeout: Duration,
}

impl Options {
    /// A control plane without nodes in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            name: "kubelab".to_owned(),
            nodes: Nodes::None,
            node_labels: BTreeMap::new(),
            node_ports: 30000..=32767,
            expose: false,
            sans: Vec::new(),
            mirrors: Vec::new(),
            claims: BTreeMap::new(),
            audit_reads: false,
            extra_args: BTreeMap::new(),
            timeout: Duration::from_secs(120),
        }
    }

    /// Sets the cluster's name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the nodes.
    #[must_use]
    pub fn nodes(mut self, nodes: Nodes) -> Self {
        self.nodes = nodes;
        self
    }

    /// Lets the real node claim a resource.
    #[must_use]
    pub fn claim(mut self, resource: impl Into<String>, quantity: impl Into<String>) -> Self {
        self.claims.insert(resource.into(), quantity.into());
        self
    }

    /// Makes the API server listen on all addresses.
    #[must_use]
    pub fn expose(mut self) -> Self {
        self.expose = true;
        self
    }

    /// Adds flags to a component.
    #[must_use]
    pub fn extra_args<S: Into<String>>(mut self, component: &str, args: impl IntoIterator<Item = S>) -> Self {
        self.extra_args.entry(component.to_owned()).or_default().extend(args.into_iter().map(Into::into));
        self
    }
}
