//! What the Kubernetes node is: read from the node's own cluster.

use cluster::call::bounded;
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
        let amount = |name: &str| resources.get(name).and_then(|quantity| parse(&quantity.0)).unwrap_or(0.0);
        Some(Self {
            uid: node.metadata.uid.clone()?,
            capacity: Capacity {
                cpu: whole(amount("cpu")),
                memory_gib: whole(amount("memory") / GIB),
                disk_gib: whole(amount("ephemeral-storage") / GIB),
            },
            kubelet: status.node_info.map(|info| info.kubelet_version).filter(|version| !version.is_empty()),
        })
    }
}

const GIB: f64 = 1_073_741_824.0;

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast from float saturates, and rounding down is wanted")]
fn whole(number: f64) -> u32 {
    number as u32
}

/// A Kubernetes quantity: a decimal number with an optional suffix.
fn parse(quantity: &str) -> Option<f64> {
    let text = quantity.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic() && !is_exponent(text, c)).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => GIB,
        "Ti" => GIB * 1024.0,
        "Pi" => GIB * 1_048_576.0,
        _ => return None,
    };
    number.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0).map(|number| number * factor)
}

/// Whether a letter is the exponent of a number such as `1e9`.
fn is_exponent(text: &str, letter: char) -> bool {
    matches!(letter, 'e' | 'E') && text.ends_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        for (text, value) in
            [("128", 128.0), ("127500m", 127.5), ("2Ki", 2048.0), ("1e3", 1000.0), ("1.5G", 1.5e9), ("1Gi", GIB), ("0", 0.0)]
        {
            assert_eq!(parse(text), Some(value), "{text}");
        }
        for bad in ["", "Gi", "-1", "1X", "NaN", "1Gib"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

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
