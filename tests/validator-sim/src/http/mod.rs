//! The HTTP front that miners and chutes see.

pub(crate) mod auth;
mod entry;
mod instances;
mod launch;
mod listings;
mod nodes;
pub(crate) mod refusal;
mod servers;
mod streams;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    http::{StatusCode, Uri, header},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::{Config, http::refusal::Refusal, socket, world::World};

/// What handlers share.
#[derive(Debug, Clone)]
pub(crate) struct App(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    config: Config,
    stop: CancellationToken,
}

/// The address a connection came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Left in a response to make the connection close without it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hangup;

impl App {
    pub(crate) fn new(world: World, config: Config, stop: CancellationToken) -> Self {
        Self(Arc::new(Shared { world: Mutex::new(world), config, stop }))
    }

    /// The state. Never held across an await.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }
}

/// A body of the right shape, or 422.
pub(crate) fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|why| Refusal::malformed(why.to_string()))
}

/// Every route of phase 1, behind the journal and the faults.
pub(crate) fn router(app: App) -> Router {
    let launch = "/instances/launch_config/{config_id}";
    Router::new()
        .route("/nodes/supported", get(nodes::supported))
        .route("/nodes/", get(nodes::census).post(nodes::advertise))
        .route("/nodes/verification_status", get(nodes::status))
        .route("/nodes/{uuid}", delete(nodes::remove))
        .route("/servers/", post(servers::register))
        .route("/servers/nonce", get(servers::nonce))
        .route("/servers/{server}", get(servers::show).patch(servers::rename).delete(servers::remove))
        .route("/miner/{kind}/", get(streams::stream))
        .route("/miner/chutes/{chute_id}/{version}", get(listings::chute))
        .route("/miner/inventory", get(listings::inventory))
        .route("/miner/jobs/{job_id}", delete(listings::release_job))
        .route("/instances/launch_config", get(launch::grant))
        .route("/instances/nonce", get(launch::instance_nonce))
        .route(launch, post(launch::claim).put(launch::prove))
        .route(&format!("{launch}/graval"), post(launch::claim).put(launch::prove))
        .route(&format!("{launch}/tee"), post(launch::claim_tee).put(launch::prove_tee))
        .route(&format!("{launch}/activate"), get(launch::activate))
        .route(&format!("{launch}/nonce"), get(launch::nonce))
        .route("/instances/{chute_id}/{instance_id}", delete(instances::remove))
        .route("/instances/{chute_id}/{instance_id}/disable", post(instances::disable))
        .route("/chutes/utilization", get(listings::utilization))
        .route("/chutes/rolling_updates", get(listings::nothing))
        .route("/bounties/", get(listings::bounties))
        .route("/registry/auth", get(listings::registry))
        .route("/ping", get(|| async { "pong" }))
        .route("/socket.io/", get(socket::upgrade))
        .method_not_allowed_fallback(async || Refusal::unknown_route(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"))
        .fallback(lost)
        .layer(from_fn_with_state(app.clone(), entry::entry))
        .with_state(app)
}

/// No such route. As in the original, one that only lacks its last slash is sent there.
async fn lost(uri: Uri) -> Response {
    let slashed = ["/nodes", "/servers", "/bounties"].contains(&uri.path())
        || streams::KINDS.iter().any(|kind| uri.path() == format!("/miner/{kind}"));
    if slashed {
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, format!("{}/{query}", uri.path()))]).into_response();
    }
    Refusal::unknown_route(StatusCode::NOT_FOUND, "Not Found").into_response()
}
