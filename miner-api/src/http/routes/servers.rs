//! `GET /servers/`.

use super::synced;
use crate::{
    app::App,
    http::{
        auth::{Effect, admit},
        error::ApiError,
    },
    rows,
};
use axum::{Json, extract::State, http::HeaderMap};
use protocol::sign::Purpose;
use serde_json::Value;
use std::sync::Arc;

/// All servers with their GPUs and deployments.
///
/// # Errors
/// 401; 503 before the caches are filled.
pub async fn list(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Vec<Value>>, ApiError> {
    admit(&app, &headers, Purpose::Management, Effect::Read).await?;
    Ok(Json(rows::servers(&synced(&app)?, app.clock.now())))
}
