//! Enrolling the agent of a known server again.

use super::world::{Reply, World, hotkey, over};
use crate::{
    fixtures,
    ports::agents::{AgentStatus, EnrolError, EnrolReply},
};
use crd::{conditions, conditions::State};
use protocol::{key::Keypair, sign::fingerprint};
use serde_json::{Value, json};
use std::sync::{Arc, atomic::Ordering};

const API: &str = "http://gpu-1:32000";

fn body(extra: &Value) -> String {
    let mut body = json!({ "name": "gpu-1", "re_enrol": true });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body.to_string()
}

/// An agent on the node of gpu-1 with a new key.
fn wiped(world: &World) -> Keypair {
    let key = Keypair::generate();
    *world.script.agent.lock().unwrap() = Ok(EnrolReply {
        node_key: key.address().to_string(),
        node_name: "gpu-1".into(),
        node_uid: Some("uid-gpu-1".into()),
        gpus: Some(2),
        ..EnrolReply::default()
    });
    key
}

fn pinned(world: &World) -> String {
    world.script.view.lock().unwrap().servers[0].spec.driver.agent.as_ref().unwrap().node_key.to_string()
}

fn changes(world: &World) -> Vec<String> {
    world.script.calls()
}

/// The operator's part: the account is of the pinned key, and its agent reports.
fn operate(world: &World) {
    world.script.edit(|view| {
        fixtures::edit_server(view, |server| {
            let key = server.spec.driver.agent.as_ref().unwrap().node_key.clone();
            let status = server.status.get_or_insert_default();
            status.node_key = Some(key);
            for kind in ["Enrolled", "Ready"] {
                conditions::set(&mut status.conditions, kind, State::True, "AllGood", "", None, fixtures::now());
            }
        });
    });
}

async fn lines(reply: impl Future<Output = Reply>, world: &World) -> Vec<String> {
    let operator = async {
        while !changes(world).iter().any(|call| call.starts_with("event ServerReEnrolled")) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        operate(world);
    };
    let (reply, ()) = tokio::join!(reply, operator);
    assert_eq!(reply.status, 200, "{}", reply.text);
    let message = |event: &str| serde_json::from_str::<Value>(&event[6..]).unwrap()["message"].as_str().unwrap().to_owned();
    reply.text.split("\n\n").filter(|event| !event.is_empty()).map(message).collect()
}

#[tokio::test]
async fn the_new_key_is_pinned_and_shown_and_nothing_else_of_the_server_changes() {
    let world = World::start().await;
    let (old, key) = (pinned(&world), wiped(&world));
    let before = world.script.view.lock().unwrap().clone();
    let body = body(&json!({ "hourly_cost": 2.5, "gpu_short_ref": "h100_sxm" }));
    let lines = lines(world.post("/servers/", &body), &world).await;
    assert_eq!(pinned(&world), key.address().as_str());
    for words in [fingerprint(key.address()), fingerprint(&old.parse().unwrap()), "not touched".to_owned()] {
        assert!(lines[0].contains(&words), "{lines:#?}");
    }
    assert!(lines.last().unwrap().contains("completed server bootstrapping"), "{lines:#?}");
    assert_eq!(
        changes(&world),
        [
            "enrol http://gpu-1:32000 gpu-1 https://control:32443".to_owned(),
            format!("pin gpu-1 {API}"),
            "event ServerReEnrolled gpu-1".to_owned()
        ]
    );
    let after = world.script.view.lock().unwrap().clone();
    assert!(before.deployments.iter().zip(&after.deployments).all(|(before, after)| Arc::ptr_eq(before, after)));
    let mut spec = after.servers[0].spec.clone();
    spec.driver.agent.as_mut().unwrap().node_key = old.parse().unwrap();
    assert_eq!(spec, before.servers[0].spec);
    assert_eq!(before.servers[0].metadata, after.servers[0].metadata);
}

#[tokio::test]
async fn the_old_key_buys_nothing_from_then_on_and_the_new_one_does() {
    let (world, old) = (World::start().await, Keypair::generate());
    let address = old.address().clone();
    world.script.edit(|view| fixtures::edit_server(view, |server| server.spec.driver.agent.as_mut().unwrap().node_key = address));
    let buy = async |key: &Keypair| {
        let body = json!({ "node_key": key.address() }).to_string();
        world.send(world.tls, "POST", "/nodes/gpu-1/token", over(key, &body), Some(&body)).await
    };
    assert_eq!(buy(&old).await.status, 200, "the twin: it was good until now");
    let new = wiped(&world);
    assert_eq!(buy(&new).await.status, 403);
    lines(world.post("/servers/", &body(&json!({}))), &world).await;
    let refused = buy(&old).await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (403, Some("NodeKeyNotPinned")));
    assert_eq!(buy(&new).await.status, 200);
}

#[tokio::test]
async fn only_the_hotkey_enrols_again_and_only_once_with_one_signature() {
    let world = World::start().await;
    let (old, key) = (pinned(&world), wiped(&world));
    let body = body(&json!({}));
    for stranger in [&Keypair::generate(), &key] {
        let reply = world.send(world.plain, "POST", "/servers/", over(stranger, &body), Some(&body)).await;
        assert_eq!(reply.status, 401, "{}", reply.text);
    }
    let other = body.replace("gpu-1", "gpu-2");
    assert_eq!(world.send(world.plain, "POST", "/servers/", over(&hotkey(), &body), Some(&other)).await.status, 401);
    assert_eq!((pinned(&world), changes(&world)), (old.clone(), Vec::new()));
    let headers = over(&hotkey(), &body);
    lines(world.send(world.plain, "POST", "/servers/", headers.clone(), Some(&body)), &world).await;
    // Another agent stands there now: the same request must not pin it too.
    wiped(&world);
    let (pinned_once, before) = (pinned(&world), changes(&world));
    let again = world.send(world.plain, "POST", "/servers/", headers, Some(&body)).await;
    assert_eq!(again.status, 401);
    assert!(again.detail().contains("replayed"));
    assert_eq!((pinned(&world), changes(&world)), (pinned_once, before));
}

#[tokio::test]
async fn refusals_that_pin_nothing_and_tell_the_agent_nothing() {
    let world = World::start().await;
    let (old, key) = (pinned(&world), wiped(&world));
    let look = |node: &str, uid: &str, server: Option<&str>| AgentStatus {
        node_key: key.address().to_string(),
        node_name: node.into(),
        node_uid: Some(uid.into()),
        server: server.map(str::to_owned),
    };
    let good = look("gpu-1", "uid-gpu-1", None);
    for (case, extra, look, status, words) in [
        ("unknown", json!({ "name": "gpu-9" }), &good, 404, "gpu-9"),
        ("another fact", json!({ "hourly_cost": 9 }), &good, 409, "hourly_cost is 2.5, not 9"),
        ("no truth value", json!({ "re_enrol": "yes" }), &good, 422, ""),
        ("another node", json!({}), &look("gpu-7", "uid-gpu-7", None), 409, "the agent runs on node gpu-7"),
        ("a node made anew", json!({}), &look("gpu-1", "uid-new", None), 409, "delete-node"),
        ("an agent at work elsewhere", json!({}), &look("gpu-1", "uid-gpu-1", Some("gpu-5")), 409, "serves server gpu-5"),
    ] {
        *world.script.look.lock().unwrap() = Some(look.clone());
        let reply = world.post("/servers/", &body(&extra)).await;
        assert_eq!(reply.status, status, "{case}: {}", reply.text);
        assert!(reply.text.contains(words), "{case}: {}", reply.text);
    }
    *world.script.look.lock().unwrap() = None;
    *world.script.agent.lock().unwrap() = Err(EnrolError::Unreachable("connection refused".into()));
    assert_eq!(world.post("/servers/", &body(&json!({}))).await.status, 502);
    world.script.ledger_up.store(false, Ordering::SeqCst);
    assert_eq!(world.post("/servers/", &body(&json!({}))).await.status, 503, "without Postgres a repetition could not be told");
    world.script.ledger_up.store(true, Ordering::SeqCst);
    world.script.edit(|view| fixtures::edit_server(view, |server| server.spec.driver.agent = None));
    assert_eq!(world.post("/servers/", &body(&json!({}))).await.status, 400);
    assert!(changes(&world).is_empty(), "{:?}", changes(&world));
    assert_ne!(old, key.address().as_str());
}

#[tokio::test]
async fn a_reply_with_another_key_than_before_and_a_server_re_enrolled_meanwhile_pin_nothing() {
    let world = World::start().await;
    let (old, key) = (pinned(&world), wiped(&world));
    let look = AgentStatus {
        node_key: Keypair::generate().address().to_string(),
        node_name: "gpu-1".into(),
        node_uid: Some("uid-gpu-1".into()),
        server: None,
    };
    *world.script.look.lock().unwrap() = Some(look);
    assert_eq!(world.post("/servers/", &body(&json!({}))).await.status, 502);
    assert_eq!(pinned(&world), old);
    assert!(!changes(&world).iter().any(|call| call.starts_with("pin")));
    assert_ne!(old, key.address().as_str());

    *world.script.look.lock().unwrap() = None;
    let faster = Keypair::generate().address().clone();
    *world.script.meanwhile.lock().unwrap() = Some(faster.clone());
    let reply = world.post("/servers/", &body(&json!({}))).await;
    assert_eq!(reply.status, 409, "{}", reply.text);
    assert_eq!(pinned(&world), faster.as_str());
    assert!(!changes(&world).iter().any(|call| call.starts_with("pin")));
}
