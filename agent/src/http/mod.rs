//! Where the miner API reaches the agent: plain HTTP, signed requests, no secrets in either direction.

mod auth;
mod enroll;
mod replays;
mod status;

pub use replays::Replays;

use crate::enrolment::Enrolment;
use crate::identity::Identity;
use crate::inventory::{Command, Reading};
use crate::node::NodeFacts;
use crate::state::StateDir;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use axum_server::Handle;
use hyper_util::rt::TokioTimer;
use protocol::ids::Ss58;
use serde_json::json;
use service::readiness::Readiness;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

/// The gate that is open while the agent is at work for its server: its Lease is renewed.
pub const CONTROL_GATE: &str = "control";
/// No request of ours is longer.
const LONGEST_BODY: usize = 64 * 1024;
const LIMIT: Duration = Duration::from_secs(15);

/// What the routes know.
pub struct Public {
    /// The hotkey whose orders are followed.
    pub miner: Ss58,
    /// The Kubernetes node.
    pub node_name: String,
    /// The server's public address.
    pub address: Option<String>,
    /// The node key.
    pub identity: Identity,
    /// Keeps the enrolment.
    pub state: StateDir,
    /// Tells the rest of the agent of an enrolment.
    pub enrolment: watch::Sender<Option<Enrolment>>,
    /// What the node is.
    pub node: watch::Receiver<Option<NodeFacts>>,
    /// The GPUs as last read.
    pub gpus: watch::Receiver<Option<Reading>>,
    /// Orders to the inventory.
    pub inventory: mpsc::Sender<Command>,
    /// The gates.
    pub readiness: Readiness,
    /// Unix seconds.
    pub clock: fn() -> i64,
    /// Signatures seen.
    pub replays: Replays,
}

/// Serves the routes until `shutdown`.
pub async fn serve(listener: TcpListener, public: Public, shutdown: CancellationToken) {
    let handle = Handle::new();
    let mut server = match axum_server::from_tcp(listener) {
        Ok(server) => server.handle(handle.clone()).http1_only(),
        Err(error) => {
            tracing::error!(%error, "the listener cannot be used");
            return;
        }
    };
    // Anybody may connect: whoever sends a request drop by drop, or none, is shown the door.
    server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(LIMIT);
    let app = router(Arc::new(public)).into_make_service();
    tokio::select! {
        ended = server.serve(app) => if let Err(error) = ended {
            tracing::error!(%error, "the listener ended");
        },
        () = shutdown.cancelled() => handle.shutdown(),
    }
}

/// The routes.
pub fn router(public: Arc<Public>) -> Router {
    Router::new()
        .route("/ping", get(|| async { Json(json!({ "message": "pong" })) }))
        .route("/enroll", post(enroll::enroll))
        .route("/status", get(status::status))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, LIMIT))
        .layer(CatchPanicLayer::new())
        .with_state(public)
}

/// A refusal, in the words and the form that the miner API and its users know.
#[derive(Debug)]
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "detail": self.1 }))).into_response()
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
