//! A server as the operator provisions it: its GpuServer, namespace, account, and the roles that account holds.

use crate::{Actor, collection};
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
        let mut objects = vec![gpu_server(name, shared)];
        objects.extend(server.place(shared));
        objects.push(deployment(&server));
        objects.push(json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": server.secret, "namespace": server.namespace },
            "stringData": { "token": "launch-token", "config-id": "config" } }));
        for object in objects {
            let answer = admin.create(&collection(&object), &object).await;
            let _ = answer.expect(&format!("creating {} {}", object["kind"], object["metadata"]["name"]));
        }
        server
    }

    /// Its namespace, the account `agent` in it, and what that account may do; nothing else may be granted to it anywhere.
    #[must_use]
    pub fn place(&self, shared: bool) -> Vec<Value> {
        let (name, namespace) = (&self.name, &self.namespace);
        let fleet = crd::FLEET_NAMESPACE;
        let mut own = vec![
            json!({ "apiGroups": ["gepetto.fleet"], "resources": ["chutedeployments"], "verbs": ["get", "list", "watch"] }),
            json!({ "apiGroups": ["gepetto.fleet"], "resources": ["chutedeployments/status"], "verbs": ["get", "patch", "update"] }),
            json!({ "apiGroups": [""], "resources": ["secrets"], "verbs": ["get"] }),
            json!({ "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update", "patch"] }),
        ];
        if shared {
            own.push(
                json!({ "apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "list", "watch", "create", "patch", "delete"] }),
            );
            own.push(
                json!({ "apiGroups": [""], "resources": ["services"], "verbs": ["get", "list", "watch", "create", "patch", "delete"] }),
            );
            own.push(json!({ "apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"] }));
        }
        let theirs = vec![
            json!({ "apiGroups": ["gepetto.fleet"], "resources": ["gpuservers"], "resourceNames": [name], "verbs": ["get", "list", "watch"] }),
            json!({ "apiGroups": ["gepetto.fleet"], "resources": ["gpuservers/status"], "resourceNames": [name], "verbs": ["get", "patch", "update"] }),
        ];
        let subject = json!([{ "kind": "ServiceAccount", "name": "agent", "namespace": namespace }]);
        let role = |at: &str, role: &str, rules: Vec<Value>| {
            [
                json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": { "name": role, "namespace": at }, "rules": rules }),
                json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": { "name": role, "namespace": at },
                    "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role }, "subjects": subject }),
            ]
        };
        let place = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": {
            "name": namespace,
            "labels": { crd::labels::SERVER: name, crd::labels::MANAGED_BY: crd::labels::MANAGER },
            "annotations": { crd::annotations::NODE_NAME: node_of(name) } } });
        let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "agent", "namespace": namespace } });
        [place, account].into_iter().chain(role(namespace, "agent", own)).chain(role(fleet, &format!("agent-{name}"), theirs)).collect()
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
