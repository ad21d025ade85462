//! The program against a real Kubernetes, Postgres and Redis, and the validator simulator: what the scripted ports cannot show.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "real_cluster/world.rs"]
mod world;

use protocol::key::Keypair;
use serde_json::{Value, json};
use std::time::Duration;
use validator_sim::{Fault, FaultMode};
use world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_on_a_real_cluster() {
    if !kubelab::level_or_skip(kubelab::Level::L3) {
        return;
    }
    let world = World::start().await;
    chutes_follow_the_validator_and_a_settled_link_writes_nothing(&world).await;
    blind_spots_withdraw_nothing_and_a_confirmed_absence_does(&world).await;
    an_agents_token_opens_its_own_namespace(&world).await;
    locking_keeps_the_holds_of_others(&world).await;
    a_confirmed_deletion_leaves_the_rest_to_the_operators_finalizer(&world).await;
}

async fn chutes_follow_the_validator_and_a_settled_link_writes_nothing(world: &World) {
    world
        .until("both chutes are listed and the link is up", || {
            let chutes = world.names("chutes");
            let link = world.kubectl(&["-n", "chutes", "get", "validator", "sim", "-o", "jsonpath={.status.conditions[*].status}"]);
            chutes.len() == 2 && link == "True True"
        })
        .await;
    let writes = world.our_writes();
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(world.our_writes(), writes, "two more lists came in and nothing changed");
    // The twin: a new chute does lead to a write.
    world.validator.create_chute(validator_sim::ChuteSpec { name: "third".into(), ..Default::default() }).unwrap();
    world.until("the new chute is there", || world.names("chutes").len() == 3).await;
}

async fn blind_spots_withdraw_nothing_and_a_confirmed_absence_does(world: &World) {
    let listing = || world.kubectl(&["-n", "chutes", "get", "chutes", "-o", "jsonpath={.items[*].spec.listing}"]);
    for mode in [FaultMode::EmptyStream, FaultMode::CutStream(1), FaultMode::Status(500)] {
        let before = world.lists();
        world.validator.fault(Fault::forever("/miner/chutes/", mode));
        world.until("four bad lists were read", || world.lists() >= before + 4).await;
        world.validator.clear_faults();
    }
    assert_eq!(listing(), "Listed Listed Listed");
    world.validator.delete_chute("third").unwrap();
    world.until("it is withdrawn", || listing().contains("Withdrawn")).await;
    assert_eq!(listing().matches("Listed").count(), 2);
}

async fn an_agents_token_opens_its_own_namespace(world: &World) {
    let node = Keypair::generate();
    world.add_server("gpu-1", node.address().as_str());
    for object in [
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "chutes-node-gpu-1" } }),
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "agent", "namespace": "chutes-node-gpu-1" } }),
    ] {
        world.lab.apply(&object).unwrap();
    }
    let body = json!({ "node_key": node.address() }).to_string();
    let mut early = 0;
    for _ in 0..50 {
        // 403 until the watch has seen the new server.
        early = world.post(&node, "/nodes/gpu-1/token", &body).await.0;
        if early != 403 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(early, 503, "no token before the operator says that the account is made for this key");
    // As the operator does once the account is made for this key.
    let made = json!({ "status": { "nodeKey": node.address() } }).to_string();
    world.kubectl(&["-n", "chutes", "patch", "gpuserver", "gpu-1", "--subresource=status", "--type=merge", "-p", &made]);
    let mut answer = (0, Value::Null);
    for _ in 0..50 {
        answer = world.post(&node, "/nodes/gpu-1/token", &body).await;
        if answer.0 != 503 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(answer.0, 200, "{}", answer.1);
    let text = |key: &str| answer.1[key].as_str().unwrap().to_owned();
    assert_eq!(text("namespace"), "chutes-node-gpu-1");
    // The token, the URL and the authority together are enough to be known as that agent.
    let authority = reqwest::Certificate::from_pem_bundle(text("ca_pem").as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only(authority).no_proxy().build().unwrap();
    let review = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" });
    let url = format!("{}/apis/authentication.k8s.io/v1/selfsubjectreviews", text("api_server"));
    let who: Value = client.post(url).bearer_auth(text("token")).json(&review).send().await.unwrap().json().await.unwrap();
    assert_eq!(who["status"]["userInfo"]["username"], "system:serviceaccount:chutes-node-gpu-1:agent", "{who}");
    assert_eq!(world.post(&Keypair::generate(), "/nodes/gpu-1/token", &body).await.0, 401);
}

async fn locking_keeps_the_holds_of_others(world: &World) {
    let hold = json!({ "spec": { "holds": [{ "owner": "health", "reason": "hot" }] } }).to_string();
    world.kubectl(&["-n", "chutes", "patch", "gpuserver", "gpu-1", "--type=merge", "-p", &hold]);
    let owners = || world.kubectl(&["-n", "chutes", "get", "gpuserver", "gpu-1", "-o", "jsonpath={.spec.holds[*].owner}"]);
    assert_eq!(world.signed("GET", "/servers/gpu-1/lock").await.0, 200);
    assert_eq!(owners(), "health person");
    world.eventually_locked("gpu-1", true).await;
    assert_eq!(world.signed("GET", "/servers/gpu-1/unlock").await.0, 200);
    assert_eq!(owners(), "health");
    // At once, before any cache can have heard of it.
    world.signed("GET", "/servers/gpu-1/lock").await;
    world.signed("GET", "/servers/gpu-1/unlock").await;
    assert_eq!(owners(), "health");
}

async fn a_confirmed_deletion_leaves_the_rest_to_the_operators_finalizer(world: &World) {
    let finalizer = json!({ "metadata": { "finalizers": ["gepetto.fleet/operator"] } }).to_string();
    world.kubectl(&["-n", "chutes", "patch", "gpuserver", "gpu-1", "--type=merge", "-p", &finalizer]);
    let (status, answer) = world.signed("DELETE", "/servers/gpu-1?confirm=gpu-1&lost=true").await;
    assert_eq!((status, &answer["status"]), (200, &json!("started")));
    let found: Value = serde_json::from_str(&world.kubectl(&["-n", "chutes", "get", "gpuserver", "gpu-1", "-o", "json"])).unwrap();
    let marks = &found["metadata"]["annotations"];
    assert_eq!((&marks["gepetto.fleet/confirm-delete"], &marks["gepetto.fleet/lost"]), (&json!("gpu-1"), &json!("true")));
    assert!(found["metadata"]["deletionTimestamp"].is_string());
}
