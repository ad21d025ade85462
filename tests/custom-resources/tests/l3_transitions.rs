//! What may change in an object that exists, and what may not, on a real API server.

#![allow(clippy::unwrap_used, reason = "a test")]

use custom_resources::{Actor, Server, folder, lab};
use kubelab::{Level, level_or_skip};
use serde_json::{Value, json};

async fn refused(admin: &Actor, path: &str, patch: Value, message: &str) {
    let answer = admin.merge(path, &patch).await;
    assert_eq!(answer.code, 422, "{patch}: {}", answer.body);
    assert!(answer.message().contains(message), "{patch}: {}", answer.message());
}

#[tokio::test]
async fn a_deployment_is_immutable_but_for_its_run_state_which_moves_one_way() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let dir = folder();
    let lab = lab(dir.path());
    let admin = Actor::admin(&lab).await;
    let server = Server::provision(&admin, "a", false).await;
    let path = format!("{}/{}", server.path("/apis/gepetto.fleet/v1alpha1", "chutedeployments"), server.deployment);

    let changes = [
        json!({ "server": "b" }),
        json!({ "nodeName": "node-b" }),
        json!({ "validator": "5HDvhV6WDCjCKyrXqGQSDYqQAzkzabNhctmiDYEqgBC66BsX" }),
        json!({ "chute": { "version": "v2" } }),
        json!({ "gpus": ["00000000000000000000000000000000"] }),
        json!({ "address": "203.0.113.11" }),
        json!({ "image": "registry.example.com/example/app:2" }),
        json!({ "ports": [{ "port": 2222, "proto": "tcp" }] }),
        json!({ "resources": { "cpu": 8 } }),
        json!({ "cache": { "maxSizeGb": 1 } }),
        json!({ "job": { "id": "job-1" } }),
    ];
    for spec in changes {
        refused(&admin, &path, json!({ "spec": spec }), "immutable but for runState").await;
    }
    let _ = admin.merge(&path, &json!({ "metadata": { "labels": { "a": "b" } } })).await.expect("a label may change");
    let _ = admin.merge(&path, &json!({ "spec": { "runState": "Stopped" } })).await.expect("it may be stopped");
    refused(&admin, &path, json!({ "spec": { "runState": "Running" } }), "cannot run again").await;

    // A status written through its own subresource changes no spec, and the other way round.
    let both = json!({ "spec": { "image": "x" }, "status": { "phase": "Stopped" } });
    let stored = admin.merge(&format!("{path}/status"), &both).await.expect("a status may be written");
    assert_eq!((&stored["status"]["phase"], &stored["spec"]["image"]), (&json!("Stopped"), &json!("registry.example.com/example/app:1")));
    let stored = admin.merge(&path, &json!({ "status": { "phase": "Active" } })).await.expect("a patch");
    assert_eq!(stored["status"]["phase"], "Stopped");
}

#[tokio::test]
async fn a_server_keeps_its_identity_and_merges_lists_by_key() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let dir = folder();
    let lab = lab(dir.path());
    let admin = Actor::admin(&lab).await;
    let _ = Server::provision(&admin, "a", false).await;
    let path = format!("/apis/gepetto.fleet/v1alpha1/namespaces/{}/gpuservers/a", crd::FLEET_NAMESPACE);

    for (spec, message) in [
        (json!({ "nodeName": "node-b" }), "nodeName cannot change: delete the server and add it under its new node name"),
        (json!({ "validator": "5HDvhV6WDCjCKyrXqGQSDYqQAzkzabNhctmiDYEqgBC66BsX" }), "validator cannot change"),
        (json!({ "cluster": "Shared" }), "cluster cannot change"),
        (json!({ "driver": { "agent": null, "remote": { "kubeconfigSecretRef": { "name": "k" } } } }), "driver cannot change between"),
    ] {
        refused(&admin, &path, json!({ "spec": spec }), message).await;
    }
    let changed = json!({ "spec": { "address": "203.0.113.99", "hourlyCostPerGpu": 2, "gpuCount": 4, "driver": { "agent": {
        "nodeKey": "5Dt7HZ7Zpw4DppPxFM7Ke3Cm7sDAWhsZXmM5ZAmE7dSVJbcQ" } } } });
    let _ = admin.merge(&path, &changed).await.expect("address, cost, count and a new enrolment may change");

    // Holds belong to their owners: a re-apply by one lifts none but its own.
    let hold = |owner: Option<&str>| {
        let holds: Vec<Value> = owner.into_iter().map(|owner| json!({ "owner": owner, "reason": "because" })).collect();
        json!({ "apiVersion": "gepetto.fleet/v1alpha1", "kind": "GpuServer", "metadata": { "name": "a" }, "spec": { "holds": holds } })
    };
    let _ = admin.apply(&path, "lock", &hold(Some("person"))).await.expect("a person's hold");
    let _ = admin.apply(&path, "git", &hold(Some("maintenance"))).await.expect("a hold from Git");
    let stored = admin.apply(&path, "git", &hold(None)).await.expect("Git lifts its own");
    assert_eq!(stored["spec"]["holds"], json!([{ "owner": "person", "reason": "because" }]));

    // So do conditions, by type.
    let condition = |kind: &str| {
        json!({ "apiVersion": "gepetto.fleet/v1alpha1", "kind": "GpuServer", "metadata": { "name": "a" }, "status": { "conditions": [{
            "type": kind, "status": "True", "reason": "Test", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" }] } })
    };
    let status = format!("{path}/status");
    let _ = admin.apply(&status, "one", &condition("Ready")).await.expect("a condition");
    let stored = admin.apply(&status, "two", &condition("Verified")).await.expect("another's condition");
    assert_eq!(stored["status"]["conditions"].as_array().map(Vec::len), Some(2));
}
