//! How the agent fares, for the miner.

use super::{Public, Refusal, auth};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use protocol::ids::{GpuUuid, Ss58};
use serde::Serialize;
use service::readiness::Closed;
use std::sync::Arc;

#[derive(Debug, Serialize)]
pub(super) struct Status {
    version: &'static str,
    node_name: String,
    node_uid: Option<String>,
    node_key: Ss58,
    fingerprint: String,
    server: Option<String>,
    control_url: Option<String>,
    ready: bool,
    closed: Vec<Closed>,
    driver: Option<String>,
    gpus: Vec<Gpu>,
}

#[derive(Debug, Serialize)]
struct Gpu {
    uuid: GpuUuid,
    index: u32,
    name: String,
    health: &'static str,
    detail: Option<String>,
}

pub(super) async fn status(State(public): State<Arc<Public>>, headers: HeaderMap) -> Result<Json<Status>, Refusal> {
    auth::check(&public, &headers, None)?;
    let enrolment = public.enrolment.borrow().clone();
    let reading = public.gpus.borrow().clone();
    let closed = public.readiness.closed();
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        node_name: public.node_name.clone(),
        node_uid: public.node.borrow().as_ref().map(|node| node.uid.clone()),
        node_key: public.identity.address().clone(),
        fingerprint: public.identity.fingerprint(),
        server: enrolment.as_ref().map(|known| known.server.to_string()),
        control_url: enrolment.map(|known| known.control_url.to_string()),
        ready: closed.is_empty(),
        closed,
        driver: reading.as_ref().and_then(|reading| match &reading.driver {
            gpu::Driver::Answers(version) => Some(version.clone()),
            gpu::Driver::Silent | gpu::Driver::Absent(_) => None,
        }),
        gpus: reading.map(|reading| reading.gpus.into_iter().map(Gpu::from).collect()).unwrap_or_default(),
    }))
}

impl From<gpu::GpuReading> for Gpu {
    fn from(reading: gpu::GpuReading) -> Self {
        Self {
            uuid: reading.facts.uuid,
            index: reading.facts.index,
            name: reading.facts.name,
            health: crate::metrics::word(reading.health),
            detail: reading.detail,
        }
    }
}
