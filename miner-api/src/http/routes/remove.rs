//! Deleting a server: what would be lost, then the confirmed deletion. The work itself is the operator's.

use super::{find, name_of, refusal, synced};
use crate::{
    app::App,
    http::{
        auth::{Effect, admit},
        error::ApiError,
    },
    ports::fleet::View,
    rows,
};
use axum::{
    Json,
    extract::{Path, Query, State},
    http::HeaderMap,
};
use crd::{ChuteDeployment, GpuServer};
use protocol::sign::Purpose;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// What a deletion may say.
#[derive(Debug, Default, Deserialize)]
pub struct Confirmation {
    /// The server's name, typed by a person. Absent from the official command line, which has asked already.
    confirm: Option<String>,
    /// The machine is dead: do not wait for its agent.
    #[serde(default)]
    lost: bool,
}

/// `GET /servers/{id_or_name}/delete_preflight`: jobs under their old key, and running instances beside them.
///
/// # Errors
/// 401, 404, 503.
pub async fn preflight(State(app): State<Arc<App>>, Path(id): Path<String>, headers: HeaderMap) -> Result<Json<Value>, ApiError> {
    admit(&app, &headers, Purpose::Management, Effect::Read).await?;
    let view = synced(&app)?;
    let server = find(&view, &id)?;
    let (jobs, others): (Vec<_>, Vec<_>) = living(&view, &server).partition(|one| one.spec.job.is_some());
    let row = |one: &Arc<ChuteDeployment>| {
        let mut row = rows::deployment(one, Some(&server), rows::server_id(&server), &view.chutes);
        // The existing miner's rows carry their server here.
        row["server"] = json!({ "server_id": rows::server_id(&server), "name": name_of(&server) });
        row
    };
    Ok(Json(json!({
        "jobs": jobs.into_iter().map(row).collect::<Vec<_>>(),
        "instances": others.into_iter().map(row).collect::<Vec<_>>(),
        "server": { "name": name_of(&server), "server_id": rows::server_id(&server) },
    })))
}

fn living<'a>(view: &'a View, server: &'a GpuServer) -> impl Iterator<Item = &'a Arc<ChuteDeployment>> {
    view.deployments.iter().filter(move |one| one.spec.server.as_str() == name_of(server) && !one.is_over())
}

/// `DELETE /servers/{id_or_name}[?confirm=<name>][&lost=true]`.
///
/// # Errors
/// 400 where the confirmation names another server; 401, 404, 503.
pub async fn remove(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(say): Query<Confirmation>,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    admit(&app, &headers, Purpose::Management, Effect::Change).await?;
    let server = find(&synced(&app)?, &id)?;
    let name = name_of(&server);
    if let Some(typed) = say.confirm.as_deref().filter(|typed| *typed != name) {
        return Err(ApiError::bad_request(format!("the confirmation says '{typed}', the server is '{name}': nothing was deleted")));
    }
    app.fleet.delete_server(&server, say.lost).await.map_err(|error| refusal(error, &id))?;
    let how = if say.lost { "deletion confirmed, machine reported lost" } else { "deletion confirmed" };
    app.ledger.event("ServerDeletionConfirmed", name, &format!("{how} by a signed request")).await;
    Ok(Json(json!({
        "status": "started",
        "detail": format!("Deletion of server.name='{name}' server.server_id='{}' started, and will be removed once its chutes have stopped and the validator knows", rows::server_id(&server)),
    })))
}
