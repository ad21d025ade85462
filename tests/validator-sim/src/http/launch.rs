//! Launch configs: asked for by miners, used from inside pods. validator-protocol 1.7 and 1.8.

use std::collections::HashMap;

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, Query, State},
    http::HeaderMap,
};
use serde_json::{Value, json};

use super::{
    App, Peer,
    auth::{Signed, text},
    parse,
    refusal::Refusal,
};
use crate::world::claims::{Mode, ProofArgs};

type Answer = Result<Json<Value>, Refusal>;

pub(super) async fn grant(State(app): State<App>, headers: HeaderMap, Query(mut query): Query<HashMap<String, String>>) -> Answer {
    let hotkey = app.miner(&headers, Signed::Purpose("launch"))?;
    let chute_id = query.remove("chute_id").ok_or_else(|| Refusal::malformed("chute_id is missing"))?;
    let (token, config_id) = app.world().grant_launch(&hotkey, &chute_id, query.remove("job_id"), query.remove("server_id"))?;
    Ok(Json(json!({"token": token, "config_id": config_id})))
}

pub(super) async fn claim(State(app): State<App>, headers: HeaderMap, Path(config_id): Path<String>, body: Bytes) -> Answer {
    let args = parse(&body)?;
    app.world().claim(text(&headers, "authorization"), &config_id, Mode::Graval, &args, None).map(Json)
}

pub(super) async fn claim_tee(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Path(config_id): Path<String>,
    body: Bytes,
) -> Answer {
    let args = parse(&body)?;
    let nonce = text(&headers, "x-chutes-nonce").map(|nonce| (nonce, peer.0.ip()));
    app.world().claim(text(&headers, "authorization"), &config_id, Mode::Tee, &args, nonce).map(Json)
}

pub(super) async fn prove(State(app): State<App>, headers: HeaderMap, Path(config_id): Path<String>, body: Bytes) -> Answer {
    let proof: ProofArgs = parse(&body)?;
    app.world().prove(text(&headers, "authorization"), &config_id, Some(&proof)).map(Json)
}

pub(super) async fn prove_tee(State(app): State<App>, headers: HeaderMap, Path(config_id): Path<String>) -> Answer {
    app.world().prove(text(&headers, "authorization"), &config_id, None).map(Json)
}

pub(super) async fn activate(State(app): State<App>, headers: HeaderMap, Path(config_id): Path<String>) -> Answer {
    app.world().activate(text(&headers, "authorization"), &config_id).map(Json)
}

/// Plain text, once.
pub(super) async fn nonce(State(app): State<App>, headers: HeaderMap, Path(config_id): Path<String>) -> Result<String, Refusal> {
    app.world().launch_nonce(text(&headers, "authorization"), &config_id)
}

/// A JSON string, for the instance verification of confidential chutes.
pub(super) async fn instance_nonce(State(app): State<App>, Extension(peer): Extension<Peer>) -> Json<Value> {
    Json(json!(app.world().issue_nonce(peer.0.ip()).0))
}
