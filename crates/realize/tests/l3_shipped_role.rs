//! The realizer with the account that `charts/manifests/node` ships: what it decides, it may also do.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

mod stage;

use crd::chute_deployment::WorkloadState;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, PostParams, PropagationPolicy},
};
use kubelab::{Level, level_or_skip};
use serde_json::{Value, json};
use stage::{Stage, eventually, id};
use std::time::Duration;

#[test]
fn the_shipped_role_lets_the_agent_do_what_it_decides() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let dir = tempfile::Builder::new().prefix("realize").tempdir().unwrap();
    let (runtime, stage) = stage::set(&dir);
    runtime.block_on(async {
        let proxy = stage.proxy("agent");
        let agent = stage.agents_client(&proxy).await;
        let running = stage.start_through(&stage.client, &agent);
        pod_outlives_its_job(&stage).await;
        strangers_keep_their_gpus(&stage).await;
        processes_keep_their_gpus(&stage).await;
        assert_eq!(running.realizer.stats().panics(), 0);
        running.end().await;
        without_a_view_of_the_node(&stage, &agent).await;
    });
}

/// A GPU that a pod of somebody else has, in another namespace and without our labels, is left to it as long as it lives.
async fn strangers_keep_their_gpus(stage: &Stage) {
    stage.lab.kubectl_run(["create", "namespace", "elsewhere"]).unwrap();
    let pods: Api<Pod> = Api::namespaced(stage.client.clone(), "elsewhere");
    let add = async |name: &str, container: Value| {
        let pod = json!({"metadata": {"name": name}, "spec": {"nodeName": "gpu-0", "automountServiceAccountToken": false, "containers": [container]}});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        eventually("a pod elsewhere is admitted", async || pods.create(&PostParams::default(), &pod).await.ok()).await;
    };
    let named = json!([{"name": "NVIDIA_VISIBLE_DEVICES", "value": "GPU-00000000-0000-0000-0000-000000000002"}]);
    add("trainer", json!({"name": "c", "image": "i", "env": named})).await;
    let waits_for = async |number: u32, holder: &str| {
        stage.plan(number, number).await;
        stage.grant(number).await;
        let waiting = stage.reported(number, WorkloadState::Waiting, Some("GpuBusy")).await;
        assert!(waiting.message.as_ref().unwrap().ends_with(&format!("is held by {holder}")), "{waiting:?}");
        assert!(stage.jobs.get_opt(&format!("chute-{}", id(number))).await.unwrap().is_none());
    };
    waits_for(2, "elsewhere/trainer").await;
    // Which GPU the device plugin gave, nobody told: it may be any.
    add("plugged", json!({"name": "c", "image": "i", "resources": {"limits": {"nvidia.com/gpu": "1"}}})).await;
    waits_for(3, "elsewhere/plugged").await;
    let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    pods.delete("plugged", &now).await.unwrap();
    stage.reported(3, WorkloadState::Starting, None).await;
    assert!(stage.jobs.get_opt(&format!("chute-{}", id(2))).await.unwrap().is_none(), "the other stranger lives");
    pods.delete("trainer", &now).await.unwrap();
    stage.reported(2, WorkloadState::Starting, None).await;
}

/// So is one that the driver sees processes on; and it is asked to look again.
async fn processes_keep_their_gpus(stage: &Stage) {
    let gpu = format!("{:032x}", 4).parse().unwrap();
    stage.processes.send_replace([(gpu, 1)].into());
    stage.plan(4, 4).await;
    stage.grant(4).await;
    let waiting = stage.reported(4, WorkloadState::Waiting, Some("GpuBusy")).await;
    assert!(waiting.message.unwrap().contains("a process of no pod of ours"));
    tokio::time::timeout(Duration::from_secs(10), stage.looks.notified()).await.expect("the GPUs are looked at again");
    stage.processes.send_replace([].into());
    stage.reported(4, WorkloadState::Starting, None).await;
}

/// An account that may not list pods of all namespaces, as older releases shipped it, launches all the same.
async fn without_a_view_of_the_node(stage: &Stage, agent: &Client) {
    stage.lab.kubectl_run(["delete", "clusterrolebinding", "gepetto-agent"]).unwrap();
    let everywhere: Api<Pod> = Api::all(agent.clone());
    eventually("the right is gone", async || everywhere.list(&ListParams::default()).await.err()).await;
    let running = stage.start_through(&stage.client, agent);
    stage.plan(5, 5).await;
    stage.grant(5).await;
    stage.reported(5, WorkloadState::Starting, None).await;
    running.end().await;
}

/// `kubectl delete job --cascade=orphan`: the pod stays, and the stop must end it.
async fn pod_outlives_its_job(stage: &Stage) {
    stage.plan(1, 1).await;
    stage.grant(1).await;
    stage.reported(1, WorkloadState::Starting, None).await;
    stage.runs(1, true).await;
    stage.reported(1, WorkloadState::Ready, None).await;
    let orphan = DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
    stage.jobs.delete(&format!("chute-{}", id(1)), &orphan).await.unwrap();
    stage.reported(1, WorkloadState::Failed, Some("JobDeleted")).await;
    assert!(stage.pod(1).await.metadata.deletion_timestamp.is_none(), "the pod outlived its Job");

    stage.patch(1, json!({"spec": {"runState": "Stopped"}})).await;
    stage.pod_ends(1).await;
    stage.reported(1, WorkloadState::Ending, Some("PodGone")).await;
    stage.phase(1, "Failed").await;
    stage.reported(1, WorkloadState::Gone, None).await;
}
