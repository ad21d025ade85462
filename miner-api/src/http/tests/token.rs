//! Agents buying tokens.

use super::world::{World, hotkey, over};
use crate::fixtures;
use protocol::key::Keypair;
use serde_json::json;

fn pin(world: &World, key: &Keypair) -> String {
    let address = key.address().clone();
    world.script.edit(|view| fixtures::edit_server(view, |server| server.spec.driver.agent.as_mut().unwrap().node_key = address.clone()));
    json!({ "node_key": address }).to_string()
}

#[tokio::test]
async fn the_pinned_node_key_buys_a_token_over_tls_only() {
    let (world, key) = (World::start().await, Keypair::generate());
    let body = pin(&world, &key);
    let reply = world.send(world.tls, "POST", "/nodes/gpu-1/token", over(&key, &body), Some(&body)).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(
        reply.json(),
        json!({ "token": "t0ken", "expires_at": fixtures::now().to_string(), "api_server": "https://control:6443", "ca_pem": "K8S CA", "namespace": "chutes-node-gpu-1" })
    );
    let plain = world.send(world.plain, "POST", "/nodes/gpu-1/token", over(&key, &body), Some(&body)).await;
    assert_eq!(plain.status, 403);
    assert!(plain.detail().contains("TLS"));
}

#[tokio::test]
async fn nobody_else_buys_one_and_is_told_why() {
    let (world, key) = (World::start().await, Keypair::generate());
    let body = pin(&world, &key);
    let token = async |path: &str, key: &Keypair, body: &str| world.send(world.tls, "POST", path, over(key, body), Some(body)).await;
    // Another node's key, and even the hotkey itself.
    assert_eq!(token("/nodes/gpu-1/token", &Keypair::generate(), &body).await.status, 401);
    assert_eq!(token("/nodes/gpu-1/token", &hotkey(), &body).await.status, 401);
    let unknown = token("/nodes/gpu-9/token", &key, &body).await;
    assert_eq!(unknown.status, 403);
    assert!(unknown.detail().contains("add-node"), "{}", unknown.text);
    // Another agent for this server, which proves its own key: it is told what became of it, also for programs.
    let other = Keypair::generate();
    let own = json!({ "node_key": other.address() }).to_string();
    let replaced = token("/nodes/gpu-1/token", &other, &own).await;
    assert_eq!((replaced.status, replaced.json()["code"].as_str()), (403, Some("NodeKeyNotPinned")), "{}", replaced.text);
    let fingerprint = protocol::sign::fingerprint(other.address());
    assert!(replaced.detail().contains("add-node --name gpu-1 --re-enrol") && replaced.detail().contains(&fingerprint));
    let forged = world.send(world.tls, "POST", "/nodes/gpu-1/token", over(&Keypair::generate(), &own), Some(&own)).await;
    assert_eq!(forged.status, 401, "who does not prove the key it names hears nothing");
    let mismatch = json!({ "node_key": hotkey().address() }).to_string();
    assert_eq!(token("/nodes/gpu-1/token", &key, &mismatch).await.status, 403);
    world.script.edit(|view| fixtures::edit_server(view, |server| server.spec.driver.agent = None));
    assert_eq!(token("/nodes/gpu-1/token", &key, &body).await.status, 403);
    assert!(world.script.calls().is_empty(), "{:?}", world.script.calls());
}

#[tokio::test]
async fn a_request_is_good_for_one_token_and_too_many_are_429() {
    let (world, key) = (World::start().await, Keypair::generate());
    let body = pin(&world, &key);
    let headers = over(&key, &body);
    assert_eq!(world.send(world.tls, "POST", "/nodes/gpu-1/token", headers.clone(), Some(&body)).await.status, 200);
    assert_eq!(world.send(world.tls, "POST", "/nodes/gpu-1/token", headers, Some(&body)).await.status, 401);
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(world.send(world.tls, "POST", "/nodes/gpu-1/token", over(&key, &body), Some(&body)).await.status);
    }
    // The one that was refused as a repetition is counted too.
    assert_eq!(statuses, [200, 200, 200, 200, 429, 429, 429, 429]);
}

#[tokio::test]
async fn a_flood_of_one_node_shuts_out_nobody_else() {
    let (world, key) = (World::start().await, Keypair::generate());
    let body = pin(&world, &key);
    for _ in 0..40 {
        world.send(world.tls, "POST", "/nodes/gpu-1/token", over(&key, &body), Some(&body)).await;
    }
    let remembered = world.script.seen.lock().unwrap().len();
    assert!((1..=6).contains(&remembered), "what is refused for its number must not fill the table of signatures: {remembered}");
    assert_eq!(world.signed("GET", "/servers/").await.status, 200);
}

#[tokio::test]
async fn no_token_is_sold_before_the_account_is_made_for_the_key() {
    let (world, key) = (World::start().await, Keypair::generate());
    let body = pin(&world, &key);
    let buy = async || world.send(world.tls, "POST", "/nodes/gpu-1/token", over(&key, &body), Some(&body)).await;
    let status = |edit: &dyn Fn(&mut crd::GpuServerStatus)| {
        world.script.edit(|view| fixtures::edit_server(view, |server| edit(server.status.get_or_insert_default())));
    };
    // A server that was just created; one whose account is still that of the key before; one of an operator that tells no key.
    status(&|status| *status = crd::GpuServerStatus::default());
    let early = buy().await;
    assert_eq!(early.status, 503);
    assert!(early.detail().contains("being made"), "{}", early.text);
    status(&|status| status.node_key = Some(hotkey().address().clone()));
    assert_eq!(buy().await.status, 503);
    assert!(world.script.calls().is_empty(), "{:?}", world.script.calls());
    status(&|status| status.node_key = Some(key.address().clone()));
    assert_eq!(buy().await.status, 200);
}

#[tokio::test]
async fn a_key_that_was_replaced_a_moment_ago_buys_nothing_though_the_cache_still_knows_it() {
    let (world, key) = (World::start().await, Keypair::generate());
    let body = pin(&world, &key);
    let buy = async || world.send(world.tls, "POST", "/nodes/gpu-1/token", over(&key, &body), Some(&body)).await;
    assert_eq!(buy().await.status, 200);
    let mut ahead = (*world.script.view.lock().unwrap().servers[0]).clone();
    ahead.spec.driver.agent.as_mut().unwrap().node_key = Keypair::generate().address().clone();
    *world.script.ahead.lock().unwrap() = Some(ahead);
    let refused = buy().await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (403, Some("NodeKeyNotPinned")));
    assert!(!refused.text.contains("t0ken"));
}
