//! Lock and unlock: the hold of owner `person`, and no other.

use super::{find, name_of, refusal, synced};
use crate::{
    app::App,
    http::{
        auth::{Effect, admit},
        error::ApiError,
    },
    rows,
};
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
};
use crd::gpu_server::{Hold, PERSON};
use protocol::sign::Purpose;
use serde_json::Value;
use std::sync::Arc;

/// `GET /servers/{id_or_name}/lock`.
///
/// # Errors
/// 401, 404, 503.
pub async fn lock(State(app): State<Arc<App>>, Path(id): Path<String>, headers: HeaderMap) -> Result<Json<Value>, ApiError> {
    set(&app, &id, &headers, true).await
}

/// `GET /servers/{id_or_name}/unlock`.
///
/// # Errors
/// 401, 404, 503.
pub async fn unlock(State(app): State<Arc<App>>, Path(id): Path<String>, headers: HeaderMap) -> Result<Json<Value>, ApiError> {
    set(&app, &id, &headers, false).await
}

async fn set(app: &App, id: &str, headers: &HeaderMap, locked: bool) -> Result<Json<Value>, ApiError> {
    admit(app, headers, Purpose::Management, Effect::Change).await?;
    let view = synced(app)?;
    let server = find(&view, id)?;
    let name = name_of(&server);
    let hold = locked.then(|| Hold { owner: PERSON.to_owned(), reason: "locked by a person".to_owned(), until: None });
    // Not decided by the cache: an unlock right after a lock would find nothing to lift there.
    let now = app.fleet.set_hold(name, PERSON, hold).await.map_err(|error| refusal(error, id))?;
    let (kind, what) = if locked { ("ServerLocked", "locked") } else { ("ServerUnlocked", "unlocked") };
    app.ledger.event(kind, name, &format!("{what} by a signed request")).await;
    Ok(Json(rows::server(&now, &view, app.clock.now())))
}
