use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use validator_sim::{ChuteSpec, Config, LaunchState, Profile};

use crate::common::{HOST, chute, claim, proof, said, uuid, world, world_with};

#[tokio::test]
async fn a_launch_goes_from_grant_to_active_and_back() {
    let w = world().await;
    let id = chute(&w.sim, "demo", 1, 1);
    let gpu = uuid('a');
    w.miner.add_gpus(&[&gpu]).await;
    let (status, config, token) = w.miner.launch(&id).await;
    assert_eq!(status, 200);
    let path = format!("/instances/launch_config/{config}");
    assert_eq!(w.miner.with_token(Method::GET, &format!("{path}/activate"), &token, None).await.0, 403, "not before the proof");
    let (status, claimed) = w.miner.bring_up(&config, &token, claim(&[&gpu], 31000)).await;
    assert_eq!(status, 200, "{claimed}");
    assert_eq!(claimed["iterations"], 5);

    let reasons: Vec<String> = w.sim.events().iter().map(|e| e["reason"].as_str().expect("text").to_owned()).collect();
    assert_eq!(reasons, ["chute_created", "gpu_verified", "instance_created", "instance_verified", "instance_activated"]);
    let state = w.sim.snapshot();
    assert_eq!(state.active("demo"), 1);
    assert_eq!(state.launches[0].state, LaunchState::Active);
    assert_eq!(state.instances[0].deployment.as_deref(), Some("7b0f1a52-5c0e-4d3e-9d55-111111111111"));
    let (_, inventory) = said(w.miner.get("/miner/inventory", "miner").await).await;
    assert_eq!(inventory[0]["gpu_id"], gpu);

    let instance = state.instances[0].instance_id.clone();
    let (status, body) = said(w.miner.delete(&format!("/instances/{id}/{instance}"), "instances").await).await;
    assert_eq!((status, body), (200, json!({"instance_id": instance, "deleted": true})));
    assert_eq!(w.miner.delete(&format!("/instances/{id}/{instance}"), "instances").await.status().as_u16(), 404);
    let ended = w.sim.snapshot().ended;
    assert_eq!(ended[0].deletion_reason.as_deref(), Some("miner initialized"));
    assert_eq!(w.sim.snapshot().nodes[0]["instance_id"], Value::Null);
    let counters = w.sim.counters();
    assert_eq!((counters.launches.granted, counters.launches.claimed, counters.launches.abandoned), (1, 1, 0));
    assert_eq!(counters.claims_by_deployment["7b0f1a52-5c0e-4d3e-9d55-111111111111"], 1);
    assert_eq!(counters.asked("GET /instances/launch_config"), 1);
    assert_eq!(counters.unexpected, 0, "{:?}", w.sim.unexpected());
}

#[tokio::test]
async fn a_launch_config_is_claimed_once() {
    let w = world().await;
    let id = chute(&w.sim, "demo", 1, 3);
    w.miner.add_gpus(&[&uuid('a'), &uuid('b')]).await;
    let (_, config, token) = w.miner.launch(&id).await;
    assert_eq!(w.miner.bring_up(&config, &token, claim(&[&uuid('a')], 31000)).await.0, 200);
    let (status, body) = w.miner.bring_up(&config, &token, claim(&[&uuid('b')], 32000)).await;
    assert_eq!(status, 401);
    assert!(body["detail"].as_str().expect("text").contains("has already been retrieved"), "{body}");
    let path = format!("/instances/launch_config/{config}");
    assert_eq!(w.miner.with_token(Method::GET, &format!("{path}/activate"), &token, None).await.0, 200, "later steps repeat");
}

#[tokio::test]
async fn a_refused_claim_spoils_its_launch_config() {
    let w = world().await;
    let id = chute(&w.sim, "demo", 1, 3);
    w.miner.add_gpus(&[&uuid('a')]).await;
    let (_, config, token) = w.miner.launch(&id).await;
    let (status, _) = w.miner.bring_up(&config, &token, claim(&[&uuid('f')], 31000)).await;
    assert_eq!(status, 404, "a GPU that was never advertised");
    let (status, body) = w.miner.bring_up(&config, &token, claim(&[&uuid('a')], 31000)).await;
    assert_eq!(status, 403);
    assert!(body["detail"].as_str().expect("text").contains("not found in your inventory"), "{body}");
    assert_eq!(w.sim.counters().launches.failed, 1);
}

#[tokio::test]
async fn claims_are_checked_against_the_advert() {
    let w = world().await;
    let id = chute(&w.sim, "demo", 2, 9);
    let (a, b) = (uuid('a'), uuid('b'));
    w.miner.add_gpus(&[&a, &b]).await;
    let right = || claim(&[&a, &b], 31000);
    let mut wrong_name = right();
    wrong_name["gpus"][0]["name"] = json!("NVIDIA H200");
    let mut wrong_memory = right();
    wrong_memory["gpus"][1]["memory"] = json!(85_899_345_920_u64);
    let mut wrong_host = right();
    wrong_host["host"] = json!("203.0.113.11");
    let mut no_port = right();
    no_port["port_mappings"] = json!([]);
    let wrong = [
        ("duplicate", claim(&[&a, &a], 31000), 400),
        ("too few", claim(&[&a], 31000), 400),
        ("name", wrong_name, 400),
        ("memory", wrong_memory, 400),
        ("host", wrong_host, 400),
        ("no primary port", no_port, 400),
        ("right", right(), 200),
        ("in use", right(), 409),
    ];
    for (what, claim, wanted) in wrong {
        let (_, config, token) = w.miner.launch(&id).await;
        let (status, body) = w.miner.bring_up(&config, &token, claim).await;
        assert_eq!(status, wanted, "{what}: {body}");
    }
}

#[tokio::test]
async fn an_unverified_gpu_and_a_foreign_gpu_cannot_be_claimed() {
    let w = world().await;
    let id = chute(&w.sim, "demo", 1, 9);
    w.sim.fail_next_check("slow");
    let advert = json!({"server_id": "s", "nodes": [crate::common::h100(&uuid('a'), 0)]});
    assert_eq!(w.miner.post("/nodes/", &advert).await.status().as_u16(), 202);
    let other = w.miner.other(2);
    w.sim.register_miner(other.address());
    other.add_gpus(&[&uuid('b')]).await;
    for (gpu, wanted) in [('a', 400), ('b', 404)] {
        let (_, config, token) = w.miner.launch(&id).await;
        assert_eq!(w.miner.bring_up(&config, &token, claim(&[&uuid(gpu)], 31000)).await.0, wanted, "{gpu}");
    }
}

#[tokio::test]
async fn host_and_port_are_unique_until_the_instance_is_gone() {
    let w = world().await;
    let id = chute(&w.sim, "demo", 1, 9);
    w.miner.add_gpus(&[&uuid('a'), &uuid('b')]).await;
    let (_, config, token) = w.miner.launch(&id).await;
    assert_eq!(w.miner.bring_up(&config, &token, claim(&[&uuid('a')], 31000)).await.0, 200);
    let (_, config, token) = w.miner.launch(&id).await;
    let (status, body) = w.miner.bring_up(&config, &token, claim(&[&uuid('b')], 31000)).await;
    assert_eq!(status, 409);
    assert!(body["detail"].as_str().expect("text").contains(&format!("{HOST}:31000")), "{body}");
    let instance = w.sim.snapshot().instances[0].instance_id.clone();
    assert!(w.sim.delete_instance(&instance, "watchtower"));
    let (_, config, token) = w.miner.launch(&id).await;
    assert_eq!(w.miner.bring_up(&config, &token, claim(&[&uuid('b')], 31000)).await.0, 200);
}

#[tokio::test]
async fn capacity_is_asked_at_the_grant_and_again_at_the_claim() {
    let w = world().await;
    let id = chute(&w.sim, "demo", 1, 1);
    w.miner.add_gpus(&[&uuid('a'), &uuid('b')]).await;
    let (first, second) = (w.miner.launch(&id).await, w.miner.launch(&id).await);
    assert_eq!((first.0, second.0), (200, 200), "a grant reserves nothing");
    assert_eq!(w.miner.bring_up(&first.1, &first.2, claim(&[&uuid('a')], 31000)).await.0, 200);
    assert_eq!(w.miner.bring_up(&second.1, &second.2, claim(&[&uuid('b')], 32000)).await.0, 423);
    assert_eq!(w.miner.launch(&id).await.0, 423);
    w.sim.update_chute("demo", validator_sim::ChutePatch { target: Some(2), ..Default::default() }).expect("a new target");
    assert_eq!(w.miner.launch(&id).await.0, 200);
}

#[tokio::test]
async fn the_original_capacity_starts_cold_chutes_and_leaves_room_for_others() {
    let w = world_with(Config { simple_capacity: false, ..Config::relaxed() }).await;
    let id = chute(&w.sim, "demo", 1, 3);
    w.miner.add_gpus(&[&uuid('a')]).await;
    let (_, config, token) = w.miner.launch(&id).await;
    assert_eq!(w.miner.bring_up(&config, &token, claim(&[&uuid('a')], 31000)).await.0, 200);
    assert_eq!(w.miner.launch(&id).await.0, 423, "two slots are left, and the only instance is ours");
    let other = w.miner.other(2);
    w.sim.register_miner(other.address());
    assert_eq!(other.launch(&id).await.0, 200);
    let cold = chute(&w.sim, "cold", 1, 0);
    assert_eq!(w.miner.launch(&cold).await.0, 200, "nothing is active");
}

#[tokio::test]
async fn tokens_expire_and_belong_to_one_config() {
    let w = world().await;
    let id = chute(&w.sim, "demo", 1, 5);
    w.miner.add_gpus(&[&uuid('a')]).await;
    let (_, one, token) = w.miner.launch(&id).await;
    let (_, two, _) = w.miner.launch(&id).await;
    assert_eq!(w.miner.bring_up(&two, &token, claim(&[&uuid('a')], 31000)).await.0, 401);
    assert_eq!(w.miner.bring_up(&one, "rubbish", claim(&[&uuid('a')], 31000)).await.0, 401);
    let nonce = format!("/instances/launch_config/{one}/nonce");
    let (status, text) = w.miner.with_token(Method::GET, &nonce, &token, None).await;
    assert_eq!((status, text.as_str().map(str::len)), (200, Some(32)));
    assert_eq!(w.miner.with_token(Method::GET, &nonce, &token, None).await.0, 404, "one time");
    w.sim.advance(Duration::from_secs(2 * 3600 + 1));
    assert_eq!(w.miner.bring_up(&one, &token, claim(&[&uuid('a')], 31000)).await.0, 401);
    let launches = w.sim.counters().launches;
    assert_eq!((launches.expired, launches.abandoned, launches.claimed), (2, 2, 0));
}

#[tokio::test]
async fn a_wrong_or_late_proof_ends_the_instance() {
    let w = world().await;
    let id = chute(&w.sim, "demo", 1, 5);
    w.miner.add_gpus(&[&uuid('a')]).await;
    for late in [false, true] {
        let (_, config, token) = w.miner.launch(&id).await;
        let path = format!("/instances/launch_config/{config}");
        let (_, claimed) = w.miner.with_token(Method::POST, &path, &token, Some(claim(&[&uuid('a')], 31000))).await;
        let mut answer = proof(&claimed, &[uuid('a')]);
        if late {
            w.sim.advance(Duration::from_secs(151));
        } else {
            answer["response"] = json!("bm90aGluZw==");
        }
        assert_eq!(w.miner.with_token(Method::PUT, &path, &token, Some(answer)).await.0, 403);
        assert!(w.sim.snapshot().instances.is_empty());
    }
}

#[tokio::test]
async fn an_instance_that_never_activates_is_purged() {
    let w = world().await;
    let id = chute(&w.sim, "demo", 1, 5);
    w.miner.add_gpus(&[&uuid('a')]).await;
    let (_, config, token) = w.miner.launch(&id).await;
    let path = format!("/instances/launch_config/{config}");
    assert_eq!(w.miner.with_token(Method::POST, &path, &token, Some(claim(&[&uuid('a')], 31000))).await.0, 200);
    w.sim.advance(Duration::from_secs(89 * 60));
    assert_eq!(w.sim.snapshot().instances.len(), 1);
    w.sim.advance(Duration::from_secs(2 * 60));
    assert!(w.sim.snapshot().instances.is_empty());
}

#[tokio::test]
async fn a_tee_chute_is_claimed_with_a_nonce_on_its_own_path() {
    let w = world().await;
    let spec = ChuteSpec { tee: true, target: 5, ..ChuteSpec::named("secret") };
    let row = w.sim.create_chute(spec).expect("a chute");
    let id = row["chute_id"].as_str().expect("an id");
    w.miner.add_gpus(&[&uuid('a')]).await;
    let (_, config, token) = w.miner.launch(id).await;
    let (status, body) = w.miner.bring_up(&config, &token, claim(&[&uuid('a')], 31000)).await;
    assert_eq!((status, body["detail"].as_str()), (400, Some("Can not claim a graval launch config for a TEE chute.")));

    let (_, config, token) = w.miner.launch(id).await;
    let path = format!("/instances/launch_config/{config}/tee");
    let (_, nonce) = w.miner.with_token(Method::GET, "/instances/nonce", &token, None).await;
    let mut body = claim(&[&uuid('a')], 31000);
    body["deployment_id"] = json!("dep-1");
    let headers = [("Authorization", token.clone()), ("X-Chutes-Nonce", nonce.as_str().expect("a nonce").to_owned())];
    let (status, reply) = said(w.miner.raw(Method::POST, &path, &headers, Some(body.to_string().into_bytes())).await).await;
    assert_eq!(status, 200, "{reply}");
    let (status, reply) = w.miner.with_token(Method::PUT, &path, &token, Some(json!({}))).await;
    assert_eq!(status, 200, "{reply}");
    assert_eq!(w.sim.snapshot().launches.iter().find(|l| l.config_id == config).expect("it").deployment.as_deref(), Some("dep-1"));
}

/// The claims of a token, as a chute reads them.
fn claims(token: &str) -> Value {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let payload = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64")).expect("JSON")
}

#[tokio::test]
async fn tokens_of_newer_libraries_say_what_the_chute_may_do() {
    let w = world().await;
    for (library, says) in [("0.3.60", false), ("0.3.61", true), ("0.10.0", true), ("1.0", true), ("", false)] {
        let name = format!("with-{library}");
        let spec = ChuteSpec { name, chutes_version: library.to_owned(), ..ChuteSpec::default() };
        let row = w.sim.create_chute(spec).expect("created");
        let (_, _, token) = w.miner.launch(row["chute_id"].as_str().expect("id")).await;
        let claims = claims(&token);
        assert_eq!((claims.get("egress").is_some(), claims.get("lock_modules").is_some()), (says, says), "{library}: {claims}");
    }
}

#[tokio::test]
async fn rows_of_instances_lost_their_ports_in_2026() {
    for (profile, there) in [(Profile::Oct25, true), (Profile::Mar26, false)] {
        let w = world_with(Config { profile, ..Config::relaxed() }).await;
        let id = chute(&w.sim, "demo", 1, 1);
        w.miner.add_gpus(&[&uuid('a')]).await;
        let (_, config, token) = w.miner.launch(&id).await;
        assert_eq!(w.miner.bring_up(&config, &token, claim(&[&uuid('a')], 31000)).await.0, 200);
        let text = w.miner.get("/miner/instances/", "miner").await.text().await.expect("whole");
        let row: Value = serde_json::from_str(text.trim().strip_prefix("data: ").expect("the prefix")).expect("JSON");
        for key in ["host", "port", "port_mappings", "symmetric_key"] {
            assert_eq!(row.get(key).is_some(), there, "{profile}: {key} in {row}");
        }
        assert_eq!(row["config_id"], json!(config), "{profile}");
    }
}
