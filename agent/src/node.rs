//! What the Kubernetes node is: read from the node's own cluster.

use cluster::call::bounded;
use cluster::quantity::{whole, whole_gib};
use crd::gpu_server::Capacity;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use service::readiness::Gate;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const PERIOD: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_secs(5);

/// What the node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// The UID of the Kubernetes node; the id the validator knows the server by.
    pub uid: String,
    /// What pods can get of it.
    pub capacity: Capacity,
    /// The kubelet's version.
    pub kubelet: Option<String>,
}

/// Reads the node again and again until `shutdown`. What was read last stays while the cluster does not answer.
pub async fn run(client: kube::Client, name: String, facts: watch::Sender<Option<NodeFacts>>, gate: Gate, shutdown: CancellationToken) {
    let nodes: Api<Node> = Api::all(client);
    loop {
        let read = bounded(&format!("reading Node {name}"), nodes.get(&name)).await;
        gate.follow(&read);
        let period = match read {
            Ok(node) => {
                let new = NodeFacts::of(&node);
                facts.send_if_modified(|old| {
                    let changed = new.is_some() && *old != new;
                    if changed {
                        old.clone_from(&new);
                    }
                    changed
                });
                PERIOD
            }
            Err(_) => RETRY,
        };
        tokio::select! {
            () = tokio::time::sleep(period) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

impl NodeFacts {
    /// What a node object says; nothing if it has no UID.
    #[must_use]
    pub fn of(node: &Node) -> Option<Self> {
        let status = node.status.clone().unwrap_or_default();
        let resources = status.allocatable.or(status.capacity).unwrap_or_default();
        Some(Self {
            uid: node.metadata.uid.clone()?,
            capacity: Capacity {
                cpu: whole(resources.get("cpu")),
                memory_gib: whole_gib(resources.get("memory")),
                disk_gib: whole_gib(resources.get("ephemeral-storage")),
            },
            kubelet: status.node_info.map(|info| info.kubelet_version).filter(|version| !version.is_empty()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_told_in_whole_cores_and_gib_rounded_down() {
        let node: Node = serde_json::from_value(serde_json::json!({
            "metadata": { "name": "a", "uid": "uid-a" },
            "status": {
                "allocatable": { "cpu": "127900m", "memory": "2113000000Ki", "ephemeral-storage": "1900000000000" },
                "capacity": { "cpu": "128" },
            }
        }))
        .unwrap();
        let facts = NodeFacts::of(&node).unwrap();
        assert_eq!(facts.uid, "uid-a");
        assert_eq!(facts.capacity, Capacity { cpu: 127, memory_gib: 2015, disk_gib: 1769 });
        assert_eq!(facts.kubelet, None);
    }

    #[test]
    fn a_node_without_a_uid_is_no_answer() {
        assert_eq!(NodeFacts::of(&Node::default()), None);
    }
}
