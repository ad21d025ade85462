//! One file a group of routes. Each handler: let in, look up, act, answer.

pub mod add;
pub mod holds;
pub mod purge;
mod re_enrol;
pub mod remove;
pub mod servers;
pub mod status;
pub mod token;

use super::error::ApiError;
use crate::{
    app::App,
    ports::fleet::{FleetError, View},
    rows::server_id,
};
use axum::Json;
use crd::GpuServer;
use serde_json::{Value, json};
use std::sync::Arc;

/// `GET /ping`.
pub async fn ping() -> Json<Value> {
    Json(json!({ "message": "pong" }))
}

/// The server of that name, or of that id.
fn find(view: &View, id_or_name: &str) -> Result<Arc<GpuServer>, ApiError> {
    let by_name = view.servers.iter().find(|server| server.metadata.name.as_deref() == Some(id_or_name));
    let by_id = || view.servers.iter().find(|server| !id_or_name.is_empty() && server_id(server) == id_or_name);
    by_name.or_else(by_id).cloned().ok_or_else(|| ApiError::no_such_server(id_or_name))
}

fn name_of(server: &GpuServer) -> &str {
    server.metadata.name.as_deref().unwrap_or_default()
}

/// What a failed write means to the caller.
fn refusal(error: FleetError, id_or_name: &str) -> ApiError {
    match error {
        FleetError::NotFound => ApiError::no_such_server(id_or_name),
        FleetError::Exists => ApiError::conflict(format!("Server with name={id_or_name} is already provisioned!")),
        FleetError::Changed => {
            ApiError::conflict(format!("server {id_or_name} was changed by somebody else meanwhile: look, and try again"))
        }
        FleetError::Refused(why) => ApiError::bad_request(why),
        FleetError::Away(why) => ApiError::unavailable(format!("the control cluster did not answer, try again: {why}")),
    }
}

/// Refuses to answer from a cache that was never filled: an empty list would read as an empty fleet.
fn synced(app: &App) -> Result<View, ApiError> {
    let view = app.fleet.view();
    match view.sources.iter().find(|source| !source.complete) {
        Some(source) => {
            Err(ApiError::unavailable(format!("still reading {} from the control cluster, try again in a few seconds", source.name)))
        }
        None => Ok(view),
    }
}
