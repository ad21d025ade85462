//! The realizer when answers are lost, when it crashes between any two writes, and when the control cluster is gone.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

mod stage;

use crd::chute_deployment::WorkloadState;
use kube::api::ListParams;
use kubelab::{Level, level_or_skip};
use serde_json::json;
use stage::{Stage, eventually, id};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};
use testkit::faults::{Point, Then, every_write};
use tokio_util::sync::CancellationToken;

/// No way through a deployment's life takes more writes.
const MOST_WRITES: u64 = 20;

/// A deployment's whole life, during which the connection breaks at one point; on a crash the realizer also forgets everything.
async fn life_with_a_blow(stage: &Stage, number: u32, point: Point, crash: bool) -> bool {
    let proxy = stage.proxy("api server");
    let client = stage.client_through(&proxy).await;
    let struck = Arc::new(AtomicBool::new(false));
    let over = CancellationToken::new();
    let mut running = stage.start_through(&client, &client);
    let abort = running.task.abort_handle();
    let seen_struck = Arc::clone(&struck);
    let rule = point.plan(&proxy, move |_| {
        if crash {
            abort.abort();
        }
        seen_struck.store(true, SeqCst);
        Then::Drop
    });

    let supervisor = async {
        while !over.is_cancelled() {
            if crash && struck.swap(false, SeqCst) {
                running = stage.start_through(&client, &client);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let life = async {
        stage.plan(number, 1).await;
        stage.grant(number).await;
        let job = stage.job(number).await;
        stage.pod(number).await;
        stage.runs(number, true).await;
        let ready = stage.reported(number, WorkloadState::Ready, None).await;
        assert_eq!(ready.job_uid, job.metadata.uid, "one Job, and always the same");
        stage.patch(number, json!({"spec": {"runState": "Stopped"}})).await;
        stage.pod_ends(number).await;
        stage.reported(number, WorkloadState::Ending, Some("PodGone")).await;
        assert!(stage.secrets.get_opt(&format!("launch-{}", id(number))).await.unwrap().is_none());
        stage.patch(number, json!({"metadata": {"annotations": {"gepetto.fleet/release": "true"}}})).await;
        stage.reported(number, WorkloadState::Gone, None).await;
        let labels = ListParams::default().labels("chutes/chute=true");
        assert_eq!(stage.jobs.list(&labels).await.unwrap().items.len(), 0);
        assert_eq!(stage.services.list(&labels).await.unwrap().items.len(), 0);
        over.cancel();
    };
    tokio::join!(supervisor, life);
    running.end().await;
    rule.fired() > 0
}

fn walk(crash: bool) {
    if !level_or_skip(Level::L3) {
        return;
    }
    let dir = tempfile::Builder::new().prefix("realize").tempdir().unwrap();
    let (runtime, stage) = stage::set(&dir);
    let mut number = 0;
    let writes = every_write(MOST_WRITES, |point| {
        number += 1;
        runtime.block_on(life_with_a_blow(&stage, number, point, crash))
    });
    // Service, Secret, Job, a report; Job, Secret, Service gone, a report.
    assert!(writes >= 8, "only {writes} writes were walked through");
}

#[test]
fn a_lost_connection_at_any_write_leaves_one_job_and_no_rest() {
    walk(false);
}

#[test]
fn a_crash_at_any_write_leaves_one_job_and_no_rest() {
    walk(true);
}

#[test]
fn without_the_control_cluster_chutes_run_on_and_what_happened_is_told_later() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let dir = tempfile::Builder::new().prefix("realize").tempdir().unwrap();
    let (runtime, stage) = stage::set(&dir);
    runtime.block_on(async {
        let proxy = stage.proxy("control cluster");
        let control = stage.client_through(&proxy).await;
        let running = stage.start_through(&control, &stage.client);
        for number in [1, 2] {
            stage.plan(number, number).await;
            stage.grant(number).await;
            stage.pod(number).await;
            stage.runs(number, true).await;
            stage.reported(number, WorkloadState::Ready, None).await;
        }
        proxy.partition(true);
        // The wish to stop is not heard, and its absence is no wish either.
        stage.patch(2, json!({"spec": {"runState": "Stopped"}})).await;
        stage
            .pod_status(1, json!({"phase": "Failed", "containerStatuses": [{"name": "chute", "ready": false, "restartCount": 0, "image": "i", "imageID": "i",
                "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]}))
            .await;
        eventually("the realizer tries to report", async || (running.realizer.stats().failures() > 0).then_some(())).await;
        assert!(stage.job(2).await.metadata.deletion_timestamp.is_none(), "what runs, runs on");
        proxy.partition(false);
        let failed = stage.reported(1, WorkloadState::Failed, Some("Crashed")).await;
        assert_eq!(failed.exit_code, Some(1));
        stage.pod_ends(2).await;
        stage.reported(2, WorkloadState::Ending, Some("PodGone")).await;
        assert!(stage.jobs.get_opt(&format!("chute-{}", id(1))).await.unwrap().is_some(), "what failed is the operator's to end");
        running.end().await;
    });
}
