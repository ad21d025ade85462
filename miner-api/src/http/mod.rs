//! The HTTP interface: routing, order of checks, shapes of answers. Knows no Kubernetes and no database, only the ports.

pub mod auth;
pub mod body;
pub mod error;
pub mod fields;
pub mod rate;
pub mod replays;
pub mod routes;
pub mod sse;

mod paths;

use crate::app::App;
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use error::ApiError;
use service::{admin, readiness::Readiness};
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;

/// Which listener a router is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Plain HTTP: signed requests, no secrets in answers.
    Plain,
    /// TLS: also sells tokens to agents.
    Tls,
}

/// All routes of one listener.
pub fn router(app: Arc<App>, readiness: Readiness, listener: Listener) -> Router {
    let token = match listener {
        Listener::Tls => post(routes::token::buy),
        Listener::Plain => post(routes::token::only_over_tls),
    };
    Router::new()
        .route("/ping", get(routes::ping))
        .route("/servers/", get(routes::servers::list).post(routes::add::add))
        .route("/servers/{id_or_name}", delete(routes::remove::remove))
        .route("/servers/{id_or_name}/lock", get(routes::holds::lock))
        .route("/servers/{id_or_name}/unlock", get(routes::holds::unlock))
        .route("/servers/{id_or_name}/delete_preflight", get(routes::remove::preflight))
        .route("/servers/{id_or_name}/deployments", delete(routes::purge::of_server))
        .route("/deployments/purge", delete(routes::purge::all))
        .route("/deployments/{deployment_id}", delete(routes::purge::one))
        .route("/nodes/{server}/token", token)
        .route("/status", get(routes::status::status))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(Arc::clone(&app), count))
        .layer(CatchPanicLayer::custom(|_| {
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "a bug of this program; its log says more").into_response()
        }))
        .with_state(app)
        .merge(admin::probes(readiness))
        .layer(from_fn_with_state(listener, mark))
}

async fn count(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let answer = next.run(request).await;
    app.metrics.answered(answer.status().as_u16());
    answer
}

/// 307 where only the trailing slash differs from a known path, else 404.
async fn not_found(uri: Uri, headers: HeaderMap) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if let (Some(path), Some(host)) = (paths::other_spelling(uri.path()), host) {
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        if let Ok(location) = HeaderValue::from_str(&format!("{}://{host}{path}{query}", scheme(&headers))) {
            return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response();
        }
    }
    ApiError::new(StatusCode::NOT_FOUND, "Not Found").into_response()
}

/// The scheme the client used, which the TLS listener notes in a header of ours.
fn scheme(headers: &HeaderMap) -> &'static str {
    if headers.contains_key(TLS_MARK) { "https" } else { "http" }
}

/// Set on every request of the TLS listener, removed from requests of the plain one.
const TLS_MARK: &str = "x-gepetto-tls";

/// Marks requests by their listener, so that no client can pretend to have come over TLS.
async fn mark(State(listener): State<Listener>, mut request: Request, next: Next) -> Response {
    match listener {
        Listener::Tls => request.headers_mut().insert(TLS_MARK, HeaderValue::from_static("1")),
        Listener::Plain => request.headers_mut().remove(TLS_MARK),
    };
    next.run(request).await
}

async fn method_not_allowed() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
}

#[cfg(test)]
mod tests;
