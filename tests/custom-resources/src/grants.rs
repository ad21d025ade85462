//! A server as the operator provisions it: its GpuServer, namespace, account, and the roles that account holds.

use crate::{Actor, collection};
use controllers::gpu_server::rbac::Place;
use crd::GpuServer;
use kube::ResourceExt as _;
use kubelab::Lab;
use serde_json::{Value, json};

const VALIDATOR: &str = "5Dt7HZ7Zpw4DppPxFM7Ke3Cm7sDAWhsZXmM5ZAmE7dSVJbcQ";
const NODE_KEY: &str = "5HDvhV6WDCjCKyrXqGQSDYqQAzkzabNhctmiDYEqgBC66BsX";

/// A provisioned server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The name of its one ChuteDeployment.
    pub deployment: String,
    /// The name of that deployment's launch Secret.
    pub secret: String,
}

impl Server {
    /// A server of this name; nothing is made yet.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let namespace = crd::node_namespace(name);
        let deployment_id =
            format!("00000000-0000-4000-8000-{:012x}", name.bytes().fold(0_u32, |sum, byte| sum.rotate_left(8) ^ u32::from(byte)));
        Self { name: name.to_owned(), secret: format!("launch-{deployment_id}"), deployment: deployment_id, namespace }
    }

    /// Makes everything a server has, as the operator does, and a deployment with its launch Secret.
    pub async fn provision(admin: &Actor, name: &str, shared: bool) -> Self {
        let server = Self::named(name);
        let made = make(admin, &gpu_server(name, shared)).await;
        for object in place(&made) {
            let _ = make(admin, &object).await;
        }
        let _ = make(admin, &deployment(&server)).await;
        let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": server.secret, "namespace": server.namespace },
            "stringData": { "token": "launch-token", "config-id": "config" } });
        let _ = make(admin, &secret).await;
        server
    }

    /// Its agent, with a token as the miner API sells it.
    pub async fn agent(&self, lab: &Lab) -> Actor {
        let token = lab.kubectl_run(["create", "token", "agent", "-n", &self.namespace, "--duration=1h"]).expect("a token");
        Actor::with_token(lab, token.trim().to_owned()).await
    }

    /// The path of a namespaced resource in its namespace, such as `("/api/v1", "secrets")`.
    #[must_use]
    pub fn path(&self, group: &str, resource: &str) -> String {
        format!("{group}/namespaces/{}/{resource}", self.namespace)
    }
}

async fn make(admin: &Actor, object: &Value) -> Value {
    admin.create(&collection(object), object).await.expect(&format!("creating {} {}", object["kind"], object["metadata"]["name"]))
}

/// What the operator makes for this GpuServer, from its own builder: the namespace first, then the account, roles and bindings.
#[must_use]
pub fn place(gpu_server: &Value) -> Vec<Value> {
    let object: GpuServer = serde_json::from_value(gpu_server.clone()).expect("a GpuServer");
    let name = object.name_any().parse().expect("a server's name");
    let Place { namespace, access } = Place::of(&object, &name);
    let access = access.expect("a server with an agent");
    let values = [json!(namespace), json!(access.account)].into_iter();
    values.chain(access.roles.iter().map(|role| json!(role))).chain(access.bindings.iter().map(|binding| json!(binding))).collect()
}

/// The name of the node of a server.
fn node_of(server: &str) -> String {
    format!("node-{server}")
}

/// A GpuServer.
#[must_use]
pub fn gpu_server(name: &str, shared: bool) -> Value {
    json!({
        "apiVersion": "gepetto.fleet/v1alpha1", "kind": "GpuServer", "metadata": { "name": name, "namespace": crd::FLEET_NAMESPACE },
        "spec": {
            "nodeName": node_of(name), "address": "203.0.113.10", "validator": VALIDATOR, "gpuRef": "h100_sxm", "gpuCount": 8,
            "hourlyCostPerGpu": 1.85, "cluster": if shared { "Shared" } else { "Own" }, "driver": { "agent": { "nodeKey": NODE_KEY } },
        },
    })
}

/// The ChuteDeployment of a server.
#[must_use]
pub fn deployment(server: &Server) -> Value {
    json!({
        "apiVersion": "gepetto.fleet/v1alpha1", "kind": "ChuteDeployment",
        "metadata": { "name": server.deployment, "namespace": server.namespace },
        "spec": {
            "deploymentId": server.deployment, "server": server.name, "nodeName": node_of(&server.name), "validator": VALIDATOR,
            "chute": { "id": "chute-1", "version": "v1", "name": "example", "refStr": "chute:chute", "chutesVersion": "0.4.2" },
            "gpuCount": 1, "gpus": ["5f7b1c2d3e4f40518263748596a7b8c9"], "address": "203.0.113.10",
            "image": "registry.example.com/example/app:1", "resources": { "cpu": 4, "memoryGib": 32, "diskGib": 10 },
            "cache": { "maxAgeDays": 7, "maxSizeGb": 500 }, "runState": "Running",
        },
    })
}
