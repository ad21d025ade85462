//! `POST /nodes/{server}/token`: an agent, known by its node key, buys a token of one hour. TLS only.

use crate::{
    app::App,
    http::{
        auth::admit_node,
        body::{self, JsonBody},
        error::{ApiError, NODE_KEY_NOT_PINNED},
    },
    ports::fleet::FleetError,
};
use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::HeaderMap,
};
use crd::{GpuServer, conditions::is_true, gpu_server::condition};
use protocol::{
    auth::{HeaderView, verify_management},
    ids::Ss58,
    sign::{Purpose, fingerprint, sha256_hex},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// Sells a token. Works without Postgres: agents must not fall silent with it, TLS keeps others from replaying, and a second
/// token for the same agent harms nobody.
///
/// # Errors
/// 401 for a signature that is not the node key's, 403 with a reason for whoever may have none, 429, 503.
pub async fn buy(State(app): State<Arc<App>>, Path(name): Path<String>, headers: HeaderMap, body: Body) -> Result<Json<Value>, ApiError> {
    let body = body::read(&headers, body).await?;
    let view = super::synced(&app)?;
    let server = view.servers.iter().find(|server| super::name_of(server) == name).ok_or_else(|| {
        ApiError::forbidden(format!("no server {name} exists here: it was deleted or never added; add it with: chutes-miner add-node"))
    })?;
    let pinned = pinned(server)
        .ok_or_else(|| ApiError::forbidden(format!("server {name} is driven over its kubeconfig: it has no agent that needs a token")))?;
    // Before the request is counted: waiting for the account shall not use up what a server may ask.
    if !account_is_made(server, pinned) {
        return Err(ApiError::unavailable(format!("the account of server {name} is being made for its node key, try again in a moment")));
    }
    if let Err(refused) = admit_node(&app, &headers, &body.raw, &name, pinned).await {
        return Err(of_another_key(&app, &headers, &body, &name, pinned).unwrap_or(refused));
    }
    body.object()?;
    if said(&body).is_some_and(|said| said != pinned.as_str()) {
        return Err(not_pinned(&name, None));
    }
    let token = app.fleet.agent_token(&name).await.map_err(|error| unsold(&name, &error))?;
    // What was decided above came from a cache. Only now is it certain that the key was still pinned when the token was made: one
    // made after another key was pinned would be of the account of that other key.
    let now = app.fleet.server(&name).await.map_err(|error| unsold(&name, &error))?;
    if self::pinned(&now) != Some(pinned) {
        return Err(not_pinned(&name, Some(pinned)));
    }
    app.metrics.token();
    Ok(Json(json!({
        "token": token.token.expose(),
        "expires_at": token.expires_at.to_string(),
        "api_server": app.enrol.api_server,
        "ca_pem": app.enrol.api_server_ca_pem,
        "namespace": crd::node_namespace(&name),
    })))
}

fn pinned(server: &GpuServer) -> Option<&Ss58> {
    server.spec.driver.agent.as_ref().map(|agent| &agent.node_key)
}

/// The key that the body names.
fn said(body: &JsonBody) -> Option<&str> {
    body.object().ok()?.get("node_key").and_then(Value::as_str)
}

/// Whether the operator has made the account and its rights, for this key. An operator of the release before does not say for whom.
fn account_is_made(server: &GpuServer, pinned: &Ss58) -> bool {
    let Some(status) = &server.status else { return false };
    match &status.node_key {
        Some(key) => key == pinned,
        None => is_true(&status.conditions, condition::PROVISIONED),
    }
}

/// An agent that signs well, with a key that is not pinned, hears that it was replaced, or was never enrolled, rather than a bare 401.
/// Such a request is not remembered: anybody can make a key.
fn of_another_key(app: &App, headers: &HeaderMap, body: &JsonBody, name: &str, pinned: &Ss58) -> Option<ApiError> {
    let key: Ss58 = said(body)?.parse().ok().filter(|key| key != pinned)?;
    let view = HeaderView::collect(|name| headers.get(name).and_then(|value| value.to_str().ok()));
    let hash = sha256_hex(&body.raw);
    let signers = std::slice::from_ref(&key);
    let verified = verify_management(&view, true, &hash, Purpose::Management, app.hotkey(), signers, app.clock.unix_seconds());
    verified.is_ok().then(|| not_pinned(name, Some(&key)))
}

fn not_pinned(name: &str, key: Option<&Ss58>) -> ApiError {
    let which = key.map_or_else(|| "that node key".to_owned(), |key| format!("node key {}", fingerprint(key)));
    ApiError::forbidden(format!(
        "{which} is not the one pinned for server {name}. If the agent of this server lost its state: chutes-miner add-node --name {name} \
         --re-enrol. If another agent was enrolled in place of this one: stop this one"
    ))
    .coded(NODE_KEY_NOT_PINNED)
}

fn unsold(name: &str, error: &FleetError) -> ApiError {
    match error {
        FleetError::NotFound => ApiError::unavailable(format!("the account of server {name} is not made yet, try again in a few seconds")),
        FleetError::Exists | FleetError::Changed | FleetError::Refused(_) | FleetError::Away(_) => {
            ApiError::unavailable(format!("no token for server {name}: {error}"))
        }
    }
}

/// The answer of the plain listener.
///
/// # Errors
/// Always 403.
pub async fn only_over_tls(Path(_): Path<String>) -> Result<Json<Value>, ApiError> {
    Err(ApiError::forbidden("tokens are sold over TLS only: use the https address given at enrolment"))
}
