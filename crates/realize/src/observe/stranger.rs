//! Which GPUs a pod holds that neither we nor the existing miner made as a chute of this namespace. Nobody tells Kubernetes, so it
//! is read off what gives containers their GPUs, and in doubt the pod holds all.

use super::gpus::{Devices, VISIBLE, devices_of, ended};
use crd::labels;
use k8s_openapi::{
    api::core::v1::{Container, Pod, PodSpec, ResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};
use std::collections::BTreeMap;

/// The label of chutes in the existing miner's charts of 2025.
const CHUTE_OF_2025: &str = "chute/chute";
/// Extended resources that stand for GPUs, or for parts of them: `nvidia.com/gpu`, `nvidia.com/gpu.shared`, `nvidia.com/mig-…`.
const RESOURCES: &str = "nvidia.com/";
/// Owners of pods that belong to the node: exporters, device plugins and our own agent see every GPU and hold none.
const NODE_SERVICES: [&str; 2] = ["DaemonSet", "Node"];

/// The GPUs it holds while it lives.
pub(crate) fn stranger_devices(pod: &Pod) -> Devices {
    let mut found = Devices::default();
    let Some(spec) = pod.spec.as_ref().filter(|_| !ended(pod)) else { return found };
    for container in containers(spec) {
        for var in container.env.iter().flatten().filter(|var| var.name == VISIBLE) {
            let devices = match &var.value {
                Some(value) => devices_of(value),
                // A value that stands elsewhere.
                None => Devices { all: var.value_from.is_some(), named: Vec::new() },
            };
            found.named.extend(devices.named);
            found.all |= devices.all && !serves_the_node(pod);
        }
        // The device plugin chose which; the API server was not told.
        found.all |= container.resources.as_ref().is_some_and(claims_gpus);
    }
    if found == Devices::default() && is_chute(pod) {
        found.all = true;
    }
    found
}

/// Whether it has a label of chutes, of today or of 2025.
fn is_chute(pod: &Pod) -> bool {
    let labelled = |key| pod.metadata.labels.as_ref().and_then(|all| all.get(key)).is_some_and(|value| value == "true");
    labelled(labels::CHUTE) || labelled(CHUTE_OF_2025)
}

fn serves_the_node(pod: &Pod) -> bool {
    let owners = pod.metadata.owner_references.iter().flatten();
    owners.into_iter().any(|owner| owner.controller == Some(true) && NODE_SERVICES.contains(&owner.kind.as_str()))
}

fn containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.containers.iter().chain(spec.init_containers.iter().flatten())
}

fn claims_gpus(resources: &ResourceRequirements) -> bool {
    let amounts = resources.limits.iter().chain(&resources.requests).flatten();
    amounts.into_iter().any(|(name, amount)| name.starts_with(RESOURCES) && amount.0 != "0")
}

/// Keeps of a stranger's pod what tells which GPUs it holds; its environment is nobody's business.
pub(crate) fn prune_stranger(pod: &mut Pod) {
    pod.metadata.annotations = None;
    let status = pod.status.take();
    pod.status = status.map(|status| k8s_openapi::api::core::v1::PodStatus { phase: status.phase, ..Default::default() });
    let gpus_only = |amounts: &BTreeMap<String, Quantity>| {
        let kept = amounts.iter().filter(|(name, _)| name.starts_with(RESOURCES));
        kept.map(|(name, amount)| (name.clone(), amount.clone())).collect::<BTreeMap<_, _>>()
    };
    let container = |container: &Container| Container {
        name: container.name.clone(),
        env: container.env.as_ref().map(|env| env.iter().filter(|var| var.name == VISIBLE).cloned().collect()),
        resources: container.resources.as_ref().map(|resources| ResourceRequirements {
            limits: resources.limits.as_ref().map(gpus_only),
            requests: resources.requests.as_ref().map(gpus_only),
            claims: None,
        }),
        ..Container::default()
    };
    pod.spec = pod.spec.take().map(|spec| PodSpec {
        node_name: spec.node_name.clone(),
        containers: spec.containers.iter().map(container).collect(),
        init_containers: spec.init_containers.as_ref().map(|all| all.iter().map(container).collect()),
        ..PodSpec::default()
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const MINE: &str = "GPU-0123abcd-0123-0123-0123-0123456789ab";

    /// What a pod holds, once it went through the cache.
    fn devices(pod: Value) -> Devices {
        let mut pod: Pod = serde_json::from_value(pod).unwrap();
        prune_stranger(&mut pod);
        stranger_devices(&pod)
    }

    fn visible(value: &str) -> Value {
        json!({"spec": {"containers": [{"name": "c", "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": value}]}]}})
    }

    fn owned(mut pod: Value, kind: &str) -> Value {
        pod["metadata"] =
            json!({"ownerReferences": [{"apiVersion": "apps/v1", "kind": kind, "name": "o", "uid": "u", "controller": true}]});
        pod
    }

    #[test]
    fn gpus_named_by_their_uuid_are_held_whoever_owns_the_pod() {
        let named = Devices { all: false, named: vec![MINE.parse().unwrap()] };
        assert_eq!(devices(visible(MINE)), named);
        assert_eq!(devices(owned(visible(MINE), "DaemonSet")), named);
    }

    #[test]
    fn all_is_held_by_a_workload_and_not_by_a_service_of_the_node() {
        for value in ["all", "0"] {
            assert!(devices(visible(value)).all, "{value}");
            assert!(devices(owned(visible(value), "ReplicaSet")).all, "{value}");
            for kind in NODE_SERVICES {
                assert_eq!(devices(owned(visible(value), kind)), Devices::default(), "{value} {kind}");
            }
        }
        let elsewhere = json!({"spec": {"containers": [{"name": "c", "env": [
            {"name": "NVIDIA_VISIBLE_DEVICES", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}]}]}});
        assert!(devices(elsewhere).all);
    }

    #[test]
    fn a_claim_on_the_device_plugin_may_be_any_gpu() {
        let claim = |kind: &str, name: &str, amount: &str| json!({"spec": {"containers": [{"name": "c"}], "initContainers": [{"name": "i", "resources": {kind: {name: amount, "cpu": "1"}}}]}});
        assert!(devices(claim("limits", "nvidia.com/gpu", "2")).all);
        assert!(devices(claim("requests", "nvidia.com/mig-1g.10gb", "1")).all);
        assert!(devices(owned(claim("limits", "nvidia.com/gpu", "1"), "DaemonSet")).all, "a claim is a claim");
        assert_eq!(devices(claim("limits", "nvidia.com/gpu", "0")), Devices::default());
        assert_eq!(devices(claim("limits", "memory", "1Gi")), Devices::default());
    }

    #[test]
    fn a_chute_that_names_no_gpu_may_have_any() {
        let labelled = |key: &str, value: &str| json!({"metadata": {"labels": {key: value}}, "spec": {"containers": [{"name": "c"}]}});
        assert!(devices(labelled("chute/chute", "true")).all);
        assert!(devices(labelled("chutes/chute", "true")).all);
        // So the existing miner marks its GPU proofs, which claim their GPUs beside it.
        assert_eq!(devices(labelled("chute/chute", "false")), Devices::default());
    }

    #[test]
    fn who_has_ended_or_never_had_a_gpu_holds_none() {
        let mut done = visible(MINE);
        done["status"] = json!({"phase": "Succeeded"});
        assert_eq!(devices(done), Devices::default());
        assert_eq!(devices(json!({"spec": {"containers": [{"name": "c"}]}})), Devices::default());
    }

    #[test]
    fn nothing_else_of_a_stranger_is_kept() {
        let mut pod: Pod = serde_json::from_value(json!({"metadata": {"annotations": {"a": "s3cret"}}, "spec": {"containers": [
            {"name": "c", "args": ["s3cret"], "env": [{"name": "PASSWORD", "value": "s3cret"}]}]}}))
        .unwrap();
        prune_stranger(&mut pod);
        assert!(!format!("{pod:?}").contains("s3cret"));
    }
}
