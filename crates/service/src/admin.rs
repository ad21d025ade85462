//! The admin listener: `/healthz`, `/readyz` naming every closed gate, `/metrics`. Plain HTTP, meant for the pod's own network.

use crate::readiness::{Closed, Readiness};
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde::Serialize;
use std::{net::SocketAddr, sync::Arc};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// A running admin listener.
#[derive(Debug)]
pub struct Admin {
    /// Where it listens; the real port when 0 was asked for.
    pub address: SocketAddr,
    /// Ends when the shutdown token is cancelled.
    pub task: JoinHandle<()>,
}

/// Serves until `shutdown` is cancelled. All metrics must be registered before.
///
/// # Errors
/// The address cannot be bound.
pub async fn serve(
    listen: SocketAddr,
    registry: impl Into<Arc<Registry>>,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> std::io::Result<Admin> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let router = probes(readiness).merge(metrics(registry.into()));
    tracing::info!(%address, "admin listener");
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await {
            tracing::error!(%error, "admin listener ended");
        }
    });
    Ok(Admin { address, task })
}

/// `/healthz` and `/readyz` alone, to be merged into another listener.
pub fn probes<S: Clone + Send + Sync + 'static>(readiness: Readiness) -> Router<S> {
    Router::new().route("/healthz", get(|| async { "ok" })).route("/readyz", get(ready)).with_state(readiness)
}

/// `/metrics` alone, in the OpenMetrics text format.
pub fn metrics<S: Clone + Send + Sync + 'static>(registry: Arc<Registry>) -> Router<S> {
    Router::new().route("/metrics", get(render)).with_state(registry)
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    closed: Vec<Closed>,
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    let closed = readiness.closed();
    let status = if closed.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready: closed.is_empty(), closed })).into_response()
}

async fn render(State(registry): State<Arc<Registry>>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "metrics could not be rendered").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::metrics::counter::Counter;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn fetch(address: SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn readyz_names_the_closed_gate_and_why() {
        let readiness = Readiness::new();
        let gate = readiness.gate("postgres");
        gate.close("connection refused");
        let mut registry = Registry::default();
        let counter: Counter = Counter::default();
        counter.inc();
        registry.register("knocks", "Knocks at the door", counter);
        let stop = CancellationToken::new();
        let admin = serve(([127, 0, 0, 1], 0).into(), registry, readiness, stop.clone()).await.unwrap();

        let closed = fetch(admin.address, "/readyz").await;
        assert!(closed.starts_with("HTTP/1.1 503"), "{closed}");
        assert!(closed.ends_with(r#"{"ready":false,"closed":[{"gate":"postgres","reason":"connection refused"}]}"#), "{closed}");
        gate.open();
        assert!(fetch(admin.address, "/readyz").await.starts_with("HTTP/1.1 200"));
        assert!(fetch(admin.address, "/healthz").await.starts_with("HTTP/1.1 200"));
        assert!(fetch(admin.address, "/metrics").await.contains("knocks_total 1"));
        stop.cancel();
        admin.task.await.unwrap();
    }
}
