//! Servers that are nodes of the control cluster: what their agents may run there.

#![allow(clippy::unwrap_used, reason = "a test")]

mod shared;

use custom_resources::{Actor, Answer, Server, eventually, folder, lab};
use kubelab::{Lab, Level, level_or_skip};
use serde_json::{Value, json};
use shared::{change, job_changes, rendered, service_changes};

async fn server_with_agent(lab: &Lab) -> (Actor, Actor, Server) {
    let admin = Actor::admin(lab).await;
    let server = Server::provision(&admin, "a", true).await;
    let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "node-a" } });
    let _ = admin.create("/api/v1/nodes", &node).await.expect("a node");
    let agent = server.agent(lab).await;
    let jobs = format!("{}?dryRun=All", server.path("/apis/batch/v1", "jobs"));
    let services = format!("{}?dryRun=All", server.path("/api/v1", "services"));
    let (job, service) = rendered(&server);
    let mut privileged = job.clone();
    change(&mut privileged, "/spec/template/spec/hostNetwork", json!(true));
    let mut balanced = service.clone();
    change(&mut balanced, "/spec/type", json!("LoadBalancer"));
    eventually("the agent's role is in force", || async { agent.create(&jobs, &job).await.accepted() }).await;
    eventually("the Job policy is in force", || async { agent.create(&jobs, &privileged).await.code == 422 }).await;
    eventually("the Service policy is in force", || async { agent.create(&services, &balanced).await.code == 422 }).await;
    (admin, agent, server)
}

fn assert_refused(answer: &Answer, what: &str, message: &str) {
    assert_eq!(answer.code, 422, "{what}: {}", answer.body);
    assert!(answer.message().contains(message), "{what}: {}", answer.message());
}

#[tokio::test]
async fn an_agent_runs_what_the_renderer_makes_and_nothing_that_reaches_beyond_its_node() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let dir = folder();
    let lab = lab(dir.path());
    let (admin, agent, server) = server_with_agent(&lab).await;
    let (job, service) = rendered(&server);
    let jobs = server.path("/apis/batch/v1", "jobs");
    let pods = server.path("/api/v1", "pods");

    for (pointer, value, message) in job_changes() {
        let mut changed = job.clone();
        change(&mut changed, pointer, value.clone());
        let what = format!("{pointer} = {value}");
        assert_refused(&agent.create(&jobs, &changed).await, &what, message);
        // Nor as a pod, by whomever: the policy looks at the namespace.
        if let Some(spec) = changed["spec"].get("template").filter(|_| pointer.starts_with("/spec/template")) {
            let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "x" }, "spec": spec["spec"] });
            assert_refused(&admin.create(&format!("{pods}?dryRun=All"), &pod).await, &what, message);
        }
    }
    for (pointer, value, message) in service_changes() {
        let mut changed = service.clone();
        change(&mut changed, pointer, value.clone());
        assert_refused(&agent.create(&server.path("/api/v1", "services"), &changed).await, &format!("{pointer} = {value}"), message);
    }

    // The twin: as rendered, both are accepted, and the Job's pod too.
    let _ = agent.create(&server.path("/api/v1", "services"), &service).await.expect("the Service");
    let made = agent.create(&jobs, &job).await.expect("the Job");
    eventually("the Job's pod is admitted", || async { first_pod(&agent, &pods).await.is_some() }).await;

    let pod = first_pod(&agent, &pods).await.unwrap();
    ephemeral_containers(&admin, &pods, &pod).await;
    // Of pods it deletes what outlived its Job; it makes and changes none.
    let _ = agent.delete(&format!("{pods}/{pod}?dryRun=All")).await.expect("deleting its pod");
    let image = json!({ "spec": { "containers": [{ "name": "c", "image": "example/other:1" }] } });
    assert_eq!(agent.merge(&format!("{pods}/{pod}"), &image).await.code, 403, "changing a pod");
    let own = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "x" }, "spec": job["spec"]["template"]["spec"] });
    assert_eq!(agent.create(&pods, &own).await.code, 403, "making a pod without a Job");
    let _ = admin.create(&format!("{pods}?dryRun=All"), &own).await.expect("the same pod by the administrator");
    let path = format!("{jobs}/{}?propagationPolicy=Foreground", made["metadata"]["name"].as_str().unwrap());
    let _ = agent.delete(&path).await.expect("deleting its Job");

    // Elsewhere the policies say nothing.
    let mut elsewhere = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "x" }, "spec": job["spec"]["template"]["spec"] });
    change(&mut elsewhere, "/spec/hostNetwork", json!(true));
    let _ = admin.create("/api/v1/namespaces/default/pods?dryRun=All", &elsewhere).await.expect("a pod of somebody else");
}

async fn first_pod(agent: &Actor, pods: &str) -> Option<String> {
    let list = agent.get(pods).await.expect("its pods");
    list["items"][0]["metadata"]["name"].as_str().map(str::to_owned)
}

async fn ephemeral_containers(admin: &Actor, pods: &str, pod: &str) {
    let path = format!("{pods}/{pod}/ephemeralcontainers?dryRun=All");
    let with = |context: Value| {
        let debugger = json!({ "name": "debug", "image": "example/debug:1", "securityContext": context });
        json!({ "spec": { "ephemeralContainers": [debugger] } })
    };
    let answer = admin.merge(&path, &with(json!({ "privileged": true }))).await;
    assert_refused(&answer, "a privileged debugger", "may not be privileged");
    let _ = admin.merge(&path, &with(json!({ "runAsUser": 1000 }))).await.expect("a debugger that is no more than the chute");
}

#[tokio::test]
async fn jobs_are_pinned_by_the_namespace_they_are_in() {
    if !level_or_skip(Level::L3) {
        return;
    }
    let dir = folder();
    let lab = lab(dir.path());
    let (admin, agent, server) = server_with_agent(&lab).await;
    let other = Server::provision(&admin, "b", true).await;
    let (job, _) = rendered(&server);

    // In another's namespace the agent may nothing, and even an administrator no Job that names the wrong node.
    let mut theirs = job.clone();
    change(&mut theirs, "/metadata/namespace", json!(other.namespace));
    let there = other.path("/apis/batch/v1", "jobs");
    assert_eq!(agent.create(&there, &theirs).await.code, 403);
    assert_refused(&admin.create(&there, &theirs).await, "node-a in b's namespace", "must name that server's own node, node-b");
    change(&mut theirs, "/spec/template/spec/nodeName", json!("node-b"));
    let _ = admin.create(&format!("{there}?dryRun=All"), &theirs).await.expect("node-b in b's namespace");

    // A namespace whose annotation is lost admits nothing.
    let lost = json!({ "metadata": { "annotations": { crd::annotations::NODE_NAME: null } } });
    let _ = admin.merge(&format!("/api/v1/namespaces/{}", server.namespace), &lost).await.expect("losing it");
    let here = format!("{}?dryRun=All", server.path("/apis/batch/v1", "jobs"));
    eventually("a Job is refused", || async { agent.create(&here, &job).await.code == 422 }).await;
}
