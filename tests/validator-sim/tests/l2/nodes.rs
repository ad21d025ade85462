use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use validator_sim::Config;

use crate::common::{HOST, h100, said, uuid, world, world_with};

fn advert(nodes: Vec<Value>) -> Value {
    json!({"server_id": "server-1", "nodes": nodes})
}

#[tokio::test]
async fn an_advert_returns_rows_with_one_seed_and_a_task_of_the_caller() {
    let w = world().await;
    let nodes = vec![h100(&uuid('a'), 0), h100(&uuid('b'), 1)];
    let (status, body) = said(w.miner.post("/nodes/", &advert(nodes)).await).await;
    assert_eq!(status, 202, "{body}");
    assert_eq!(body["nodes"][0]["seed"], body["nodes"][1]["seed"]);
    assert!(body["nodes"][0]["seed"].as_i64().expect("a number") > 0);
    assert_eq!(body["nodes"][0]["verified_at"], Value::Null);
    assert!(body["task_id"].as_str().expect("text").starts_with(&format!("{}::", w.miner.address())));
}

#[tokio::test]
async fn each_wrong_parameter_is_refused() {
    let w = world_with(Config { allow_private_hosts: false, ..Config::relaxed() }).await;
    let changes: [(&str, Value); 12] = [
        ("name", json!("NVIDIA H100 PCIe")),
        ("name", json!("Tesla T4")),
        ("gpu_identifier", json!("h200")),
        ("memory", json!(78_000_000_000_u64)),
        ("memory", json!(88_000_000_000_u64)),
        ("processors", json!(114)),
        ("clock_rate", json!(1_500_000.0)),
        ("clock_rate", json!(2_200_000.0)),
        ("verification_port", json!(79)),
        ("verification_host", json!("10.0.0.1")),
        ("device_index", json!(10)),
        ("uuid", json!("GPU-aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa")),
    ];
    for (key, value) in changes {
        let mut node = h100(&uuid('a'), 0);
        node[key] = value.clone();
        let (status, body) = said(w.miner.post("/nodes/", &advert(vec![node])).await).await;
        assert_eq!(status, 400, "{key} = {value}: {body}");
    }
    let (status, body) = said(w.miner.post("/nodes/", &advert(vec![h100(&uuid('a'), 0)])).await).await;
    assert_eq!(status, 202, "the unchanged one is accepted: {body}");
}

#[tokio::test]
async fn a_body_of_the_wrong_shape_is_422_and_noticed() {
    let w = world().await;
    let mut node = h100(&uuid('a'), 0);
    node["memory"] = json!("much");
    assert_eq!(w.miner.post("/nodes/", &advert(vec![node])).await.status().as_u16(), 422);
    assert_eq!(w.sim.unexpected()[0].kind, "malformed");
}

#[tokio::test]
async fn too_many_gpus_and_known_gpus_are_refused() {
    let w = world().await;
    let eleven: Vec<Value> = (0..11).map(|i| h100(&format!("{i:032x}"), 0)).collect();
    assert_eq!(w.miner.post("/nodes/", &advert(eleven)).await.status().as_u16(), 400);
    w.miner.add_gpus(&[&uuid('a')]).await;
    assert_eq!(w.miner.post("/nodes/", &advert(vec![h100(&uuid('a'), 0)])).await.status().as_u16(), 409);
    let other = w.miner.other(2);
    w.sim.register_miner(other.address());
    assert_eq!(other.post("/nodes/", &advert(vec![h100(&uuid('a'), 0)])).await.status().as_u16(), 409);
}

#[tokio::test]
async fn a_gpu_is_pending_until_its_time_has_come() {
    let w = world_with(Config { node_verify: Duration::from_secs(3600), ..Config::relaxed() }).await;
    let (_, body) = said(w.miner.post("/nodes/", &advert(vec![h100(&uuid('a'), 0)])).await).await;
    let path = format!("/nodes/verification_status?task_id={}", body["task_id"].as_str().expect("a task"));
    let (status, body) = said(w.miner.get(&path, "graval").await).await;
    assert_eq!((status, body), (200, json!({"status": "pending"})));
    w.sim.advance(Duration::from_secs(3601));
    assert_eq!(w.sim.events().last().expect("an event")["reason"], "gpu_verified", "the event comes before the poll sees it");
    // Nonces stay good: the clock moved by more than their window, so sign for the simulator's time.
    w.sim.advance(Duration::from_secs(1));
    let ahead = (crate::common::now() + 3602).to_string();
    let (_, body) = said(w.miner.raw(Method::GET, &path, &w.miner.headers("graval", &ahead), None).await).await;
    assert_eq!(body, json!({"status": "verified"}));
}

#[tokio::test]
async fn a_failed_check_says_why() {
    let w = world().await;
    w.sim.fail_next_check("too slow");
    let (_, body) = said(w.miner.post("/nodes/", &advert(vec![h100(&uuid('a'), 0)])).await).await;
    let path = format!("/nodes/verification_status?task_id={}", body["task_id"].as_str().expect("a task"));
    w.sim.advance(Duration::from_secs(2));
    w.sim.advance(Duration::from_secs(2));
    let (_, body) = said(w.miner.get(&path, "graval").await).await;
    assert_eq!(body, json!({"status": "failed", "detail": "too slow"}));
    assert_eq!(w.sim.snapshot().nodes[0]["verification_error"], "too slow");
}

#[tokio::test]
async fn nobody_polls_or_deletes_for_another() {
    let w = world().await;
    w.miner.add_gpus(&[&uuid('a')]).await;
    let other = w.miner.other(2);
    w.sim.register_miner(other.address());
    let (status, body) = said(other.get(&format!("/nodes/verification_status?task_id={}::x", w.miner.address()), "graval").await).await;
    assert_eq!((status, body), (401, json!({"detail": "go away"})));
    let path = format!("/nodes/{}", uuid('a'));
    assert_eq!(other.delete(&path, "nodes").await.status().as_u16(), 404);
    let (status, body) = said(w.miner.delete(&path, "nodes").await).await;
    assert_eq!((status, body), (200, json!({"node_id": uuid('a'), "deleted": true})));
    assert_eq!(w.miner.delete(&path, "nodes").await.status().as_u16(), 404);
}

#[tokio::test]
async fn a_tee_server_is_registered_listed_and_removed_with_its_gpus() {
    let w = world().await;
    let mut gpu = h100(&uuid('c'), 0);
    for key in ["processors", "max_threads_per_processor"] {
        gpu.as_object_mut().expect("an object").remove(key);
    }
    let body = json!({"host": HOST, "id": "uid-1", "name": "tee-0", "gpus": [gpu]});
    let (status, reply) = said(w.miner.post("/servers/", &body).await).await;
    assert_eq!((status, reply), (201, json!({"message": "Server registered successfully."})));
    assert_eq!(w.miner.post("/servers/", &body).await.status().as_u16(), 409);
    let (_, listing) = said(w.miner.get("/miner/servers/", "miner").await).await;
    assert_eq!(listing["servers"][0]["gpus"][0]["uuid"], uuid('c'));
    let (status, row) = said(w.miner.get("/servers/uid-1", "tee").await).await;
    assert_eq!((status, row["name"].as_str()), (200, Some("tee-0")));
    let (_, reply) = said(w.miner.delete("/servers/tee-0", "tee").await).await;
    assert_eq!(reply, json!({"name": "tee-0", "message": "Server removed successfully"}));
    assert!(w.sim.snapshot().nodes.is_empty());
}

#[tokio::test]
async fn a_tee_callback_that_nobody_answers_refuses_the_server() {
    let w = world_with(Config { tee_callback: true, ..Config::relaxed() }).await;
    let body = json!({"host": "127.0.0.1", "id": "uid-1", "name": "tee-0", "gpus": []});
    let (status, reply) = said(w.miner.post("/servers/", &body).await).await;
    assert_eq!(status, 400);
    assert!(reply["detail"].as_str().expect("text").starts_with("Server registration failed - "), "{reply}");
}
