//! Adding a server.

use super::world::World;
use crate::{
    fixtures::{self, KEY},
    ports::{
        agents::{AgentStatus, EnrolError, EnrolReply},
        fleet::FleetError,
    },
};
use crd::{conditions, conditions::State};
use futures::StreamExt as _;
use serde_json::{Value, json};
use std::sync::Arc;

fn body(name: &str, extra: &Value) -> String {
    let mut body =
        json!({ "name": name, "validator": KEY, "hourly_cost": 2.5, "gpu_short_ref": "h100_sxm", "agent_api": "http://10.0.0.2:32000" });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body.to_string()
}

#[tokio::test]
async fn refusals_before_the_stream() {
    let world = World::start().await;
    let stranger = protocol::key::Keypair::generate().address().to_string();
    for (case, name, extra, status, words) in [
        ("duplicate", "gpu-1", json!({}), 409, "Server with name=gpu-1 is already provisioned!"),
        ("what to do with a wiped agent", "gpu-1", json!({}), 409, "chutes-miner add-node --name gpu-1 --re-enrol"),
        ("no agent", "gpu-2", json!({ "agent_api": null }), 400, "agent_api is required:"),
        ("an agent that serves another", "gpu-2", json!({ "agent_api": "http://gpu-1:32000/" }), 409, "serves server gpu-1"),
        ("unknown validator", "gpu-2", json!({ "validator": stranger }), 400, "is not known here"),
        ("unsupported GPU", "gpu-2", json!({ "gpu_short_ref": "4090" }), 400, "4090 is not supported by validator"),
        ("another node", "gpu-2", json!({ "node_name": "gpu-7" }), 400, "the agent runs on node gpu-2"),
        ("another count", "gpu-2", json!({ "gpu_count": 8 }), 400, "counts 2 GPUs, not 8"),
    ] {
        let reply = world.post("/servers/", &body(name, &extra)).await;
        assert_eq!(reply.status, status, "{case}: {}", reply.text);
        assert!(reply.detail().contains(words), "{case}: {}", reply.text);
    }
    assert!(!world.script.calls().iter().any(|call| call.starts_with("create")));
}

#[tokio::test]
async fn an_agent_that_does_not_answer_is_502_and_a_validator_that_does_not_500() {
    let world = World::start().await;
    *world.script.agent.lock().unwrap() = Err(EnrolError::Unreachable("connection refused".into()));
    let reply = world.post("/servers/", &body("gpu-2", &json!({}))).await;
    assert_eq!(reply.status, 502);
    assert!(reply.detail().contains("http://10.0.0.2:32000") && reply.detail().contains("connection refused"));
    *world.script.agent.lock().unwrap() = Ok(EnrolReply { node_key: "nonsense".into(), gpus: Some(2), ..EnrolReply::default() });
    assert_eq!(world.post("/servers/", &body("gpu-2", &json!({}))).await.status, 502);
    *world.script.supported.lock().unwrap() = Err("timed out".into());
    let reply = world.post("/servers/", &body("gpu-2", &json!({}))).await;
    assert_eq!((reply.status, reply.detail().as_str()), (500, "Error fetching validator's supported GPUs to check short ref: timed out"));
    assert!(!world.script.calls().iter().any(|call| call.starts_with("create")));
}

#[tokio::test]
async fn the_agent_hears_nothing_until_everything_here_was_checked() {
    let world = World::start().await;
    world.post("/servers/", &body("gpu-1", &json!({}))).await;
    world.post("/servers/", &body("gpu-2", &json!({ "gpu_short_ref": "4090" }))).await;
    assert!(world.script.calls().is_empty(), "{:?}", world.script.calls());
}

#[tokio::test]
async fn the_stream_follows_the_conditions_and_ends_with_the_success_marker() {
    let world = World::start().await;
    let body = body("gpu-2", &json!({}));
    let request = super::world::over(&super::world::hotkey(), &body).into_iter().fold(
        world.http.post(format!("http://{}/servers/", world.plain)).header("content-type", "application/json"),
        |request, (name, value)| request.header(name, value),
    );
    let answer = request.body(body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers().get("content-type").is_none(), "the existing miner sends none");
    let mut stream = answer.bytes_stream();
    let mut text = String::new();
    while text.matches("data: ").count() < 2 {
        text.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
    }
    world.script.edit(|view| {
        let one = Arc::make_mut(view.servers.iter_mut().find(|one| one.metadata.name.as_deref() == Some("gpu-2")).unwrap());
        let status = one.status.get_or_insert_default();
        for kind in ["Provisioned", "Enrolled", "Inventoried", "Advertised", "Verified", "Ready"] {
            conditions::set(&mut status.conditions, kind, State::True, "Done", "", None, fixtures::now());
        }
    });
    while let Some(chunk) = stream.next().await {
        text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
    }
    let messages: Vec<String> = text
        .split("\n\n")
        .filter(|event| !event.is_empty())
        .map(|event| serde_json::from_str::<Value>(&event[6..]).unwrap()["message"].as_str().unwrap().to_owned())
        .collect();
    for (message, fragment) in messages.iter().zip([
        "attempting to add node",
        "now tracked in database",
        "namespace",
        "Started monitoring",
        "discovered 2 GPUs",
        "Verifying server",
        "successfully verif",
        "completed server bootstrapping",
    ]) {
        assert!(message.contains(fragment), "{message} lacks {fragment}");
    }
    assert_eq!(messages.len(), 8, "{messages:#?}");
    assert_eq!(
        world.script.calls(),
        ["enrol http://10.0.0.2:32000 gpu-2 https://control:32443", "create gpu-2", "event ServerAdded gpu-2"]
    );
    assert_eq!(world.script.orders.lock().unwrap()[0].node_key, KEY, "the order is for the agent that was looked at");
}

#[tokio::test]
async fn an_order_that_another_agent_answers_adds_nothing() {
    let world = World::start().await;
    let other = protocol::key::Keypair::generate().address().to_string();
    *world.script.look.lock().unwrap() = Some(AgentStatus { node_key: other.clone(), ..AgentStatus::default() });
    let reply = world.post("/servers/", &body("gpu-2", &json!({}))).await;
    assert_eq!(reply.status, 502);
    assert!(reply.detail().contains("two different node keys"), "{}", reply.text);
    assert_eq!(world.script.orders.lock().unwrap()[0].node_key, other);
    assert!(!world.script.calls().iter().any(|call| call.starts_with("create")));
}

fn remote() -> Value {
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"server": "https://203.0.113.9:6443", "certificate-authority-data": "Q0E="}}],
        "users": [{"name": "it", "user": {"token": "s3cret"}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    });
    let kubeconfig = kubeconfig.to_string();
    json!({ "agent_api": null, "driver": "remote", "kubeconfig": kubeconfig, "gpu_count": 8, "address": "203.0.113.9" })
}

#[tokio::test]
async fn a_remote_server_that_is_refused_leaves_no_kubeconfig_behind() {
    for (refusal, status) in
        [(FleetError::Exists, 409), (FleetError::Refused("spec.address: no".into()), 400), (FleetError::Away("timed out".into()), 503)]
    {
        let world = World::start().await;
        world.script.failing.lock().unwrap().insert("create", refusal);
        assert_eq!(world.post("/servers/", &body("gpu-2", &remote())).await.status, status);
        assert_eq!(world.script.calls(), ["create gpu-2"], "no namespace, no Secret");
    }
}

#[tokio::test]
async fn a_remote_server_whose_kubeconfig_cannot_be_kept_is_taken_back() {
    for (step, calls) in [("namespace", &["namespace gpu-2"][..]), ("kubeconfig", &["namespace gpu-2", "kubeconfig gpu-2"])] {
        let world = World::start().await;
        world.script.failing.lock().unwrap().insert(step, FleetError::Away("timed out".into()));
        let reply = world.post("/servers/", &body("gpu-2", &remote())).await;
        assert_eq!((reply.status, reply.detail().contains("delete-node")), (503, false), "{}", reply.text);
        assert_eq!(world.script.calls(), [&["create gpu-2"], calls, &["delete gpu-2 lost=false"]].concat());

        let world = World::start().await;
        world.script.failing.lock().unwrap().extend(["delete", step].map(|call| (call, FleetError::Away("timed out".into()))));
        let reply = world.post("/servers/", &body("gpu-2", &remote())).await;
        assert!(reply.detail().contains("chutes-miner delete-node --name gpu-2"), "{}", reply.text);
    }
}

#[tokio::test]
async fn a_remote_server_keeps_its_kubeconfig_as_a_secret_and_asks_no_agent() {
    let world = World::start().await;
    let body = body("gpu-2", &remote());
    let request = super::world::over(&super::world::hotkey(), &body).into_iter().fold(
        world.http.post(format!("http://{}/servers/", world.plain)).header("content-type", "application/json"),
        |request, (name, value)| request.header(name, value),
    );
    let mut answer = request.body(body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let first = answer.chunk().await.unwrap().unwrap();
    assert!(!String::from_utf8_lossy(&first).contains("s3cret"));
    // Hanging up harms nothing.
    drop(answer);
    assert_eq!(world.script.calls(), ["create gpu-2", "namespace gpu-2", "kubeconfig gpu-2", "event ServerAdded gpu-2"]);
    let server = world.script.view.lock().unwrap().servers[1].clone();
    assert_eq!(server.spec.driver.remote.as_ref().unwrap().kubeconfig_secret_ref.name, "kubeconfig");
    assert!(!world.signed("GET", "/servers/").await.text.contains("s3cret"));
}
