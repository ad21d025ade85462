//! Requests that would hurt somebody else, each valid in itself.

use custom_resources::{Actor, Answer, Server, deployment, gpu_server};
use serde_json::{Value, json};

/// One thing to try.
pub(crate) struct Attempt {
    /// What it would do.
    pub(crate) what: &'static str,
    method: &'static str,
    path: String,
    body: Option<Value>,
}

impl Attempt {
    /// Tries it; `dry` lets the API server check everything and keep nothing.
    pub(crate) async fn by(&self, who: &Actor, dry: bool) -> Answer {
        let reading = self.method == "GET";
        let separator = if self.path.contains('?') { '&' } else { '?' };
        let path = if dry && !reading { format!("{}{separator}dryRun=All", self.path) } else { self.path.clone() };
        let kind = if self.method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        who.request(self.method, &path, kind, self.body.as_ref()).await
    }
}

/// All of them, from the agent of `own`.
pub(crate) fn attempts(own: &Server, other: &Server) -> Vec<Attempt> {
    let mut all = resources_of_the_fleet(own, other);
    all.extend(things_of_the_cluster(own, other));
    all
}

const FLEET: &str = "/apis/gepetto.fleet/v1alpha1";
const SHARED: &str = "/apis/gepetto.fleet/v1alpha1/namespaces/chutes";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

fn attempt(what: &'static str, method: &'static str, path: impl Into<String>, body: impl Into<Option<Value>>) -> Attempt {
    Attempt { what, method, path: path.into(), body: body.into() }
}

fn resources_of_the_fleet(own: &Server, other: &Server) -> Vec<Attempt> {
    let mine = format!("{}/{}", own.path(FLEET, "chutedeployments"), own.deployment);
    let theirs = format!("{}/{}", other.path(FLEET, "chutedeployments"), other.deployment);
    let me = format!("{SHARED}/gpuservers/{}", own.name);
    let them = format!("{SHARED}/gpuservers/{}", other.name);
    let mut forged = deployment(own);
    forged["metadata"]["name"] = json!("00000000-0000-4000-8000-00000000ffff");
    forged["spec"]["deploymentId"] = json!("00000000-0000-4000-8000-00000000ffff");
    let policy = json!({ "apiVersion": "gepetto.fleet/v1alpha1", "kind": "GepettoPolicy", "metadata": { "name": "default" }, "spec": { "mode": "Paused" } });
    let validator = json!({ "apiVersion": "gepetto.fleet/v1alpha1", "kind": "Validator", "metadata": { "name": "mine" }, "spec": {
        "hotkey": own_hotkey(own), "api": "https://mine.example.com", "socket": "wss://mine.example.com" } });
    let chute = json!({ "apiVersion": "gepetto.fleet/v1alpha1", "kind": "Chute", "metadata": { "name": "mine" }, "spec": {
        "validator": own_hotkey(own), "chuteId": "mine", "version": "v1", "name": "mine", "image": "a/b:c", "refStr": "a:b", "gpuCount": 1,
        "supportedGpus": ["h100_sxm"], "listing": "Listed" } });
    vec![
        attempt("list another server's deployments", "GET", other.path(FLEET, "chutedeployments"), None),
        attempt("list everybody's deployments", "GET", format!("{FLEET}/chutedeployments"), None),
        attempt("read another server's deployment", "GET", &*theirs, None),
        attempt(
            "write another's status.workload",
            "PATCH",
            format!("{theirs}/status"),
            json!({ "status": { "workload": { "state": "Gone" } } }),
        ),
        attempt("read another server's status", "GET", format!("{theirs}/status"), None),
        attempt("stop its own deployment", "PATCH", &*mine, json!({ "spec": { "runState": "Stopped" } })),
        attempt(
            "release its own deployment",
            "PATCH",
            &*mine,
            json!({ "metadata": { "annotations": { "gepetto.fleet/release": "true" } } }),
        ),
        attempt("delete its own deployment", "DELETE", &*mine, None),
        attempt("delete all its own deployments", "DELETE", own.path(FLEET, "chutedeployments"), None),
        attempt("give itself a deployment", "POST", own.path(FLEET, "chutedeployments"), forged),
        attempt("read another GpuServer", "GET", &*them, None),
        attempt("list all GpuServers", "GET", format!("{SHARED}/gpuservers"), None),
        attempt("list another by its name", "GET", format!("{SHARED}/gpuservers?fieldSelector=metadata.name%3D{}", other.name), None),
        attempt("write another's status.reported", "PATCH", format!("{them}/status"), json!({ "status": { "reported": { "gpus": [] } } })),
        attempt("lift its own holds", "PATCH", &*me, json!({ "spec": { "holds": [] } })),
        attempt("name its own price", "PATCH", &*me, json!({ "spec": { "hourlyCostPerGpu": 0 } })),
        attempt(
            "confirm its own deletion",
            "PATCH",
            &*me,
            json!({ "metadata": { "annotations": { "gepetto.fleet/confirm-delete": own.name } } }),
        ),
        attempt("delete its own GpuServer", "DELETE", &*me, None),
        attempt("delete another GpuServer", "DELETE", &*them, None),
        attempt("add a server", "POST", format!("{SHARED}/gpuservers"), gpu_server("c", false)),
        attempt("set the policy", "POST", format!("{SHARED}/gepettopolicies"), policy),
        attempt("read the policies", "GET", format!("{SHARED}/gepettopolicies"), None),
        attempt("add a validator", "POST", format!("{SHARED}/validators"), validator),
        attempt("read the validators", "GET", format!("{SHARED}/validators"), None),
        attempt("offer a chute", "POST", format!("{SHARED}/chutes"), chute),
        attempt("read the chutes", "GET", format!("{SHARED}/chutes"), None),
    ]
}

fn own_hotkey(own: &Server) -> Value {
    gpu_server(&own.name, false)["spec"]["validator"].clone()
}

fn things_of_the_cluster(own: &Server, other: &Server) -> Vec<Attempt> {
    let token = || json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {} });
    let admin_binding = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": { "name": "more" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
        "subjects": [{ "kind": "ServiceAccount", "name": "agent", "namespace": own.namespace }] });
    let mut cluster_binding = admin_binding.clone();
    cluster_binding["kind"] = json!("ClusterRoleBinding");
    let more_rules = json!({ "rules": [{ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] }] });
    let pod_spec = json!({ "containers": [{ "name": "c", "image": "example/app:1", "securityContext": { "runAsUser": 1000 } }], "restartPolicy": "Never",
        "nodeName": format!("node-{}", own.name), "automountServiceAccountToken": false });
    let object = |version: &str, kind: &str, name: &str, spec: Value| json!({ "apiVersion": version, "kind": kind, "metadata": { "name": name }, "spec": spec });
    let label = json!({ "metadata": { "labels": { "x": "y" } } });
    let lease = object("coordination.k8s.io/v1", "Lease", "operator", json!({ "holderIdentity": "me" }));
    let deployment = json!({ "replicas": 1, "selector": { "matchLabels": { "a": "b" } }, "template": { "metadata": { "labels": { "a": "b" } },
        "spec": { "containers": [{ "name": "c", "image": "example/app:1" }] } } });
    let config = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "x" } });
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "x" } });
    let admission = "/apis/admissionregistration.k8s.io/v1";
    let service = json!({ "type": "ClusterIP", "selector": { "a": "b" }, "ports": [{ "port": 80 }] });
    vec![
        attempt("read another's launch Secret", "GET", other.path("/api/v1", &format!("secrets/{}", other.secret)), None),
        attempt("list its own Secrets", "GET", own.path("/api/v1", "secrets"), None),
        attempt("list everybody's Secrets", "GET", "/api/v1/secrets", None),
        attempt("list the fleet's Secrets", "GET", "/api/v1/namespaces/chutes/secrets", None),
        attempt("make a Secret", "POST", own.path("/api/v1", "secrets"), secret),
        attempt("change a launch Secret", "PATCH", own.path("/api/v1", &format!("secrets/{}", own.secret)), label.clone()),
        attempt("delete a launch Secret", "DELETE", own.path("/api/v1", &format!("secrets/{}", own.secret)), None),
        attempt("make a ConfigMap", "POST", own.path("/api/v1", "configmaps"), config),
        attempt("make a pod", "POST", own.path("/api/v1", "pods"), object("v1", "Pod", "x", pod_spec.clone())),
        attempt(
            "make a Job",
            "POST",
            own.path("/apis/batch/v1", "jobs"),
            object("batch/v1", "Job", "x", json!({ "template": { "spec": pod_spec } })),
        ),
        attempt("make a Service", "POST", own.path("/api/v1", "services"), object("v1", "Service", "x", service)),
        attempt("make a Deployment", "POST", own.path("/apis/apps/v1", "deployments"), object("apps/v1", "Deployment", "x", deployment)),
        attempt("take a token of another agent", "POST", other.path("/api/v1", "serviceaccounts/agent/token"), token()),
        attempt("take a token of the operator", "POST", "/api/v1/namespaces/chutes/serviceaccounts/operator/token", token()),
        attempt("prolong its own token", "POST", own.path("/api/v1", "serviceaccounts/agent/token"), token()),
        attempt("bind itself to more here", "POST", own.path(RBAC, "rolebindings"), admin_binding),
        attempt("bind itself to everything", "POST", format!("{RBAC}/clusterrolebindings"), cluster_binding),
        attempt("widen its own role", "PATCH", own.path(RBAC, "roles/agent"), more_rules.clone()),
        attempt("widen its role in the fleet", "PATCH", format!("{RBAC}/namespaces/chutes/roles/agent-{}", own.name), more_rules),
        attempt("read roles", "GET", format!("{RBAC}/clusterroles"), None),
        attempt("relabel its namespace", "PATCH", format!("/api/v1/namespaces/{}", own.namespace), label.clone()),
        attempt("delete its namespace", "DELETE", format!("/api/v1/namespaces/{}", own.namespace), None),
        attempt(
            "make a namespace",
            "POST",
            "/api/v1/namespaces",
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "chutes-node-z" } }),
        ),
        attempt("list namespaces", "GET", "/api/v1/namespaces", None),
        attempt("add a node", "POST", "/api/v1/nodes", json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "x" } })),
        attempt("list nodes", "GET", "/api/v1/nodes", None),
        attempt(
            "change a definition",
            "PATCH",
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gpuservers.gepetto.fleet",
            label.clone(),
        ),
        attempt("delete a policy's binding", "DELETE", format!("{admission}/validatingadmissionpolicybindings/gepetto-agent-status"), None),
        attempt("delete a policy", "DELETE", format!("{admission}/validatingadmissionpolicies/gepetto-agent-status"), None),
        attempt("change a policy", "PATCH", format!("{admission}/validatingadmissionpolicies/gepetto-agent-jobs"), label.clone()),
        attempt("take the operator's lead", "POST", "/apis/coordination.k8s.io/v1/namespaces/chutes/leases", lease),
        attempt(
            "seem alive for another",
            "POST",
            other.path("/apis/coordination.k8s.io/v1", "leases"),
            object("coordination.k8s.io/v1", "Lease", "agent", json!({ "holderIdentity": "b" })),
        ),
        attempt("list Leases", "GET", own.path("/apis/coordination.k8s.io/v1", "leases"), None),
        attempt("change its account", "PATCH", own.path("/api/v1", "serviceaccounts/agent"), label),
    ]
}
