//! The part of a control plane that an agent meets: its rights, and a miner API that sells tokens.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::{Router, routing::post};
use jiff::{SignedDuration, Timestamp};
use kubelab::Lab;
use protocol::auth::{HeaderView, verify_management};
use protocol::ids::Ss58;
use protocol::key::Keypair;
use protocol::sign::{Purpose, Signed, management_headers, sha256_hex};
use serde_json::{Value, json};
use service::tls::{Ca, ServerIdentity};
use std::path::Path;
use std::sync::{Arc, Mutex};

pub(crate) const NAMESPACE: &str = "chutes-node-gpu-0";

/// Installs the resource definitions and what the operator makes for a server named `gpu-0`.
pub(crate) fn provision(lab: &Lab) {
    let crds = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("crds");
    lab.kubectl_run(["apply", "--server-side", "-f", crds.to_str().unwrap()]).unwrap();
    lab.kubectl_run(["wait", "--for=condition=Established", "crd/gpuservers.gepetto.fleet", "--timeout=60s"]).unwrap();
    let namespace = |name: &str| json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
    let role = |namespace: &str, rules: Value| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": { "name": "agent-gpu-0", "namespace": namespace }, "rules": rules,
        })
    };
    let binding = |namespace: &str| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": { "name": "agent-gpu-0", "namespace": namespace },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "agent-gpu-0" },
            "subjects": [{ "kind": "ServiceAccount", "name": "agent", "namespace": NAMESPACE }],
        })
    };
    let own = json!([
        { "apiGroups": ["gepetto.fleet"], "resources": ["chutedeployments"], "verbs": ["get", "list", "watch"] },
        { "apiGroups": ["gepetto.fleet"], "resources": ["chutedeployments/status"], "verbs": ["patch"] },
        { "apiGroups": [""], "resources": ["secrets"], "verbs": ["get"] },
        { "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "patch"] },
    ]);
    let server = json!([
        { "apiGroups": ["gepetto.fleet"], "resources": ["gpuservers"], "resourceNames": ["gpu-0"], "verbs": ["get"] },
        { "apiGroups": ["gepetto.fleet"], "resources": ["gpuservers/status"], "resourceNames": ["gpu-0"], "verbs": ["patch"] },
    ]);
    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "agent", "namespace": NAMESPACE } });
    for object in [
        namespace("chutes"),
        namespace(NAMESPACE),
        account,
        role(NAMESPACE, own),
        binding(NAMESPACE),
        role("chutes", server),
        binding("chutes"),
    ] {
        lab.apply(&object).unwrap();
    }
}

/// The id of the one deployment.
pub(crate) const DEPLOYMENT: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

/// A deployment on two GPUs, granted with a launch token, as the operator makes it.
pub(crate) fn deploy(lab: &Lab, gpus: &[Value]) {
    lab.apply(&json!({ "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": { "name": "nvidia" }, "handler": "nvidia" }))
        .unwrap();
    lab.apply(&json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": format!("launch-{DEPLOYMENT}"), "namespace": NAMESPACE },
        "stringData": { "token": "head.body.signature", "config-id": "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9" },
    }))
    .unwrap();
    lab.apply(&json!({
        "apiVersion": "gepetto.fleet/v1alpha1", "kind": "ChuteDeployment", "metadata": { "name": DEPLOYMENT, "namespace": NAMESPACE },
        "spec": {
            "deploymentId": DEPLOYMENT, "server": "gpu-0", "nodeName": "sim-0", "validator": Keypair::generate().address(),
            "chute": {
                "id": "4f0c5e0e-6a4e-5b7e-9a51-3b7d9f6f2d11", "version": "0d5a3c1e-3f53-5f0e-8f6b-8f2f0c5b7a21", "name": "a-chute",
                "refStr": "chute:chute", "chutesVersion": "0.4.2", "tee": false,
            },
            "gpuCount": gpus.len(), "gpus": gpus, "address": "203.0.113.10", "image": "registry.example.com/a/chute:1", "ports": [],
            "resources": { "cpu": 2, "memoryGib": 8, "diskGib": 10 }, "cache": { "maxAgeDays": 7, "maxSizeGb": 100 },
            "runState": "Running",
        },
    }))
    .unwrap();
    let granted = json!({ "status": { "phase": "Granted", "configId": "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9" } }).to_string();
    patch(lab, &["--subresource=status", "-p", &granted]);
}

/// Asks for the end of the deployment.
pub(crate) fn stop(lab: &Lab) {
    patch(lab, &["-p", r#"{"spec":{"runState":"Stopped"}}"#]);
}

/// Says that the validator holds nothing of the deployment any more.
pub(crate) fn release(lab: &Lab) {
    patch(lab, &["-p", &json!({ "metadata": { "annotations": { crd::annotations::RELEASE: "true" } } }).to_string()]);
}

fn patch(lab: &Lab, what: &[&str]) {
    let mut args = vec!["patch", "chutedeployment", DEPLOYMENT, "-n", NAMESPACE, "--type=merge"];
    args.extend(what);
    lab.kubectl_run(args).unwrap();
}

/// The GpuServer that the miner API makes once it knows the node key.
pub(crate) fn add_server(lab: &Lab, node_key: &str) {
    lab.apply(&json!({
        "apiVersion": "gepetto.fleet/v1alpha1", "kind": "GpuServer", "metadata": { "name": "gpu-0", "namespace": "chutes" },
        "spec": {
            "nodeName": "sim-0", "address": "203.0.113.10", "validator": Keypair::generate().address(), "gpuRef": "h100_sxm",
            "gpuCount": 8, "hourlyCostPerGpu": 1.5, "driver": { "agent": { "nodeKey": node_key } },
        },
    }))
    .unwrap();
}

struct Shop {
    lab: Lab,
    miner: Ss58,
    /// The pinned node key; nobody is served before there is one.
    node: Mutex<Option<Ss58>>,
}

/// A miner API, while it is not dropped.
pub(crate) struct MinerApi {
    hotkey: Keypair,
    shop: Arc<Shop>,
    ca: Ca,
    port: u16,
    handle: axum_server::Handle<std::net::SocketAddr>,
}

impl MinerApi {
    pub(crate) fn start(lab: &Lab) -> Self {
        Self::of(lab, Keypair::generate())
    }

    fn of(lab: &Lab, hotkey: Keypair) -> Self {
        service::tls::install_provider();
        let (ca, _) = Ca::generate().unwrap();
        let config = ServerIdentity::generate(&ca, &["127.0.0.1".to_owned()]).unwrap().config().unwrap();
        let shop = Arc::new(Shop { lab: lab.clone(), miner: hotkey.address().clone(), node: Mutex::new(None) });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let app = Router::new().route("/nodes/gpu-0/token", post(sell)).with_state(shop.clone());
        let handle = axum_server::Handle::new();
        let tls = axum_server::tls_rustls::RustlsConfig::from_config(config);
        let server = axum_server::from_tcp_rustls(listener, tls).unwrap().handle(handle.clone());
        tokio::spawn(server.serve(app.into_make_service()));
        Self { hotkey, shop, ca, port, handle }
    }

    /// Sells nothing any more.
    pub(crate) fn stop(&self) {
        self.handle.shutdown();
    }

    /// Another one of the same miner, as after the loss of its disk: new certificates, new port.
    pub(crate) fn restart(self) -> Self {
        Self::of(&self.shop.lab, self.hotkey.clone())
    }

    pub(crate) fn miner(&self) -> &Ss58 {
        &self.shop.miner
    }

    /// Enrols the agent, pins its key and returns its answer.
    pub(crate) async fn enrol(&self, agent: &str) -> Option<Value> {
        let order = json!({
            "server": "gpu-0", "control_url": format!("https://127.0.0.1:{}", self.port), "ca_pem": self.ca.pem(), "miner": self.miner(),
        })
        .to_string();
        let mut request = reqwest::Client::new().post(format!("{agent}/enroll"));
        for (name, value) in management_headers(&self.hotkey, Signed::Body(order.as_bytes()), Timestamp::now().as_second()) {
            request = request.header(name, value);
        }
        let answer = request.body(order).send().await.ok()?;
        assert_eq!(answer.status(), 200);
        let answer: Value = answer.json().await.unwrap();
        let node: Ss58 = answer["node_key"].as_str().unwrap().parse().unwrap();
        *self.shop.node.lock().unwrap() = Some(node);
        Some(answer)
    }
}

impl Drop for MinerApi {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

async fn sell(State(shop): State<Arc<Shop>>, headers: HeaderMap, body: String) -> impl IntoResponse {
    let view = HeaderView::collect(|name| headers.get(name).and_then(|value| value.to_str().ok()));
    let now = Timestamp::now();
    let node: Vec<Ss58> = shop.node.lock().unwrap().iter().cloned().collect();
    if let Err(error) =
        verify_management(&view, true, &sha256_hex(body.as_bytes()), Purpose::Management, &shop.miner, &node, now.as_second())
    {
        return (StatusCode::FORBIDDEN, json!({ "detail": error.to_string() }).to_string());
    }
    let token = shop.lab.kubectl_run(["create", "token", "agent", "-n", NAMESPACE, "--duration=1h"]).unwrap();
    let answer = json!({
        "token": token.trim(), "expires_at": now + SignedDuration::from_hours(1), "api_server": shop.lab.api_url,
        "ca_pem": shop.lab.ca_pem, "namespace": NAMESPACE,
    });
    (StatusCode::OK, answer.to_string())
}
