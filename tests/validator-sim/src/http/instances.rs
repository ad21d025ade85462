//! Instances, as far as their miner manages them: validator-protocol 1.9.

use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
};
use serde_json::{Value, json};

use super::{App, auth::Signed, refusal::Refusal};

pub(super) async fn remove(
    State(app): State<App>,
    headers: HeaderMap,
    Path((chute_id, instance_id)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    let hotkey = app.miner(&headers, Signed::Purpose("instances"))?;
    app.world().delete_instance(&hotkey, &chute_id, &instance_id)?;
    Ok(Json(json!({"instance_id": instance_id, "deleted": true})))
}

/// 2026: out of routing, but not deleted.
pub(super) async fn disable(
    State(app): State<App>,
    headers: HeaderMap,
    Path((chute_id, instance_id)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    let hotkey = app.miner(&headers, Signed::Purpose("instances"))?;
    app.world().disable_instance(&hotkey, &chute_id, &instance_id)?;
    Ok(Json(json!({"instance_id": instance_id, "disabled": true})))
}
