//! Enrolment: the miner tells the agent whom to work for, the agent tells its node key.

use super::{CONTROL_GATE, Public, Refusal, auth};
use crate::enrolment::{Enrolment, Order};
use crate::inventory::Command;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use protocol::ids::{ServerName, Ss58};
use serde::Serialize;
use std::sync::Arc;

/// What the agent says of itself.
#[derive(Debug, Serialize)]
pub(super) struct Introduction {
    /// The address of its node key, to be pinned.
    node_key: Ss58,
    /// A short form of it, for people to compare with the agent's log.
    fingerprint: String,
    /// The name it is enrolled under.
    server: ServerName,
    /// The Kubernetes node's name.
    node_name: String,
    /// The Kubernetes node's UID; absent while the node's cluster does not answer.
    node_uid: Option<String>,
    /// GPUs that answer; absent before the first look.
    gpus: Option<usize>,
    /// Its public address, if it was given one.
    address: Option<String>,
    /// Its release.
    version: &'static str,
}

/// Orders travel in plain text, and one that was caught can be repeated to other agents of the miner: while this one is at work for a
/// server, no order calls it off to another.
fn stays_with(public: &Public, order: &Enrolment) -> Result<(), Refusal> {
    let known = public.enrolment.borrow().as_ref().map(|known| known.server.clone());
    match known.filter(|server| *server != order.server && public.readiness.is_open(CONTROL_GATE)) {
        None => Ok(()),
        Some(server) => Err(Refusal(
            StatusCode::CONFLICT,
            format!("this agent serves server {server}: delete that one first (chutes-miner delete-node --name {server})"),
        )),
    }
}

pub(super) async fn enroll(State(public): State<Arc<Public>>, headers: HeaderMap, body: Bytes) -> Result<Json<Introduction>, Refusal> {
    auth::check(&public, &headers, Some(&body))?;
    let unprocessable = |why: String| Refusal(StatusCode::UNPROCESSABLE_ENTITY, why);
    let order: Order = serde_json::from_slice(&body).map_err(|error| unprocessable(format!("the order cannot be read: {error}")))?;
    let enrolment = order.check(&public.miner, public.identity.address()).map_err(|error| unprocessable(error.to_string()))?;
    stays_with(&public, &enrolment)?;
    let (state, kept) = (public.state.clone(), enrolment.clone());
    let saved = tokio::task::spawn_blocking(move || state.save_enrolment(&kept)).await;
    match saved {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(Refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
        Err(_) => return Err(Refusal(StatusCode::INTERNAL_SERVER_ERROR, "the enrolment could not be kept; try again".to_owned())),
    }
    // A full queue has such an order in it already, or is about to be served; missing one only keeps a memory too long.
    let _ = public.inventory.try_send(Command::Forget);
    let server = enrolment.server.clone();
    tracing::info!(%server, control_url = %enrolment.control_url, fingerprint = public.identity.fingerprint(), "enrolled");
    public.enrolment.send_replace(Some(enrolment));
    Ok(Json(Introduction {
        node_key: public.identity.address().clone(),
        fingerprint: public.identity.fingerprint(),
        server,
        node_name: public.node_name.clone(),
        node_uid: public.node.borrow().as_ref().map(|node| node.uid.clone()),
        gpus: public.gpus.borrow().as_ref().map(crate::inventory::answering),
        address: public.address.clone(),
        version: env!("CARGO_PKG_VERSION"),
    }))
}
