//! The accounts of our own programs: they can do their work with the shipped roles, and hand out no more than they hold.

#![allow(clippy::unwrap_used, reason = "a test")]

use custom_resources::{Actor, Server, collection, eventually, folder, gpu_server, lab, place};
use kubelab::{Lab, Level, level_or_skip};
use serde_json::{Value, json};

async fn account(lab: &Lab, name: &str) -> Actor {
    let token = lab.kubectl_run(["create", "token", name, "-n", "chutes"]).unwrap();
    let actor = Actor::with_token(lab, token.trim().to_owned()).await;
    eventually("its role is in force", || async { actor.get("/apis/gepetto.fleet/v1alpha1/gpuservers").await.accepted() }).await;
    actor
}

#[tokio::test]
async fn the_operator_provisions_servers_and_cannot_grant_more_than_it_holds() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let dir = folder();
    let lab = lab(dir.path());
    let operator = account(&lab, "operator").await;
    let admin = Actor::admin(&lab).await;
    for (name, shared) in [("own", false), ("shared", true)] {
        let added = gpu_server(name, shared);
        let added = admin.create(&collection(&added), &added).await.expect("a person adds a server");
        for object in place(&added) {
            let what = format!("the operator makes {} {} of server {name}", object["kind"], object["metadata"]["name"]);
            let _ = operator.create(&collection(&object), &object).await.expect(&what);
        }
    }

    let role = |rule: Value| {
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": { "name": "more", "namespace": "chutes-node-own" },
            "rules": [rule] })
    };
    for rule in [
        json!({ "apiGroups": [""], "resources": ["secrets"], "verbs": ["list"] }),
        json!({ "apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"] }),
        json!({ "apiGroups": ["gepetto.fleet"], "resources": ["validators"], "verbs": ["update"] }),
        json!({ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] }),
    ] {
        let object = role(rule);
        let answer = operator.create(&collection(&object), &object).await;
        assert_eq!(answer.code, 403, "{object}");
        assert!(answer.message().contains("attempting to grant RBAC permissions not currently held"), "{}", answer.message());
    }
    let server = gpu_server("c", false);
    assert_eq!(operator.create(&collection(&server), &server).await.code, 403, "servers are added by people");
    assert_eq!(operator.get("/api/v1/secrets").await.code, 403, "Secrets are read by name");
}

#[tokio::test]
async fn the_miner_api_adds_servers_and_sells_tokens_of_agents_only() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let dir = folder();
    let lab = lab(dir.path());
    let admin = Actor::admin(&lab).await;
    let server = Server::provision(&admin, "a", false).await;
    let miner_api = account(&lab, "miner-api").await;

    let added = gpu_server("c", false);
    let _ = miner_api.create(&collection(&added), &added).await.expect("adding a server");
    let request = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": { "expirationSeconds": 3600 } });
    let path = server.path("/api/v1", "serviceaccounts/agent/token");
    let sold = miner_api.create(&path, &request).await.expect("a token of an agent");
    let agent = Actor::with_token(&lab, sold["status"]["token"].as_str().unwrap().to_owned()).await;
    let list = server.path("/apis/gepetto.fleet/v1alpha1", "chutedeployments");
    eventually("the agent's role is in force", || async { agent.get(&list).await.accepted() }).await;

    let others =
        ["/api/v1/namespaces/chutes/serviceaccounts/operator/token", "/api/v1/namespaces/kube-system/serviceaccounts/default/token"];
    for other in others {
        assert_eq!(miner_api.create(other, &request).await.code, 403, "{other}");
    }
    for secret in [server.path("/api/v1", &format!("secrets/{}", server.secret)), "/api/v1/namespaces/chutes/secrets".to_owned()] {
        assert_eq!(miner_api.get(&secret).await.code, 403, "{secret}");
    }
    for lease in ["gepetto-operator", "gepetto-planner"] {
        let object =
            json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": lease, "namespace": "chutes" } });
        let _ = admin.create(&collection(&object), &object).await.expect("a Lease of the operator");
        let read = miner_api.get(&format!("/apis/coordination.k8s.io/v1/namespaces/chutes/leases/{lease}")).await;
        assert!(read.accepted(), "status must know whether the operator lives: {}", read.message());
    }
    for others in ["/apis/coordination.k8s.io/v1/namespaces/chutes/leases", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x"]
    {
        assert_eq!(miner_api.get(others).await.code, 403, "{others}");
    }
    for object in place(&gpu_server("b", false)).iter().skip(1) {
        let mut object = object.clone();
        object["metadata"]["namespace"] = json!(server.namespace);
        assert_eq!(miner_api.create(&collection(&object), &object).await.code, 403, "accounts and roles are the operator's: {object}");
    }

    // delete-node revokes: without its account, a token sold before is worth nothing.
    let _ = admin.delete(&server.path("/api/v1", "serviceaccounts/agent")).await.expect("revoking");
    eventually("the token is refused", || async { agent.get(&list).await.code == 401 }).await;
}
