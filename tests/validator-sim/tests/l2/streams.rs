use reqwest::Method;
use serde_json::{Value, json};
use validator_sim::{Config, Fault, FaultMode};

use crate::common::{chute, said, world, world_with};

#[tokio::test]
async fn rows_come_as_data_lines_without_a_content_type() {
    let w = world().await;
    chute(&w.sim, "one", 1, 1);
    chute(&w.sim, "two", 1, 1);
    let response = w.miner.get("/miner/chutes/", "miner").await;
    assert!(response.headers().get("content-type").is_none());
    let text = response.text().await.expect("whole");
    let rows: Vec<Value> = text
        .split_terminator("\n\n")
        .map(|line| serde_json::from_str(line.strip_prefix("data: ").expect("the prefix")).expect("json"))
        .collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["node_selector"]["supported_gpus"], json!(["h100_sxm"]));
    let path = format!("/miner/chutes/{}/{}", rows[0]["chute_id"].as_str().expect("id"), rows[0]["version"].as_str().expect("version"));
    assert_eq!(said(w.miner.get(&path, "miner").await).await.1, rows[0]);
    let (status, body) = said(w.miner.get("/miner/chutes/x/y", "miner").await).await;
    assert_eq!((status, body), (404, json!({"detail": "chute_id='x' not found"})));
}

#[tokio::test]
async fn only_an_empty_instance_list_says_so_and_only_when_asked() {
    let w = world().await;
    for (path, wanted) in [
        ("/miner/instances/?explicit_null=True", "data: NO_ITEMS"),
        ("/miner/instances/", ""),
        ("/miner/nodes/?explicit_null=True", ""),
        ("/miner/chutes/", ""),
        ("/miner/images/", ""),
        ("/miner/jobs/", ""),
        ("/miner/metrics/", ""),
    ] {
        let response = w.miner.get(path, "miner").await;
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.text().await.expect("whole"), wanted, "{path}");
    }
}

#[tokio::test]
async fn a_path_without_its_last_slash_is_sent_there() {
    let w = world().await;
    let response = w.miner.get("/miner/nodes?x=1", "miner").await;
    assert_eq!(response.status().as_u16(), 307);
    assert_eq!(response.headers()["location"], "/miner/nodes/?x=1");
    assert!(w.sim.unexpected().is_empty());
}

#[tokio::test]
async fn stream_faults_bend_the_stream_and_end() {
    let w = world().await;
    for name in ["one", "two", "three"] {
        chute(&w.sim, name, 1, 1);
    }
    let rows = |text: &str| text.matches("data: {").count();

    w.sim.fault(Fault::times("/miner/chutes/", FaultMode::EmptyStream, 1));
    assert_eq!(w.miner.get("/miner/chutes/", "miner").await.text().await.expect("whole"), "");
    w.sim.fault(Fault::times("/miner/chutes/", FaultMode::PartialStream(2), 1));
    assert_eq!(rows(&w.miner.get("/miner/chutes/", "miner").await.text().await.expect("whole")), 2);
    w.sim.fault(Fault::times("/miner/chutes/", FaultMode::CutStream(1), 1));
    let mut cut = w.miner.get("/miner/chutes/", "miner").await;
    let first = cut.chunk().await.expect("the first row arrives").expect("a row");
    assert_eq!(rows(&String::from_utf8_lossy(&first)), 1);
    assert!(cut.chunk().await.is_err(), "then the connection breaks");
    w.sim.fault(Fault::times("/miner/chutes/", FaultMode::PartialJson, 1));
    let half = w.miner.get("/miner/chutes/", "miner").await.text().await.expect("whole");
    assert!(rows(&half) < 3 && !half.ends_with("\n\n"));
    assert_eq!(rows(&w.miner.get("/miner/chutes/", "miner").await.text().await.expect("whole")), 3, "the faults are used up");
}

#[tokio::test]
async fn faults_of_status_and_connection() {
    let w = world().await;
    let id = chute(&w.sim, "one", 1, 5);
    let headers = |purpose: &str| w.miner.headers(purpose, &crate::common::now().to_string());
    let path = format!("/instances/launch_config?chute_id={id}");
    let ask = async || {
        let mut request = crate::common::client().get(format!("{}{path}", w.sim.url()));
        for (name, value) in headers("launch") {
            request = request.header(name, value);
        }
        request.send().await
    };
    w.sim.fault(Fault::times("/instances/launch_config", FaultMode::Status(503), 1));
    assert_eq!(ask().await.expect("an answer").status().as_u16(), 503);
    w.sim.fault(Fault::times("/instances/launch_config", FaultMode::DropConnection, 1));
    assert!(ask().await.is_err());
    assert_eq!(w.sim.counters().launches.granted, 0, "nothing was done");
    w.sim.fault(Fault::times("/instances/launch_config", FaultMode::DropAnswer, 1));
    assert!(ask().await.is_err());
    assert_eq!(w.sim.counters().launches.granted, 1, "it was done, and the answer was lost");
    w.sim.fault(Fault::forever("/instances/", FaultMode::Status(500)).on("DELETE"));
    assert_eq!(ask().await.expect("an answer").status().as_u16(), 200, "the fault is for another method");
    w.sim.clear_faults();
    let log = w.sim.requests();
    assert_eq!(log.iter().map(|r| r.status).collect::<Vec<_>>(), [503, 0, 0, 200]);
    assert_eq!(log[1].fault.as_deref(), Some("DropConnection"));
    assert_eq!(log[3].signer.as_deref(), Some(w.miner.address()));
}

#[tokio::test]
async fn the_old_inventory_wants_a_hotkey_and_the_new_one_a_signature() {
    let w = world().await;
    let only_hotkey = [("X-Chutes-Hotkey", w.miner.address().to_owned())];
    assert_eq!(w.miner.raw(Method::GET, "/miner/inventory", &only_hotkey, None).await.status().as_u16(), 200);
    let new = world_with(Config { profile: validator_sim::Profile::Mar26, ..Config::relaxed() }).await;
    assert_eq!(new.miner.raw(Method::GET, "/miner/inventory", &only_hotkey, None).await.status().as_u16(), 401);
    assert_eq!(new.miner.get("/miner/inventory", "miner").await.status().as_u16(), 200);
}

#[tokio::test]
async fn the_registry_answers_with_the_repr_of_bytes() {
    let w = world().await;
    let response = w.miner.get("/registry/auth", "registry").await;
    assert!(response.headers()["authorization"].to_str().expect("text").starts_with("Basic b'"));
    assert_eq!(said(response).await.1, json!({"authenticated": true}));
}
