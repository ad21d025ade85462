//! Simulated nodes: pods seem to run, nothing does.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test, without async code")]

mod common;

use std::time::Duration;

use kubelab::{Level, Nodes, SimulatedNode, level_or_skip};
use serde_json::json;

#[test]
fn a_job_on_a_simulated_node_runs_until_it_is_deleted() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let dir = common::folder();
    let lab = common::lab(dir.path(), Nodes::Simulated { count: 3, gpus: 8 });
    lab.add_simulated_node(&SimulatedNode {
        name: "named".to_owned(),
        address: Some("127.0.0.9".to_owned()),
        gpus: 2,
        ..SimulatedNode::default()
    })
    .unwrap();
    common::apply(
        &lab,
        &[json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": { "name": "chute", "namespace": "default" },
            "spec": { "template": {
                "metadata": { "labels": { "app": "chute" } },
                "spec": {
                    "restartPolicy": "Never",
                    "runtimeClassName": "nvidia",
                    "nodeSelector": { "kubernetes.io/hostname": "named" },
                    "containers": [{
                        "name": "chute",
                        "image": "example/chute:1",
                        "resources": { "limits": { "nvidia.com/gpu": "2" } },
                    }],
                },
            }},
        })],
    );
    lab.kubectl_run(["wait", "--for=create", "pod", "-l=app=chute", "--timeout=20s"]).unwrap();
    lab.kubectl_run(["wait", "--for=condition=Ready", "pod", "-l=app=chute", "--timeout=20s"]).unwrap();
    let status = |path: &str| lab.kubectl_run(["get", "pod", "-l=app=chute", &format!("-o=jsonpath={{.items[0].status.{path}}}")]).unwrap();
    assert_eq!(status("hostIP"), "127.0.0.9");
    assert!(!status("podIP").is_empty());
    // Were a pod to complete by itself, it would have by now.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(status("phase"), "Running");

    lab.kubectl_run(["delete", "job", "chute", "--cascade=foreground", "--timeout=20s"]).unwrap();
    assert_eq!(lab.kubectl_run(["get", "pods", "-o=name"]).unwrap(), "");
}
