//! The realizer against a real API server. The test plays the operator and the kubelet.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

mod stage;

use crd::{chute_deployment::WorkloadState, gpu_server::GpuHealth};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kubelab::{Level, level_or_skip};
use serde_json::json;
use stage::{Running, Stage, TOKEN, eventually, id};
use std::time::Duration;

#[test]
fn a_deployment_from_grant_to_release_and_everything_that_goes_wrong() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let dir = tempfile::Builder::new().prefix("realize").tempdir().unwrap();
    let (runtime, stage) = stage::set(&dir);
    runtime.block_on(async {
        let running = life(&stage).await;
        let running = gpu_of_another(&stage, running).await;
        let running = job_deleted_by_hand(&stage, running).await;
        let running = restart_adopts(&stage, running).await;
        lost_gpu_and_bad_image(&stage).await;
        orphan(&stage, &running).await;
        refused_by_policy(&stage).await;
        assert_eq!(running.realizer.stats().panics(), 0);
        running.end().await;
    });
}

/// Up to ready, down to gone, with no write too many.
async fn life(stage: &Stage) -> Running {
    let running = stage.start();
    stage.plan(1, 1).await;
    let before = stage.log_length();
    stage.grant(1).await;
    let starting = stage.reported(1, WorkloadState::Starting, None).await;
    let mut writes = stage.writes(before);
    // Service and Secret are made together.
    writes[2..4].sort();
    let expected = ["create secrets", "patch chutedeployments/status", "create secrets", "create services", "create jobs"];
    assert_eq!(writes[..5], expected, "the way from grant to Job takes five writes, two of them the operator's");
    let reports = &writes[5..];
    // The Job, and the pod if it was not there yet.
    assert!(reports.len() <= 2 && reports.iter().all(|write| write == "patch chutedeployments/status"), "{reports:?}");

    let job = stage.job(1).await;
    assert_eq!(starting.job_uid, job.metadata.uid);
    let secret = stage.secrets.get(&format!("launch-{}", id(1))).await.unwrap();
    assert_eq!(secret.data.unwrap()["token"].0, TOKEN.as_bytes());
    let service = stage.services.get(&format!("chute-service-{}", id(1))).await.unwrap();
    let port = service.spec.unwrap().ports.unwrap()[0].node_port.unwrap();
    assert_eq!(i32::from(starting.node_ports[0].node_port), port);
    let env = serde_json::to_string(&job.spec.unwrap().template).unwrap();
    assert!(env.contains(&format!("\"{port}\"")) && !env.contains(TOKEN));

    stage.runs(1, false).await;
    stage.reported(1, WorkloadState::Running, None).await;
    stage.runs(1, true).await;
    let ready = stage.reported(1, WorkloadState::Ready, None).await;
    assert_eq!(ready.pod_uid, stage.pod(1).await.metadata.uid);

    let before = stage.log_length();
    stage.phase(1, "Active").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(stage.writes(before), ["patch chutedeployments/status"], "what runs is not written about");

    stage.patch(1, json!({"spec": {"runState": "Stopped"}})).await;
    stage.reported(1, WorkloadState::Ending, Some("PodEnding")).await;
    // The release comes before its time: the operator's mistake must not free the port under a pod.
    stage.patch(1, json!({"metadata": {"annotations": {"gepetto.fleet/release": "true"}}})).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(stage.services.get_opt(&format!("chute-service-{}", id(1))).await.unwrap().is_some());
    stage.patch(1, json!({"metadata": {"annotations": {"gepetto.fleet/release": null}}})).await;
    stage.pod_ends(1).await;
    stage.reported(1, WorkloadState::Ending, Some("PodGone")).await;
    assert!(stage.secrets.get_opt(&format!("launch-{}", id(1))).await.unwrap().is_none(), "the Secret goes with the pod");
    assert!(stage.services.get_opt(&format!("chute-service-{}", id(1))).await.unwrap().is_some(), "the Service stays");
    stage.patch(1, json!({"metadata": {"annotations": {"gepetto.fleet/release": "true"}}})).await;
    let gone = stage.reported(1, WorkloadState::Gone, None).await;
    assert_eq!(gone.pod_uid, ready.pod_uid, "the report still names what went");
    assert!(stage.services.get_opt(&format!("chute-service-{}", id(1))).await.unwrap().is_none());
    running
}

/// Two deployments want one GPU: the second waits, and goes on by itself.
async fn gpu_of_another(stage: &Stage, running: Running) -> Running {
    stage.plan(2, 7).await;
    stage.plan(3, 7).await;
    stage.grant(2).await;
    stage.reported(2, WorkloadState::Starting, None).await;
    stage.grant(3).await;
    let waiting = stage.reported(3, WorkloadState::Waiting, Some("GpuBusy")).await;
    assert!(waiting.message.unwrap().contains(&id(2)));
    assert!(stage.jobs.get_opt(&format!("chute-{}", id(3))).await.unwrap().is_none());
    stage.pod(2).await;
    stage.patch(2, json!({"spec": {"runState": "Stopped"}})).await;
    stage.pod_ends(2).await;
    stage.reported(3, WorkloadState::Starting, None).await;
    running
}

/// A Job deleted by hand is not made again: its token may be spent.
async fn job_deleted_by_hand(stage: &Stage, running: Running) -> Running {
    stage.pod(3).await;
    stage.jobs.delete(&format!("chute-{}", id(3)), &DeleteParams::background()).await.unwrap();
    stage.reported(3, WorkloadState::Failed, Some("JobDeleted")).await;
    stage.pod_ends(3).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(stage.jobs.get_opt(&format!("chute-{}", id(3))).await.unwrap().is_none());
    stage.patch(3, json!({"spec": {"runState": "Stopped"}})).await;
    stage.phase(3, "Failed").await;
    stage.reported(3, WorkloadState::Gone, None).await;
    running
}

/// A realizer that remembers nothing finds what its predecessor made, also what that could not report.
async fn restart_adopts(stage: &Stage, running: Running) -> Running {
    stage.plan(4, 4).await;
    stage.grant(4).await;
    let made = stage.reported(4, WorkloadState::Starting, None).await;
    running.end().await;
    // As if the predecessor had crashed between the Job and the report.
    stage.deployments.patch_status(&id(4), &PatchParams::default(), &Patch::Merge(json!({"status": {"workload": null}}))).await.unwrap();
    stage.runs(4, true).await;
    let before = stage.log_length();
    let running = stage.start();
    let adopted = stage.reported(4, WorkloadState::Ready, None).await;
    assert_eq!((adopted.job_uid, adopted.node_ports), (made.job_uid, made.node_ports));
    assert_eq!(stage.writes(before), ["patch chutedeployments/status"], "adopting makes nothing");
    running
}

async fn lost_gpu_and_bad_image(stage: &Stage) {
    stage.health.send_modify(|health| {
        health.insert(format!("{:032x}", 4).parse().unwrap(), GpuHealth::Lost);
    });
    stage.reported(4, WorkloadState::Failed, Some("GpuLost")).await;

    stage.plan(5, 5).await;
    stage.grant(5).await;
    stage.reported(5, WorkloadState::Starting, None).await;
    stage.pod_status(5, json!({"phase": "Pending", "containerStatuses": [{"name": "chute", "ready": false, "restartCount": 0, "image": "i", "imageID": "",
        "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}]})).await;
    let first = stage.reported(5, WorkloadState::Starting, Some("ImagePull")).await;
    assert!(first.message.unwrap().contains("not found"));
    stage.reported(5, WorkloadState::Failed, Some("ImagePull")).await;
    assert!(stage.jobs.get_opt(&format!("chute-{}", id(5))).await.unwrap().is_some(), "ending it is the operator's to decide");
}

/// A Job without a ChuteDeployment is reported and left alone.
async fn orphan(stage: &Stage, running: &Running) {
    let before = running.realizer.list_orphans().unwrap();
    assert!(before.is_empty(), "{before:?}");
    stage.deployments.delete(&id(5), &DeleteParams::default()).await.unwrap();
    let found = eventually("the orphan is seen", async || running.realizer.list_orphans()?.pop()).await;
    assert_eq!(found.deployment_id.to_string(), id(5));
    assert!(found.ours && found.job.is_some() && found.service.is_some() && found.gpus.len() == 1);
    assert_eq!(found.config_id.unwrap().to_string(), "config-5");
    assert!(stage.jobs.get_opt(&format!("chute-{}", id(5))).await.unwrap().is_some());
}

/// An admission policy's words reach the report.
async fn refused_by_policy(stage: &Stage) {
    let policy = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "no-jobs"}, "spec": {
            "matchConstraints": {"resourceRules": [{"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}]},
            "validations": [{"expression": "false", "message": "no Jobs today"}]}},
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "no-jobs"}, "spec": {
            "policyName": "no-jobs", "validationActions": ["Deny"]}},
    ]});
    stage.lab.apply(&policy).unwrap();
    let probe: Job = serde_json::from_value(json!({"metadata": {"generateName": "probe-"}, "spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}}))
    .unwrap();
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    eventually("the policy is in force", async || stage.jobs.create(&dry, &probe).await.err()).await;
    stage.plan(6, 6).await;
    stage.grant(6).await;
    let failed = stage.reported(6, WorkloadState::Failed, Some("CreateRefused")).await;
    assert!(failed.message.unwrap().contains("no Jobs today"));
    assert_eq!(failed.job_uid, None);
}

#[test]
fn a_sealed_worker_gets_its_token_with_the_job_and_no_secret() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let dir = tempfile::Builder::new().prefix("realize").tempdir().unwrap();
    let (runtime, mut stage) = stage::set(&dir);
    stage.profile = workload::NodeProfile::remote_sealed("gpu-0", None);
    runtime.block_on(async {
        let running = stage.start();
        let before = stage.log_length();
        stage.plan(1, 1).await;
        stage.grant(1).await;
        stage.reported(1, WorkloadState::Starting, None).await;
        assert!(serde_json::to_string(&stage.job(1).await).unwrap().contains(TOKEN));
        stage.pod(1).await;
        stage.patch(1, json!({"spec": {"runState": "Stopped"}})).await;
        stage.pod_ends(1).await;
        stage.reported(1, WorkloadState::Ending, Some("PodGone")).await;
        let secrets: Vec<_> = stage.writes(before).into_iter().filter(|write| write.ends_with("secrets")).collect();
        assert_eq!(secrets, ["create secrets"], "the operator's own, and none on the node");
        running.end().await;
    });
}
