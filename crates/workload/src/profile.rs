//! What a node allows, and how its chutes are to be run.

use crd::gpu_server::{Cluster, GpuServer, RemoteProfile};

/// How the launch token reaches the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenDelivery {
    /// As a Secret that we create in the namespace of the workloads.
    Copied,
    /// As the Secret that the operator made: the workloads run in its very namespace.
    InPlace,
    /// As the literal value of an environment variable, where nobody may create Secrets.
    Literal,
}

/// Facts about the node that runs a deployment. [`NodeProfile::of`] takes them from its GpuServer; the other constructors name
/// the four kinds of node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeProfile {
    /// Namespace of the workloads on the node cluster.
    pub namespace: String,
    /// How the launch token reaches the pod.
    pub token: TokenDelivery,
    /// Name of the Kubernetes node; the scheduler is not asked.
    pub node_name: String,
    /// Runtime class that gives containers their GPUs.
    pub runtime_class: String,
    /// Directory on the node that holds the model cache; on a shared cluster an admission policy allows no other.
    pub cache_root: String,
    /// Version of a sealed worker's image, if the node is one and said so.
    pub vm_version: Option<String>,
    /// Image that evicts old models before a chute starts, and waits for its GPUs to be idle.
    pub cleaner_image: String,
    /// `Always`, as the existing miner has it; images of chutes are private and change under one tag.
    pub pull_policy: String,
    /// Seconds a chute has to end after it was told to.
    pub grace_s: i64,
}

/// The namespace of the workloads on a cluster of a server's own.
pub const OWN_NAMESPACE: &str = "chutes";

impl NodeProfile {
    fn new(namespace: String, token: TokenDelivery, node_name: &str) -> Self {
        Self {
            namespace,
            token,
            node_name: node_name.to_owned(),
            runtime_class: "nvidia".to_owned(),
            cache_root: "/var/snap/cache".to_owned(),
            vm_version: None,
            cleaner_image: "parachutes/cache-cleaner:latest".to_owned(),
            pull_policy: "Always".to_owned(),
            grace_s: 180,
        }
    }

    /// A server with a cluster of its own, on which our agent runs.
    #[must_use]
    pub fn agent_own(node_name: &str) -> Self {
        Self::new(OWN_NAMESPACE.to_owned(), TokenDelivery::Copied, node_name)
    }

    /// A node of the control cluster.
    #[must_use]
    pub fn agent_shared(server: &str, node_name: &str) -> Self {
        Self::new(crd::node_namespace(server), TokenDelivery::InPlace, node_name)
    }

    /// A sealed (confidential-computing) worker: nobody creates Secrets there, the namespace is fixed, and pods may hold no
    /// environment variables but those of an allow list of its image. Rendered are the ones that the existing miner renders, and
    /// none of our own. Not all of them stand in the one list that was read, of an image of early 2026 (validator-protocol 8.4):
    /// it lacks the cleaner's (`CLEANUP_EXCLUDE`, `CACHE_MAX_…`), those of downloads (`HF_HUB_…`, `HF_XET_…`, `TOKIO_…`) and the ports
    /// of jobs (`CHUTES_PORT_TCP_…`). Whether today's images admit those of jobs is not known; a refusal is reported as
    /// `CreateRefused`, or by the Job that makes no pod.
    #[must_use]
    pub fn remote_sealed(node_name: &str, vm_version: Option<String>) -> Self {
        Self { vm_version, ..Self::new(OWN_NAMESPACE.to_owned(), TokenDelivery::Literal, node_name) }
    }

    /// An ordinary cluster of a server's own, reached from afar through its kubeconfig.
    #[must_use]
    pub fn remote_open(node_name: &str) -> Self {
        Self::new(OWN_NAMESPACE.to_owned(), TokenDelivery::Copied, node_name)
    }

    /// Whether others may run pods on the node, and we may see them: a cluster of the server's own is ours to look at, on a
    /// shared one a server's account sees its own namespace, and a sealed worker admits only what its image holds.
    #[must_use]
    pub fn admits_strangers(&self) -> bool {
        self.token == TokenDelivery::Copied
    }

    /// The profile of a server.
    #[must_use]
    pub fn of(server: &GpuServer) -> Self {
        let name = server.metadata.name.as_deref().unwrap_or_default();
        let spec = &server.spec;
        let vm_version = || {
            let reported = server.status.as_ref()?.reported.as_ref()?;
            reported.versions.as_ref()?.vm.clone()
        };
        match (&spec.driver.remote, spec.cluster) {
            (_, Cluster::Shared) => Self::agent_shared(name, &spec.node_name),
            (Some(remote), _) if remote.profile == RemoteProfile::Open => Self::remote_open(&spec.node_name),
            // A profile that this release does not know is taken for the one that asks least of the node.
            (Some(_), _) => Self::remote_sealed(&spec.node_name, vm_version()),
            (None, _) => Self { vm_version: vm_version(), ..Self::agent_own(&spec.node_name) },
        }
    }
}
