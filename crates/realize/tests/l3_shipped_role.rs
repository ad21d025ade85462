//! The realizer with the account that `charts/manifests/node` ships: what it decides, it may also do.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

mod stage;

use crd::chute_deployment::WorkloadState;
use kube::api::{DeleteParams, PropagationPolicy};
use kubelab::{Level, level_or_skip};
use serde_json::json;
use stage::{Stage, id};

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
        assert_eq!(running.realizer.stats().panics(), 0);
        running.end().await;
    });
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
