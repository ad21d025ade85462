use reqwest::Method;
use serde_json::json;
use sha2::{Digest, Sha256};
use validator_sim::Config;

use crate::common::{now, said, world, world_with};

#[tokio::test]
async fn a_request_without_headers_is_refused_with_the_original_words() {
    let w = world().await;
    let (status, body) = said(w.miner.raw(Method::GET, "/miner/nodes/", &[], None).await).await;
    assert_eq!((status, body), (401, json!({"detail": "Can't find a user with that api key in our db :("})));
}

#[tokio::test]
async fn a_nonce_is_whole_seconds_within_ten_minutes_both_ways() {
    let w = world().await;
    for (nonce, wanted) in [
        ((now() - 590).to_string(), 200),
        ((now() + 500).to_string(), 200),
        ((now() - 605).to_string(), 401),
        ((now() + 610).to_string(), 401),
        (format!("{}.5", now()), 401),
        ("-5".to_owned(), 401),
        (String::new(), 401),
    ] {
        let response = w.miner.raw(Method::GET, "/miner/nodes/", &w.miner.headers("miner", &nonce), None).await;
        assert_eq!(response.status().as_u16(), wanted, "{nonce}");
    }
}

#[tokio::test]
async fn the_refusal_of_a_signature_echoes_what_should_have_been_signed() {
    let w = world().await;
    let nonce = now().to_string();
    let (status, body) = said(w.miner.raw(Method::GET, "/miner/nodes/", &w.miner.headers("launch", &nonce), None).await).await;
    let hotkey = w.miner.address();
    assert_eq!(status, 401);
    assert_eq!(body["detail"], format!("Invalid request signature for hotkey {hotkey}. Message: {hotkey}:{nonce}:miner"));
    assert_eq!(w.sim.unexpected()[0].kind, "bad_signature");
    assert_eq!(w.sim.counters().unexpected, 1);
}

#[tokio::test]
async fn a_signature_with_0x_is_no_hex() {
    let w = world().await;
    let mut headers = w.miner.headers("miner", &now().to_string());
    headers[2].1.insert_str(0, "0x");
    let (status, body) = said(w.miner.raw(Method::GET, "/miner/nodes/", &headers, None).await).await;
    assert_eq!(status, 401);
    assert!(body["detail"].as_str().expect("text").contains("non-hexadecimal"), "{body}");
}

#[tokio::test]
async fn an_advert_signs_its_exact_bytes_and_never_a_word() {
    let w = world().await;
    let body = br#"{"server_id": "s",   "nodes": []}"#.to_vec();
    let nonce = now().to_string();
    let exact = w.miner.headers(&hex::encode(Sha256::digest(&body)), &nonce);
    let (status, reply) = said(w.miner.raw(Method::POST, "/nodes/", &exact, Some(body.clone())).await).await;
    assert_eq!(status, 202, "an empty advert is accepted: {reply}");
    let other = w.miner.headers(&hex::encode(Sha256::digest(br#"{"server_id":"s","nodes":[]}"#)), &nonce);
    assert_eq!(w.miner.raw(Method::POST, "/nodes/", &other, Some(body.clone())).await.status().as_u16(), 401);
    let word = w.miner.headers("nodes", &nonce);
    assert_eq!(w.miner.raw(Method::POST, "/nodes/", &word, Some(body)).await.status().as_u16(), 401);
}

#[tokio::test]
async fn a_stranger_signs_well_and_is_still_not_registered() {
    let w = world().await;
    let stranger = w.miner.other(9);
    let (status, body) = said(stranger.get("/miner/nodes/", "miner").await).await;
    assert_eq!((status, body), (401, json!({"detail": "Hotkey is not registered on netuid 64"})));
    w.sim.register_miner(stranger.address());
    assert_eq!(stranger.get("/miner/nodes/", "miner").await.status().as_u16(), 200);
}

#[tokio::test]
async fn a_blacklisted_miner_gets_the_reason_on_adverts_and_launches() {
    let w = world().await;
    w.sim.blacklist(w.miner.address(), Some("cheats"));
    let (status, body) = said(w.miner.post("/nodes/", &json!({"server_id": "s", "nodes": []})).await).await;
    assert_eq!(status, 403);
    assert!(body["detail"].as_str().expect("text").contains("cheats"));
    assert_eq!(w.miner.launch("any").await.0, 403);
}

#[tokio::test]
async fn what_nobody_should_ask_is_remembered() {
    let w = world().await;
    let (status, body) = said(w.miner.get("/no/such/thing", "miner").await).await;
    assert_eq!((status, body), (404, json!({"detail": "Not Found"})));
    assert_eq!(w.miner.raw(Method::PUT, "/nodes/supported", &[], None).await.status().as_u16(), 405);
    let kinds: Vec<String> = w.sim.unexpected().into_iter().map(|u| u.kind).collect();
    assert_eq!(kinds, ["unknown_route", "unknown_route"]);
    w.sim.clear_unexpected();
    assert_eq!(w.sim.counters().unexpected, 0);
}

#[tokio::test]
async fn plain_http_tokens_need_their_relaxation() {
    let why = validator_sim::Simulator::start(Config::default()).await.expect_err("plain http is not allowed");
    assert!(why.to_string().contains("plain http"), "{why}");
    let w = world_with(Config { public_url: Some("https://api.example.com/".to_owned()), ..Config::default() }).await;
    assert_eq!(w.miner.get("/miner/nodes/", "miner").await.status().as_u16(), 200);
}
