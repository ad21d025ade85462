//! Who is let in, and in which order things are checked.

use super::world::{World, hotkey, over, purpose};
use crate::fixtures::KEY;
use protocol::{
    key::Keypair,
    sign::{MINER_HEADER, NONCE_HEADER, Purpose, SIGNATURE_HEADER, Signed, VALIDATOR_HEADER, four_part_headers},
};
use std::sync::atomic::Ordering;

fn with(mut headers: Vec<(&'static str, String)>, name: &str, value: &str) -> Vec<(&'static str, String)> {
    for header in &mut headers {
        if header.0 == name {
            value.clone_into(&mut header.1);
        }
    }
    headers
}

#[tokio::test]
async fn the_table_of_refusals() {
    let world = World::start().await;
    let good = || purpose(Purpose::Management, 0);
    let other = Keypair::generate();
    let own_signature = four_part_headers(&other, hotkey().address(), Signed::Purpose(Purpose::Management), 1_700_000_000);
    let signature = good()[3].1.clone();
    for (case, headers, status) in [
        ("correct", good(), 200),
        ("28 s old", purpose(Purpose::Management, -28), 200),
        ("30 s old", purpose(Purpose::Management, -30), 401),
        ("28 s ahead", purpose(Purpose::Management, 28), 200),
        ("31 s ahead", purpose(Purpose::Management, 31), 401),
        ("a day ahead", purpose(Purpose::Management, 86_400), 401),
        ("another purpose", purpose(Purpose::Kubeconfig, 0), 401),
        ("nothing", vec![], 401),
        ("no miner", with(good(), MINER_HEADER, ""), 401),
        ("no signer", with(good(), VALIDATOR_HEADER, ""), 401),
        ("no nonce", with(good(), NONCE_HEADER, ""), 401),
        ("no signature", with(good(), SIGNATURE_HEADER, ""), 401),
        ("another miner", with(good(), MINER_HEADER, other.address().as_str()), 401),
        ("a stranger's valid signature", own_signature, 401),
        ("a nonce in words", with(good(), NONCE_HEADER, "soon"), 401),
        ("a nonce with a plus", with(good(), NONCE_HEADER, "+1700000000"), 401),
        ("a huge nonce", with(good(), NONCE_HEADER, &"9".repeat(400)), 401),
        ("a signature with 0x", with(good(), SIGNATURE_HEADER, &format!("0x{signature}")), 401),
        ("a short signature", with(good(), SIGNATURE_HEADER, &signature[..126]), 401),
        ("no hex", with(good(), SIGNATURE_HEADER, &"z".repeat(128)), 401),
        ("zeros", with(good(), SIGNATURE_HEADER, &"0".repeat(128)), 401),
    ] {
        let reply = world.send(world.plain, "GET", "/servers/", headers, None).await;
        assert_eq!(reply.status, status, "{case}: {}", reply.text);
        if status == 401 {
            assert!(reply.detail().starts_with("go away"), "{case}: {}", reply.text);
        }
    }
}

#[tokio::test]
async fn signatures_of_the_existing_miner_open_the_door() {
    let world = World::start().await;
    let golden =
        "20e61bfcab1fc9c37063390bee3a691ed97e2274c0179715d99f66ef053692121e68d29aa4ca3b211a4b5132dd5908b410512f9810d432df773b9675d15d9c8a";
    let headers = vec![
        (MINER_HEADER, KEY.to_owned()),
        (VALIDATOR_HEADER, KEY.to_owned()),
        (NONCE_HEADER, "1700000000".to_owned()),
        (SIGNATURE_HEADER, golden.to_owned()),
    ];
    assert_eq!(world.send(world.plain, "GET", "/servers/", headers.clone(), None).await.status, 200);
    // Wrapped as browser wallets do.
    let wrapped = hotkey().sign(format!("<Bytes>{KEY}:{KEY}:1700000000:management</Bytes>").as_bytes()).to_string();
    assert_eq!(world.send(world.plain, "GET", "/servers/", with(headers, SIGNATURE_HEADER, &wrapped), None).await.status, 200);
}

#[tokio::test]
async fn a_signature_seen_on_a_read_opens_nothing_else() {
    let world = World::start().await;
    let headers = purpose(Purpose::Management, 0);
    assert_eq!(world.send(world.plain, "GET", "/servers/", headers.clone(), None).await.status, 200);
    for (method, path) in [("GET", "/servers/"), ("DELETE", "/servers/gpu-1"), ("GET", "/servers/gpu-1/lock")] {
        let reply = world.send(world.plain, method, path, headers.clone(), None).await;
        assert_eq!(reply.status, 401, "{method} {path}");
        assert!(reply.detail().contains("replayed"));
    }
    assert!(world.script.calls().is_empty(), "{:?}", world.script.calls());
    // The twin: signed anew it works.
    assert_eq!(world.signed("DELETE", "/servers/gpu-1").await.status, 200);
}

#[tokio::test]
async fn another_replica_has_served_it_already() {
    let world = World::start().await;
    let headers = purpose(Purpose::Management, 0);
    let signature: protocol::key::Signature = headers[3].1.parse().unwrap();
    world.script.seen.lock().unwrap().insert(signature.replay_key());
    assert_eq!(world.send(world.plain, "DELETE", "/servers/gpu-1", headers, None).await.status, 401);
    assert!(world.script.calls().is_empty());
}

#[tokio::test]
async fn without_postgres_reading_works_and_changing_is_503() {
    let world = World::start().await;
    world.script.ledger_up.store(false, Ordering::SeqCst);
    assert_eq!(world.signed("GET", "/servers/").await.status, 200);
    assert_eq!(world.signed("GET", "/status").await.status, 200);
    assert_eq!(world.signed("GET", "/servers/gpu-1/delete_preflight").await.status, 200);
    for (method, path) in [("GET", "/servers/gpu-1/lock"), ("DELETE", "/servers/gpu-1"), ("DELETE", "/deployments/purge")] {
        let reply = world.signed(method, path).await;
        assert_eq!(reply.status, 503, "{method} {path}");
        assert!(reply.detail().contains("Postgres is not available"), "{}", reply.text);
    }
    assert_eq!(world.post("/servers/", "{}").await.status, 503);
    assert!(world.script.calls().is_empty());
}

#[tokio::test]
async fn nothing_but_ping_and_probes_answers_the_unsigned() {
    let world = World::start().await;
    for (method, path, body, status) in [
        ("GET", "/ping", None, 200),
        ("GET", "/healthz", None, 200),
        ("GET", "/readyz", None, 200),
        ("GET", "/servers/", None, 401),
        ("POST", "/servers/", Some("{}"), 401),
        ("DELETE", "/servers/gpu-1", None, 401),
        ("GET", "/servers/gpu-1/lock", None, 401),
        ("GET", "/servers/gpu-1/unlock", None, 401),
        ("GET", "/servers/gpu-1/delete_preflight", None, 401),
        ("DELETE", "/servers/gpu-1/deployments", None, 401),
        ("DELETE", "/deployments/purge", None, 401),
        ("DELETE", "/deployments/x", None, 401),
        ("GET", "/status", None, 401),
        ("GET", "/docs", None, 404),
        ("GET", "/openapi.json", None, 404),
    ] {
        let reply = world.send(world.plain, method, path, vec![], body).await;
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text);
    }
    assert_eq!(world.send(world.tls, "POST", "/nodes/gpu-1/token", vec![], Some("{}")).await.status, 401);
}

#[tokio::test]
async fn malformed_json_comes_before_the_signature_and_fields_after_it() {
    let world = World::start().await;
    let malformed = world.send(world.plain, "POST", "/servers/", vec![], Some("{\"name\": \"s3cret\"")).await;
    assert_eq!(malformed.status, 422);
    assert_eq!(malformed.json()["detail"][0]["type"], "json_invalid");
    assert!(!malformed.text.contains("s3cret"));
    assert_eq!(world.send(world.plain, "POST", "/servers/", vec![], Some("{}")).await.status, 401);
    let fields = world.post("/servers/", "{}").await;
    assert_eq!(fields.status, 422);
    assert_eq!(fields.json()["detail"][0]["loc"], serde_json::json!(["body", "name"]));
    // An array is JSON, but no fields; no content type is no JSON.
    assert_eq!(world.post("/servers/", "[]").await.status, 422);
    let request = world.http.post(format!("http://{}/servers/", world.plain)).body("{}");
    let request = over(&hotkey(), "{}").into_iter().fold(request, |request, (name, value)| request.header(name, value));
    assert_eq!(request.send().await.unwrap().status(), 422);
}

#[tokio::test]
async fn the_body_is_signed_by_its_exact_bytes() {
    let world = World::start().await;
    let spaced = "{ \"name\" : 1 }";
    assert_eq!(world.post("/servers/", spaced).await.status, 422, "spaces are part of what was signed");
    let altered = world.send(world.plain, "POST", "/servers/", over(&hotkey(), spaced), Some("{\"name\":1}")).await;
    assert_eq!(altered.status, 401);
    // A purpose never stands in for a body.
    assert_eq!(world.send(world.plain, "POST", "/servers/", purpose(Purpose::Management, 0), Some("{}")).await.status, 401);
}

#[tokio::test]
async fn a_body_too_long_is_413() {
    let world = World::start().await;
    let body = format!("{{\"a\":\"{}\"}}", "x".repeat(crate::http::body::LIMIT_BYTES));
    assert_eq!(world.post("/servers/", &body).await.status, 413);
}

#[tokio::test]
async fn unknown_paths_wrong_methods_and_missing_slashes_answer_as_the_existing_miner() {
    let world = World::start().await;
    let reply = world.send(world.plain, "GET", "/servers?x=1", vec![], None).await;
    assert_eq!(reply.status, 307);
    assert_eq!(reply.headers["location"], format!("http://{}/servers/?x=1", world.plain));
    let reply = world.send(world.tls, "GET", "/servers", vec![("x-gepetto-tls", "1".to_owned())], None).await;
    assert!(reply.headers["location"].to_str().unwrap().starts_with("https://"));
    let reply = world.send(world.plain, "GET", "/servers", vec![("x-gepetto-tls", "1".to_owned())], None).await;
    assert!(reply.headers["location"].to_str().unwrap().starts_with("http://"));
    for (method, path, status, text) in [
        ("GET", "/servers/gpu-1", 405, r#"{"detail":"Method Not Allowed"}"#),
        ("PUT", "/servers/", 405, r#"{"detail":"Method Not Allowed"}"#),
        ("GET", "/nowhere", 404, r#"{"detail":"Not Found"}"#),
        ("GET", "/ping", 200, r#"{"message":"pong"}"#),
    ] {
        let reply = world.send(world.plain, method, path, vec![], None).await;
        assert_eq!((reply.status, reply.text.as_str()), (status, text), "{method} {path}");
    }
    assert_eq!(world.send(world.plain, "GET", "/ping", vec![], None).await.headers["content-type"], "application/json");
}
