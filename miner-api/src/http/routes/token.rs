//! `POST /nodes/{server}/token`: an agent, known by its node key, buys a token of one hour. TLS only.

use crate::{
    app::App,
    http::{auth::admit_node, body, error::ApiError},
    ports::fleet::FleetError,
};
use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::HeaderMap,
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
    let agent =
        server.spec.driver.agent.as_ref().ok_or_else(|| {
            ApiError::forbidden(format!("server {name} is driven over its kubeconfig: it has no agent that needs a token"))
        })?;
    let pinned = agent.node_key.clone();
    admit_node(&app, &headers, &body.raw, &name, &pinned).await?;
    if body.object()?.get("node_key").and_then(Value::as_str).is_some_and(|said| said != pinned.as_str()) {
        return Err(ApiError::forbidden(format!(
            "that node key is not the one pinned for server {name}; enrol the agent again with: chutes-miner delete-node, then add-node"
        )));
    }
    let token = app.fleet.agent_token(&name).await.map_err(|error| match error {
        FleetError::NotFound => ApiError::unavailable(format!("the account of server {name} is not made yet, try again in a few seconds")),
        FleetError::Exists | FleetError::Refused(_) | FleetError::Away(_) => {
            ApiError::unavailable(format!("no token for server {name}: {error}"))
        }
    })?;
    app.metrics.token();
    Ok(Json(json!({
        "token": token.token.expose(),
        "expires_at": token.expires_at.to_string(),
        "api_server": app.enrol.api_server,
        "ca_pem": app.enrol.api_server_ca_pem,
        "namespace": crd::node_namespace(&name),
    })))
}

/// The answer of the plain listener.
///
/// # Errors
/// Always 403.
pub async fn only_over_tls(Path(_): Path<String>) -> Result<Json<Value>, ApiError> {
    Err(ApiError::forbidden("tokens are sold over TLS only: use the https address given at enrolment"))
}
