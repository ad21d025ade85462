//! `GET /status`: everything a person wants to know first, problems before all.

use crate::{
    app::App,
    http::{
        auth::{Effect, admit},
        error::ApiError,
    },
    status::{Report, Seen, report},
};
use axum::{Json, extract::State, http::HeaderMap};
use protocol::sign::Purpose;
use std::sync::Arc;

/// The report. Works with Postgres or Kubernetes away: then it says so first.
///
/// # Errors
/// 401.
pub async fn status(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Report>, ApiError> {
    admit(&app, &headers, Purpose::Management, Effect::Read).await?;
    let (sums, operator) = tokio::join!(app.ledger.sums(), app.fleet.operator());
    let chain = app.chain.as_ref().map(|known| Seen::from(&*known.borrow()));
    Ok(Json(report(&app.fleet.view(), &operator, sums, app.clock.now()).with_chain(app.hotkey(), chain.as_ref())))
}
