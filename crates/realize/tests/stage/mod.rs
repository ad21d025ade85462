//! A stage for the realizer: a real API server, on which the test plays the operator and the kubelet.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use crd::{
    ChuteDeployment,
    chute_deployment::{Workload, WorkloadState},
};
use jiff::SignedDuration;
use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{Namespace, Pod, Secret, Service},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, CustomResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use kubelab::{Guard, Lab, Options};
use realize::{Deadlines, GpuHealthMap, GpuProcessMap, GpuProcesses, RealizeConfig, Realizer};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use testkit::faults::{FaultProxy, FaultProxyConfig};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use workload::NodeProfile;

pub const ADDRESS: &str = "5Df8xCSkGWk9VWU2QeWXDLn2p7zebV58TsFWxfhs8VRbARFj";
pub const CONTROL: &str = "chutes-node-gpu-0";
pub const TOKEN: &str = "header.payload.signature";

pub struct Stage {
    pub client: Client,
    pub deployments: Api<ChuteDeployment>,
    pub launches: Api<Secret>,
    pub services: Api<Service>,
    pub secrets: Api<Secret>,
    pub jobs: Api<Job>,
    pub pods: Api<Pod>,
    pub health: watch::Sender<GpuHealthMap>,
    pub processes: watch::Sender<GpuProcessMap>,
    /// Told when the realizer wants the GPUs looked at.
    pub looks: Arc<Notify>,
    pub profile: NodeProfile,
    pub token: String,
    pub lab: Guard,
}

/// A running realizer.
pub struct Running {
    pub realizer: Arc<Realizer>,
    pub stop: CancellationToken,
    pub task: JoinHandle<()>,
}

impl Running {
    pub async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

pub fn id(number: u32) -> String {
    format!("3f0f9f9e-0b1a-4c5d-8e7f-{number:012}")
}

pub async fn eventually<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(value) = check().await {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}

impl Stage {
    pub async fn up(lab: Guard) -> Self {
        let client = cluster::client::connect(cluster::client::ClientSource::Kubeconfig(lab.kubeconfig.clone())).await.unwrap();
        let post = PostParams::default();
        let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
        crds.create(&post, &ChuteDeployment::crd()).await.unwrap();
        let namespaces: Api<Namespace> = Api::all(client.clone());
        for name in [CONTROL, "chutes"] {
            namespaces.create(&post, &serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()).await.unwrap();
        }
        let stage = Self {
            deployments: Api::namespaced(client.clone(), CONTROL),
            launches: Api::namespaced(client.clone(), CONTROL),
            services: Api::namespaced(client.clone(), "chutes"),
            secrets: Api::namespaced(client.clone(), "chutes"),
            jobs: Api::namespaced(client.clone(), "chutes"),
            pods: Api::namespaced(client.clone(), "chutes"),
            health: watch::Sender::new(GpuHealthMap::new()),
            processes: watch::Sender::new(GpuProcessMap::new()),
            looks: Arc::default(),
            client,
            profile: NodeProfile::agent_own("gpu-0"),
            token: administrators_token(&lab),
            lab,
        };
        eventually("the new kind is served", async || stage.deployments.list(&ListParams::default()).await.ok()).await;
        let accounts: Api<k8s_openapi::api::core::v1::ServiceAccount> = Api::namespaced(stage.client.clone(), "chutes");
        eventually("pods are admitted", async || accounts.get_opt("default").await.unwrap()).await;
        stage
    }

    pub fn start(&self) -> Running {
        self.start_through(&self.client, &self.client)
    }

    /// A realizer that reaches its clusters through these clients.
    pub fn start_through(&self, control: &Client, node: &Client) -> Running {
        let realizer = Realizer::new(RealizeConfig {
            server: "gpu-0".parse().unwrap(),
            control: control.clone(),
            node: node.clone(),
            profile: self.profile.clone(),
            miner: ADDRESS.parse().unwrap(),
            deadlines: Deadlines { trouble: SignedDuration::from_millis(1500), ..Deadlines::default() },
            gpu_health: self.health.subscribe(),
            gpu_processes: GpuProcesses { counts: self.processes.subscribe(), look: Arc::clone(&self.looks) },
            looks: cluster::metrics::Looks::default(),
            manager: RealizeConfig::MANAGER.to_owned(),
        });
        let stop = CancellationToken::new();
        let task = tokio::spawn(Arc::clone(&realizer).run(stop.clone()));
        Running { realizer, stop, task }
    }

    /// A client that reaches the API server through a proxy, with an administrator's token.
    pub async fn client_through(&self, proxy: &FaultProxy) -> Client {
        self.client_of(proxy, &self.token).await
    }

    /// The agent's client of the node cluster, with the account and the rights that are shipped.
    pub async fn agents_client(&self, proxy: &FaultProxy) -> Client {
        let manifests = concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/manifests/node/agent.yaml");
        self.lab.kubectl_run(["apply", "-f", manifests]).unwrap();
        let token = self.lab.kubectl_run(["create", "token", "gepetto-agent", "-n", "chutes"]).unwrap();
        let client = self.client_of(proxy, token.trim()).await;
        let services: Api<Service> = Api::namespaced(client.clone(), "chutes");
        eventually("the agent's role is in force", async || services.list(&ListParams::default()).await.ok()).await;
        client
    }

    async fn client_of(&self, proxy: &FaultProxy, token: &str) -> Client {
        let url = proxy.url();
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": url}}],
            "users": [{"name": "it", "user": {"token": token}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        });
        cluster::client::connect(cluster::client::ClientSource::KubeconfigYaml(kubeconfig.to_string())).await.unwrap()
    }

    /// A proxy in front of the API server.
    pub fn proxy(&self, name: &str) -> FaultProxy {
        let upstream = self.lab.api_url.parse().unwrap();
        FaultProxy::start(FaultProxyConfig::new(name, upstream).ca(self.lab.ca_pem.clone())).unwrap()
    }

    /// As the operator: a deployment, planned.
    pub async fn plan(&self, number: u32, gpu: u32) {
        let deployment = json!({
            "apiVersion": "gepetto.fleet/v1alpha1", "kind": "ChuteDeployment", "metadata": {"name": id(number)},
            "spec": {
                "deploymentId": id(number), "server": "gpu-0", "nodeName": "gpu-0", "validator": ADDRESS,
                "chute": {"id": "chute-1", "version": "v-1", "name": "demo", "refStr": "a:b", "chutesVersion": "0.5.3", "tee": false},
                "gpuCount": 1, "gpus": [format!("{gpu:032x}")], "address": "203.0.113.10", "image": "registry.example.net/demo:1", "ports": [],
                "resources": {"cpu": 1, "memoryGib": 1, "diskGib": 1}, "cache": {"maxAgeDays": 1, "maxSizeGb": 1}, "runState": "Running",
            },
        });
        self.deployments.create(&PostParams::default(), &serde_json::from_value(deployment).unwrap()).await.unwrap();
    }

    /// As the operator: the launch token is there.
    pub async fn grant(&self, number: u32) {
        let secret = json!({"metadata": {"name": format!("launch-{}", id(number))}, "stringData": {"token": TOKEN, "config-id": format!("config-{number}")}});
        self.launches.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
        self.phase(number, "Granted").await;
    }

    pub async fn phase(&self, number: u32, phase: &str) {
        let status = json!({"phase": phase});
        cluster::apply::ssa_status(&self.deployments, "gepetto-operator", &id(number), status).await.unwrap();
    }

    pub async fn patch(&self, number: u32, patch: Value) {
        self.deployments.patch(&id(number), &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }

    pub async fn get(&self, number: u32) -> ChuteDeployment {
        self.deployments.get(&id(number)).await.unwrap()
    }

    pub async fn reported(&self, number: u32, state: WorkloadState, reason: Option<&str>) -> Workload {
        let what = format!("deployment {number} is {state} for {reason:?}");
        eventually(&what, async || {
            let workload = self.get(number).await.status?.workload?;
            (workload.state == state && workload.reason.as_deref() == reason).then_some(workload)
        })
        .await
    }

    pub async fn job(&self, number: u32) -> Job {
        eventually("the Job exists", async || self.jobs.get_opt(&format!("chute-{}", id(number))).await.unwrap()).await
    }

    pub async fn pod(&self, number: u32) -> Pod {
        let params = ListParams::default().labels(&format!("chutes/deployment-id={}", id(number)));
        eventually("the Job's pod exists", async || self.pods.list(&params).await.unwrap().items.pop()).await
    }

    /// As the kubelet.
    pub async fn pod_status(&self, number: u32, status: Value) {
        let name = self.pod(number).await.metadata.name.unwrap();
        let patch = json!({"status": status});
        self.pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }

    pub async fn runs(&self, number: u32, ready: bool) {
        let time = "2026-01-01T00:00:00Z";
        let now = jiff::Timestamp::now().to_string();
        self.pod_status(number, json!({
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }, "lastTransitionTime": now}],
            "containerStatuses": [{"name": "chute", "ready": ready, "restartCount": 0, "image": "i", "imageID": "i", "state": {"running": {"startedAt": time}}}],
        }))
        .await;
    }

    /// As the kubelet: the pod's processes have ended, the pod may go.
    pub async fn pod_ends(&self, number: u32) {
        let pod = eventually("the pod is being deleted", async || {
            let pod = self.pod(number).await;
            pod.metadata.deletion_timestamp.is_some().then_some(pod)
        })
        .await;
        let params = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        self.pods.delete(pod.metadata.name.as_deref().unwrap(), &params).await.unwrap();
    }

    /// Changes on the audit log by our clients, as `verb resource`, since an earlier length of it.
    pub fn writes(&self, from: usize) -> Vec<String> {
        let log = std::fs::read_to_string(&self.lab.audit_log).unwrap();
        let lines = log.lines().skip(from).filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines
            .filter(|line| {
                line["stage"] == "ResponseComplete" && line["user"]["username"].as_str().is_some_and(|user| !user.starts_with("system:"))
            })
            .filter(|line| !matches!(line["verb"].as_str(), Some("get" | "list" | "watch")))
            .map(|line| {
                format!(
                    "{} {}{}",
                    line["verb"].as_str().unwrap(),
                    line["objectRef"]["resource"].as_str().unwrap_or("-"),
                    line["objectRef"]["subresource"].as_str().map(|sub| format!("/{sub}")).unwrap_or_default()
                )
            })
            .collect()
    }

    pub fn log_length(&self) -> usize {
        std::fs::read_to_string(&self.lab.audit_log).unwrap().lines().count()
    }
}

fn administrators_token(lab: &Lab) -> String {
    lab.kubectl_run(["create", "serviceaccount", "tester", "-n", "default"]).unwrap();
    lab.kubectl_run(["create", "clusterrolebinding", "tester", "--clusterrole=cluster-admin", "--serviceaccount=default:tester"]).unwrap();
    lab.kubectl_run(["create", "token", "tester", "-n", "default"]).unwrap().trim().to_owned()
}

/// A stage on a lab of its own, and the runtime to play on.
pub fn set(dir: &tempfile::TempDir) -> (tokio::runtime::Runtime, Stage) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let lab = Lab::up(Options::new(dir.path().join("lab")), |_| ()).unwrap().guard();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stage = runtime.block_on(Stage::up(lab));
    (runtime, stage)
}
