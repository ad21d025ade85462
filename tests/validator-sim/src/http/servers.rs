//! Confidential machines: validator-protocol 1.5.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
};
use serde_json::{Value, json};

use super::{App, Peer, auth::Signed, parse, refusal::Refusal};
use crate::{DevKey, clock::iso, world::servers::ServerArgs};

type Answer = Result<Json<Value>, Refusal>;

/// Patience with the attestation proxy of a server.
const CALLBACK: Duration = Duration::from_secs(30);

pub(super) async fn register(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Result<(StatusCode, Json<Value>), Refusal> {
    let hotkey = app.miner(&headers, Signed::Body(&body))?;
    let mut args: ServerArgs = parse(&body)?;
    let (callback, key, nonce, now) = {
        let mut world = app.world();
        world.check_server(&hotkey, &mut args)?;
        (world.rules.tee_callback, world.validator.clone(), world.ids.hex(64), world.now().as_second())
    };
    if callback {
        call_back(&key, &args.host, &nonce, now).await.map_err(|why| Refusal::bad(format!("Server registration failed - {why}")))?;
    }
    let mut world = app.world();
    // Somebody else may have been quicker while we called.
    world.check_server(&hotkey, &mut args)?;
    world.insert_server(&hotkey, args);
    Ok((StatusCode::CREATED, Json(json!({"message": "Server registered successfully."}))))
}

/// Asks the server for its evidence. That it answers in the right shape is all that is checked.
async fn call_back(key: &Arc<DevKey>, host: &str, nonce: &str, now: i64) -> Result<(), String> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client =
        reqwest::Client::builder().timeout(CALLBACK).tls_danger_accept_invalid_certs(true).build().map_err(|why| why.to_string())?;
    let hotkey = key.address();
    let request = client
        .get(format!("https://{host}:30443/server/attest?nonce={nonce}"))
        .header("X-Chutes-Hotkey", hotkey)
        .header("X-Chutes-Nonce", now.to_string())
        .header("X-Chutes-Signature", key.sign(&format!("{hotkey}:{now}:attest")));
    let response = request.send().await.map_err(|why| format!("no answer from the attestation proxy: {why}"))?;
    let status = response.status();
    let evidence: Value = response.json().await.map_err(|_| format!("the attestation proxy answered {status} without evidence"))?;
    for key in ["tdx_quote", "nvtrust_evidence"] {
        if evidence[key].as_str().is_none_or(str::is_empty) {
            return Err(format!("{key} is missing from the evidence"));
        }
    }
    Ok(())
}

/// `GET /servers/nonce`, unsigned: for a machine that boots.
pub(super) async fn nonce(State(app): State<App>, Extension(peer): Extension<Peer>) -> Json<Value> {
    let (nonce, until) = app.world().issue_nonce(peer.0.ip());
    Json(json!({"nonce": nonce, "expires_at": iso(until)}))
}

pub(super) async fn show(State(app): State<App>, headers: HeaderMap, Path(server): Path<String>) -> Answer {
    let hotkey = app.miner(&headers, Signed::Purpose("tee"))?;
    app.world().server(&hotkey, &server).map(|server| Json(server.row()))
}

pub(super) async fn rename(
    State(app): State<App>,
    headers: HeaderMap,
    Path(server): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let hotkey = app.miner(&headers, Signed::Purpose("tee"))?;
    let name = query.get("server_name").ok_or_else(|| Refusal::malformed("server_name is missing"))?;
    app.world().rename_server(&hotkey, &server, name).map(Json)
}

pub(super) async fn remove(State(app): State<App>, headers: HeaderMap, Path(server): Path<String>) -> Answer {
    let hotkey = app.miner(&headers, Signed::Purpose("tee"))?;
    let name = app.world().delete_server(&hotkey, &server)?;
    Ok(Json(json!({"name": name, "message": "Server removed successfully"})))
}
