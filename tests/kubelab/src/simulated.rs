//! Nodes without a kubelet: kwok keeps them ready and marks their pods running.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::binaries::Binaries;
use crate::control::extra;
use crate::error::{At, Result};
use crate::options::Options;
use crate::slot::Slot;
use crate::state::Component;

pub(crate) const KWOK: &str = "kwok";
const STAGES: &str = include_str!("../stages/fast.yaml");
/// Nodes with this annotation are kwok's; it leaves others alone.
const ANNOTATION: (&str, &str) = ("kwok.x-k8s.io/node", "fake");

/// A node to add to a lab with simulated nodes.
#[derive(Debug, Clone, Default)]
pub struct SimulatedNode {
    /// Its name.
    pub name: String,
    /// Its address; kwok gives it `127.0.0.1` where absent.
    pub address: Option<String>,
    /// Its `nvidia.com/gpu`.
    pub gpus: u32,
    /// Further labels.
    pub labels: BTreeMap<String, String>,
}

impl SimulatedNode {
    pub(crate) fn manifest(&self) -> Value {
        let mut labels = self.labels.clone();
        for (key, value) in [("kubernetes.io/hostname", self.name.as_str()), ("kubernetes.io/os", "linux"), ("kubernetes.io/arch", "amd64")]
        {
            labels.entry(key.to_owned()).or_insert_with(|| value.to_owned());
        }
        let mut resources = json!({
            "cpu": "256",
            "memory": "2Ti",
            "ephemeral-storage": "20Ti",
            "pods": "1000",
        });
        if self.gpus > 0 {
            resources["nvidia.com/gpu"] = json!(self.gpus.to_string());
        }
        let mut status = json!({ "capacity": resources, "allocatable": resources });
        if let Some(address) = &self.address {
            status["addresses"] = json!([
                { "type": "InternalIP", "address": address },
                { "type": "Hostname", "address": self.name },
            ]);
        }
        json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": { "name": self.name, "labels": labels, "annotations": { ANNOTATION.0: ANNOTATION.1 } },
            "status": status,
        })
    }
}

/// Writes kwok's stages and names its command.
pub(crate) fn kwok(dir: &Path, slot: Slot, binaries: &Binaries, options: &Options) -> Result<Component> {
    let stages = dir.join("stages.yaml");
    fs::write(&stages, STAGES).at("write", &stages)?;
    let mut args = vec![
        format!("--kubeconfig={}", dir.join("kubeconfig").display()),
        format!("--config={}", stages.display()),
        format!("--manage-nodes-with-annotation-selector={}={}", ANNOTATION.0, ANNOTATION.1),
        format!("--cidr={}", slot.pod_cidr()),
        "--node-ip=127.0.0.1".to_owned(),
        "--node-lease-duration-seconds=40".to_owned(),
    ];
    args.extend(extra(options, KWOK));
    Ok(Component::new(&binaries.kwok(), args))
}
