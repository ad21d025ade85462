//! A broken-into GPU server can hurt only itself: a test that holds its agent's token and tries everything else.

#![allow(clippy::unwrap_used, reason = "a test")]

mod confinement;

use custom_resources::{Actor, Server, eventually, folder, lab, resources, rights};
use kubelab::{Lab, Level, level_or_skip};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const FLEET: &str = "/apis/gepetto.fleet/v1alpha1";

/// Two servers with a cluster of their own each, and the first one's agent.
async fn two_servers(lab: &Lab) -> (Actor, Actor, Server, Server) {
    let admin = Actor::admin(lab).await;
    let own = Server::provision(&admin, "a", false).await;
    let other = Server::provision(&admin, "b", false).await;
    let agent = own.agent(lab).await;
    // Roles and policies reach the API server's own caches a moment after they are written.
    let status = format!("{}/{}/status", own.path(FLEET, "chutedeployments"), own.deployment);
    let forbidden = json!({ "status": { "phase": "Active" } });
    eventually("the agent's role is in force", || async { agent.get(&status).await.accepted() }).await;
    eventually("the policy is in force", || async { agent.merge(&format!("{status}?dryRun=All"), &forbidden).await.code == 422 }).await;
    (admin, agent, own, other)
}

#[tokio::test]
async fn an_agent_can_do_its_work() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let dir = folder();
    let lab = lab(dir.path());
    let (_, agent, own, _) = two_servers(&lab).await;
    let deployments = own.path(FLEET, "chutedeployments");

    let list = agent.get(&deployments).await.expect("listing its deployments");
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    let secret = agent.get(&own.path("/api/v1", &format!("secrets/{}", own.secret))).await.expect("reading a launch Secret");
    assert!(secret["data"]["token"].is_string());

    let path = format!("{deployments}/{}/status", own.deployment);
    let workload = json!({ "apiVersion": "gepetto.fleet/v1alpha1", "kind": "ChuteDeployment", "metadata": { "name": own.deployment },
        "status": { "workload": { "state": "Ready", "podUid": "p", "nodePorts": [{ "port": 8000, "nodePort": 30001 }] } } });
    let stored = agent.apply(&path, "gepetto-agent", &workload).await.expect("writing status.workload");
    assert_eq!(stored["status"]["workload"]["state"], "Ready");

    let server = format!("{FLEET}/namespaces/chutes/gpuservers/{}", own.name);
    let watch = format!("{FLEET}/namespaces/chutes/gpuservers?watch=true&timeoutSeconds=1&fieldSelector=metadata.name%3D{}", own.name);
    assert_eq!(agent.get(&watch).await.code, 200, "watching its own GpuServer");
    let reported = json!({ "apiVersion": "gepetto.fleet/v1alpha1", "kind": "GpuServer", "metadata": { "name": own.name },
        "status": { "reported": { "nodeUid": "n", "gpus": [] } } });
    let stored = agent.apply(&format!("{server}/status"), "gepetto-agent", &reported).await.expect("writing status.reported");
    assert_eq!(stored["status"]["reported"]["nodeUid"], "n");

    let leases = own.path("/apis/coordination.k8s.io/v1", "leases");
    let lease = json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": "agent" },
        "spec": { "holderIdentity": "a", "leaseDurationSeconds": 40, "renewTime": "2026-01-01T00:00:00.000000Z" } });
    let _ = agent.create(&leases, &lease).await.expect("making its Lease");
    let renewed = json!({ "spec": { "renewTime": "2026-01-01T00:00:10.000000Z" } });
    let _ = agent.merge(&format!("{leases}/agent"), &renewed).await.expect("renewing its Lease");
}

#[tokio::test]
async fn an_agent_holds_the_rights_it_was_granted_and_no_other() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let dir = folder();
    let lab = lab(dir.path());
    let (admin, agent, own, other) = two_servers(&lab).await;

    let resources = resources(&admin).await;
    let namespaces = [own.namespace.as_str(), other.namespace.as_str(), "chutes", "kube-system", "default"];
    let held = rights(&agent, &resources, &namespaces).await;

    let mut wanted = BTreeSet::new();
    for (resource, verbs) in [
        ("gepetto.fleet/chutedeployments", "get list watch"),
        ("gepetto.fleet/chutedeployments/status", "get patch"),
        ("core/secrets", "get"),
        ("coordination.k8s.io/leases", "create"),
    ] {
        wanted.extend(verbs.split(' ').map(|verb| (own.namespace.clone(), resource.to_owned(), verb.to_owned())));
    }
    // Everybody may ask about himself.
    for resource in ["selfsubjectaccessreviews", "selfsubjectrulesreviews"] {
        wanted.insert(("-".to_owned(), format!("authorization.k8s.io/{resource}"), "create".to_owned()));
    }
    wanted.insert(("-".to_owned(), "authentication.k8s.io/selfsubjectreviews".to_owned(), "create".to_owned()));
    let extra: Vec<_> = held.difference(&wanted).collect();
    let missing: Vec<_> = wanted.difference(&held).collect();
    assert!(extra.is_empty() && missing.is_empty(), "may also {extra:?}; may not {missing:?}");

    // Rights to one name do not show in the sweep. The API server lists them.
    for namespace in namespaces {
        let named = named_rules(&agent, namespace).await;
        let expected: &[&str] = match namespace {
            "chutes" => &["gpuservers [a] get list watch", "gpuservers/status [a] get patch"],
            other if other == own.namespace => &["leases [agent] get patch update"],
            _ => &[],
        };
        let expected: BTreeSet<String> = expected.iter().map(|rule| (*rule).to_owned()).collect();
        assert_eq!(named, expected, "in {namespace}");
    }

    for path in ["/metrics", "/logs/", "/debug/pprof/", "/configz", "/flagz"] {
        assert_eq!(agent.get(path).await.code, 403, "{path}");
    }
    assert_eq!(admin.get("/metrics").await.code, 200, "the administrator may");
}

async fn named_rules(agent: &Actor, namespace: &str) -> BTreeSet<String> {
    let ask = json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": { "namespace": namespace } });
    let answer = agent.create("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", &ask).await.expect("its rules");
    assert_eq!(answer["status"]["incomplete"], false);
    let words = |value: &Value| {
        let mut words: Vec<String> = value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        words.sort();
        words.join(" ")
    };
    let rules = answer["status"]["resourceRules"].as_array().cloned().unwrap_or_default();
    assert!(!rules.is_empty(), "everybody has some rules");
    let named = rules.iter().filter(|rule| !words(&rule["resourceNames"]).is_empty());
    named.map(|rule| format!("{} [{}] {}", words(&rule["resources"]), words(&rule["resourceNames"]), words(&rule["verbs"]))).collect()
}

#[tokio::test]
async fn what_would_hurt_others_is_refused_to_an_agent_and_open_to_the_administrator() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let dir = folder();
    let lab = lab(dir.path());
    let (admin, agent, own, other) = two_servers(&lab).await;
    let attempts = confinement::attempts(&own, &other);
    for attempt in &attempts {
        let answer = attempt.by(&agent, false).await;
        assert_eq!(answer.code, 403, "{}: {}", attempt.what, answer.message());
    }
    let victim = "system:admin";
    assert_eq!(agent.get_as(victim, "/api/v1/secrets").await.code, 403, "an agent speaks for nobody else");
    assert_eq!(admin.get_as("system:serviceaccount:chutes:operator", "/api/v1/namespaces").await.code, 200, "the administrator may");
    // The twin: each was refused for who asked, not for what was asked.
    for attempt in &attempts {
        let answer = attempt.by(&admin, true).await;
        assert!(answer.accepted(), "{} by the administrator: {} {}", attempt.what, answer.code, answer.message());
    }
}

#[tokio::test]
async fn of_a_status_an_agent_writes_its_own_part_only() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let dir = folder();
    let lab = lab(dir.path());
    let (admin, agent, own, _) = two_servers(&lab).await;
    let deployment = format!("{}/{}", own.path(FLEET, "chutedeployments"), own.deployment);
    let server = format!("{FLEET}/namespaces/chutes/gpuservers/{}", own.name);
    for (path, kind, part, full) in [
        (deployment, "ChuteDeployment", "workload", confinement::deployment_status()),
        (server, "GpuServer", "reported", confinement::server_status()),
    ] {
        let split = confinement::Split { path: format!("{path}/status"), kind, part, full };
        split.names_every_field();
        split.setting_is_refused(&admin, &agent).await;
        let _ = admin.merge(&split.path, &json!({ "status": split.full })).await.expect("a full status");
        split.changing_and_removing_is_refused(&admin, &agent).await;
        split.its_own_part_is_writable(&agent).await;

        // Nothing but the status goes through the subresource.
        let before = admin.get(&path).await.expect("the object");
        let smuggled = json!({ "metadata": { "labels": { "x": "y" }, "finalizers": ["x/y"], "annotations": { "x": "y" } }, "spec": null });
        let _ = agent.merge(&split.path, &smuggled).await;
        let after = admin.get(&path).await.expect("the object");
        for field in ["labels", "finalizers", "annotations", "ownerReferences"] {
            assert_eq!(after["metadata"][field], before["metadata"][field], "{field}");
        }
        assert_eq!(after["spec"], before["spec"]);
    }
}
