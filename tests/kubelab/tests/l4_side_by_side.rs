//! Labs beside each other: a control cluster, and a node cluster whose pods
//! reach it.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test, without async code")]

mod common;

use std::thread;

use kubelab::{Lab, Level, Nodes, Options, level_or_skip};
use serde_json::json;

#[test]
fn a_pod_of_one_lab_reaches_the_api_server_of_another() {
    if !level_or_skip(Level::L4) {
        return;
    }
    let (control_dir, node_dir) = (common::folder(), common::folder());
    let up = |options: Options| Lab::up(options, |line| println!("{line}")).unwrap().guard();
    let (control, node) = thread::scope(|scope| {
        let control = scope.spawn(|| up(Options::new(control_dir.path()).name("control").expose()));
        let node = scope.spawn(|| up(Options::new(node_dir.path()).name("node").nodes(Nodes::real("gpu-0"))));
        (control.join().unwrap(), node.join().unwrap())
    });
    assert_ne!(control.api_url, node.api_url);

    let image = format!("{}/kubelab/pause:1", node.registry.as_deref().unwrap());
    let host = node.real_node.as_ref().unwrap().host_ip;
    let port = control.api_url.rsplit(':').next().unwrap();
    // The certificate names that address, so a kubeconfig may too.
    let url = format!("--server=https://{host}:{port}");
    control.kubectl_run([&url, "get", "namespace", "default"]).unwrap();

    common::apply(
        &node,
        &[json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": "client", "namespace": "default" },
            "spec": { "containers": [{ "name": "client", "image": image, "command": ["/pause"] }] },
        })],
    );
    node.kubectl_run(["wait", "--for=condition=Ready", "pod/client", "--timeout=60s"]).unwrap();
    // Plain HTTP to a TLS port is answered with 400, which takes a connection.
    let refused = node.kubectl_run(["exec", "client", "--", "/pause", "get", &format!("http://{host}:{port}/")]).unwrap_err().to_string();
    assert!(refused.contains("400"), "{refused}");

    // One goes, the other stays.
    Lab::down(node_dir.path()).unwrap();
    control.kubectl_run(["get", "namespace", "default"]).unwrap();
}
