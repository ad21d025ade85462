//! The side channel: `/_sim/*` on a port of its own, unsigned. Each call mirrors a method of `Simulator`.

pub(crate) mod client;

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post, put},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    ChutePatch, ChuteSpec, Counters, EventFault, Fault, LoggedRequest, Snapshot, Unexpected,
    http::{App, refusal::Refusal},
};

type Answer = Result<Json<Value>, Refusal>;

/// Body of `POST /_sim/miners`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MinerBody {
    pub(crate) hotkey: String,
    #[serde(default)]
    pub(crate) blacklisted: Option<String>,
}

/// Body of `POST /_sim/instances/{id}/delete`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EndBody {
    pub(crate) reason: String,
}

/// Body of `PUT /_sim/instances/{id}/multiplier`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MultiplierBody {
    pub(crate) multiplier: f64,
}

/// Body of `POST /_sim/emit`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EmitBody {
    pub(crate) payload: Value,
    #[serde(default)]
    pub(crate) recipient: Option<String>,
}

/// Body of `POST /_sim/clock/advance`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AdvanceBody {
    pub(crate) seconds: f64,
}

/// Body of `POST /_sim/nodes/fail_next_check`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DetailBody {
    pub(crate) detail: String,
}

/// Body of `POST /_sim/jobs`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct JobBody {
    pub(crate) chute: String,
    pub(crate) method: String,
    pub(crate) disk_gb: u32,
}

fn done() -> Json<Value> {
    Json(json!({"ok": true}))
}

/// Every route of the side channel.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/_sim/state", get(async |State(app): State<App>| Json::<Snapshot>(app.world().snapshot())))
        .route("/_sim/counters", get(async |State(app): State<App>| Json::<Counters>(app.world().counters())))
        .route("/_sim/requests", get(requests))
        .route("/_sim/events", get(events))
        .route("/_sim/unexpected", get(unexpected).delete(clear_unexpected))
        .route("/_sim/miners", post(miner))
        .route("/_sim/chutes", post(create))
        .route("/_sim/chutes/{name}", put(update).patch(update).delete(remove))
        .route("/_sim/chutes/{name}/bounty", post(bounty))
        .route("/_sim/jobs", post(job))
        .route("/_sim/jobs/{id}/finish", post(finish_job))
        .route("/_sim/instances/{id}/delete", post(end))
        .route("/_sim/instances/{id}/multiplier", put(multiplier))
        .route("/_sim/nodes/fail_next_check", post(fail_next_check))
        .route("/_sim/faults", post(fault).delete(clear_faults))
        .route("/_sim/event_faults", post(event_fault))
        .route("/_sim/emit", post(emit))
        .route("/_sim/sockets/drop", post(drop_sockets))
        .route("/_sim/clock/advance", post(advance))
        .route("/_sim/reset", post(reset))
        .route("/_sim/health", get(async || done()))
        .fallback(async || Refusal::new(StatusCode::NOT_FOUND, "no such admin call"))
        .with_state(app)
}

async fn requests(State(app): State<App>) -> Json<Vec<LoggedRequest>> {
    Json(app.world().journal.log.iter().cloned().collect())
}

async fn events(State(app): State<App>) -> Json<Vec<Value>> {
    Json(app.world().journal.event_log.iter().cloned().collect())
}

async fn unexpected(State(app): State<App>) -> Json<Vec<Unexpected>> {
    Json(app.world().journal.unexpected.iter().cloned().collect())
}

async fn clear_unexpected(State(app): State<App>) -> Json<Value> {
    let mut world = app.world();
    world.journal.unexpected.clear();
    world.journal.unexpected_total = 0;
    done()
}

async fn miner(State(app): State<App>, Json(body): Json<MinerBody>) -> Answer {
    if crate::keys::public_key(&body.hotkey).is_none() {
        return Err(Refusal::bad(format!("{} is no ss58 address", body.hotkey)));
    }
    app.world().miners.insert(body.hotkey, body.blacklisted);
    Ok(done())
}

async fn create(State(app): State<App>, Json(spec): Json<ChuteSpec>) -> Answer {
    let mut world = app.world();
    let profile = world.rules.profile;
    world.create_chute(spec).map(|chute| Json(chute.row(profile)))
}

async fn update(State(app): State<App>, Path(name): Path<String>, Json(patch): Json<ChutePatch>) -> Answer {
    let mut world = app.world();
    let profile = world.rules.profile;
    world.update_chute(&name, patch).map(|chute| Json(chute.row(profile)))
}

async fn remove(State(app): State<App>, Path(name): Path<String>) -> Answer {
    app.world().delete_chute(&name).map(|()| done())
}

async fn bounty(State(app): State<App>, Path(name): Path<String>) -> Answer {
    app.world().offer_bounty(&name).map(|()| done())
}

async fn job(State(app): State<App>, Json(body): Json<JobBody>) -> Answer {
    app.world().create_job(&body.chute, &body.method, body.disk_gb).map(|job_id| Json(json!({"job_id": job_id})))
}

async fn finish_job(State(app): State<App>, Path(id): Path<String>) -> Answer {
    app.world().finish_job(&id).map(|()| done())
}

async fn end(State(app): State<App>, Path(id): Path<String>, Json(body): Json<EndBody>) -> Answer {
    match app.world().end_instance(&id, &body.reason) {
        true => Ok(done()),
        false => Err(Refusal::not_found(format!("no instance {id}"))),
    }
}

async fn multiplier(State(app): State<App>, Path(id): Path<String>, Json(body): Json<MultiplierBody>) -> Answer {
    app.world().set_multiplier(&id, body.multiplier).map(|()| done())
}

async fn fail_next_check(State(app): State<App>, Json(body): Json<DetailBody>) -> Json<Value> {
    app.world().fail_next_check = Some(body.detail);
    done()
}

async fn fault(State(app): State<App>, Json(fault): Json<Fault>) -> Answer {
    // It would never happen, and a test would prove nothing.
    if !fault.path_prefix.starts_with('/') {
        return Err(Refusal::bad(format!("no path begins with {:?}: paths begin with /", fault.path_prefix)));
    }
    app.world().faults.push(fault);
    Ok(done())
}

async fn event_fault(State(app): State<App>, Json(fault): Json<EventFault>) -> Json<Value> {
    app.world().event_faults.push(fault);
    done()
}

async fn clear_faults(State(app): State<App>) -> Json<Value> {
    let mut world = app.world();
    world.faults.clear();
    world.event_faults.clear();
    done()
}

async fn emit(State(app): State<App>, Json(body): Json<EmitBody>) -> Json<Value> {
    app.world().broadcast_raw(&body.payload, body.recipient.as_deref());
    done()
}

async fn drop_sockets(State(app): State<App>) -> Json<Value> {
    app.world().sockets.drop_all();
    done()
}

async fn advance(State(app): State<App>, Json(body): Json<AdvanceBody>) -> Answer {
    let by = Duration::try_from_secs_f64(body.seconds).map_err(|_| Refusal::bad("seconds must be a number from 0 up"))?;
    let mut world = app.world();
    world.clock.advance(by);
    world.tick();
    Ok(done())
}

async fn reset(State(app): State<App>) -> Answer {
    app.world().reset(app.config()).map(|()| done())
}
