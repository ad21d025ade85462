//! Ending deployments by hand. Jobs are spared unless one is named: ending a job costs the miner's standing.

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
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use crd::{ChuteDeployment, chute_deployment::RunState};
use protocol::sign::Purpose;
use serde_json::{Value, json};
use std::sync::Arc;

/// `DELETE /deployments/purge`: all but jobs.
///
/// # Errors
/// 401, 503.
pub async fn all(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Value>, ApiError> {
    admit(&app, &headers, Purpose::Management, Effect::Change).await?;
    let view = synced(&app)?;
    let chosen = running(&view).filter(|one| one.spec.job.is_none()).cloned().collect();
    stop_all(&app, &view, chosen).await
}

/// `DELETE /servers/{id_or_name}/deployments`: all of one server but jobs.
///
/// # Errors
/// 401, 404, 503.
pub async fn of_server(State(app): State<Arc<App>>, Path(id): Path<String>, headers: HeaderMap) -> Result<Json<Value>, ApiError> {
    admit(&app, &headers, Purpose::Management, Effect::Change).await?;
    let view = synced(&app)?;
    // The existing miner answers 200 with an empty list here.
    let Ok(server) = find(&view, &id) else { return Ok(Json(json!({ "status": "initiated", "deployments_purged": [] }))) };
    let chosen = running(&view).filter(|one| one.spec.job.is_none() && one.spec.server.as_str() == name_of(&server)).cloned().collect();
    stop_all(&app, &view, chosen).await
}

/// `DELETE /deployments/{deployment_id}`, job or not.
///
/// # Errors
/// 401, 404, 503.
pub async fn one(State(app): State<Arc<App>>, Path(id): Path<String>, headers: HeaderMap) -> Result<Json<Value>, ApiError> {
    admit(&app, &headers, Purpose::Management, Effect::Change).await?;
    let view = synced(&app)?;
    let missing = || ApiError::new(StatusCode::NOT_FOUND, format!("No deploymentwith id {id} found!"));
    let deployment = view.deployments.iter().find(|one| one.spec.deployment_id.as_str() == id).ok_or_else(missing)?;
    stop(&app, deployment).await.map_err(|error| if error.status == StatusCode::NOT_FOUND { missing() } else { error })?;
    let server = find(&view, deployment.spec.server.as_str()).ok();
    let server_id = server.as_deref().map(rows::server_id).unwrap_or_default();
    let mut row = rows::deployment(deployment, server.as_deref(), server_id, &view.chutes);
    merge(&mut row, summary(&view, deployment));
    Ok(Json(json!({ "status": "initiated", "deployment_purged": row })))
}

fn running(view: &View) -> impl Iterator<Item = &Arc<ChuteDeployment>> {
    view.deployments.iter().filter(move |one| !one.is_over())
}

async fn stop_all(app: &App, view: &View, chosen: Vec<Arc<ChuteDeployment>>) -> Result<Json<Value>, ApiError> {
    let mut purged = Vec::new();
    for deployment in &chosen {
        match stop(app, deployment).await {
            Ok(()) => purged.push(summary(view, deployment)),
            // Gone meanwhile is what was wanted.
            Err(error) if error.status == StatusCode::NOT_FOUND => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Json(json!({ "status": "initiated", "deployments_purged": purged })))
}

async fn stop(app: &App, deployment: &ChuteDeployment) -> Result<(), ApiError> {
    if deployment.spec.run_state != RunState::Stopped {
        app.fleet.stop_deployment(deployment).await.map_err(|error| refusal(error, deployment.spec.deployment_id.as_str()))?;
        app.ledger.event("DeploymentStopAsked", deployment.spec.deployment_id.as_str(), "stopped by a signed request").await;
    }
    Ok(())
}

fn summary(view: &View, deployment: &ChuteDeployment) -> Value {
    let server = find(view, deployment.spec.server.as_str()).ok();
    json!({
        "chute_id": deployment.spec.chute.id,
        "chute_name": deployment.spec.chute.name,
        "server_id": server.as_deref().map(rows::server_id).unwrap_or_default(),
        "server_name": deployment.spec.server,
        "gpu_count": deployment.spec.gpu_count,
    })
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}
